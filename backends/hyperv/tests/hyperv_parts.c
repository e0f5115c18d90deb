/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Parts of the Hyper-V library as a Linux process: this file plays the hypervisor and the native
 * library below. For what no emulated processor shows: rare carries, and what an exit mends anyway.
 */
#include <hyperv/hypercalls.h>
#include "hyperv/hyperv.h"

#include <hyperv/routines.h>
#include <native/routines.h>

/* What a process may not do. */
static void write_msr(uint32_t index, uint64_t value);
static uint64_t read_msr(uint32_t index);
#define vmi__wrmsr(index, value) write_msr(index, value)
#define vmi__rdmsr(index)        read_msr(index)
#define vmi__irq_save()          0u
#define vmi__irq_restore(flags)  ((void)(flags))

#include "alarm.c" /* runtime/ */
#include "hyperv/alarm.c"
#include "hyperv/clock.c"
#include "hyperv/crash.c"
#include "hyperv/interrupts.c"
#include "hyperv/partition.c"
#include "hyperv/tlb.c"

#include "cpus.c"   /* runtime/ */
#include "string.c" /* runtime/ */

#include "backends/played.h"
#include "backends/played_random.h"

/* ---- what is below and beside ---------------------------------------------------------------- */

#define CPUS 255 /* of which two are looked at most often */

static struct vmi_cpu listed[CPUS];
static struct vmi__hyperv_cpu more_cpus[CPUS];
struct vmi_boot_info vmi__boot = {.cpu_count = 2, .cpus = listed};
struct vmi_cpu vmi__cpus[VMI__CPUS_FEW];
struct vmi__hyperv_assist vmi__hyperv_first_assist;
const char vmi__hyperv_hypercall_page[1];
uint32_t vmi__hyperv_used, vmi__hyperv_spins;
uint64_t vmi__native_tsc_hz;
uint32_t vmi__native_apic_timer_hz;
bool vmi__native_ended_vectors[256];

static uint32_t apic[1024];
volatile char *vmi__native_apic = (volatile char *)apic;
bool vmi__native_x2apic;

static uint64_t reference_counter, timer_count, timer_config;
static uint32_t ends_by_msr, vp_index, told_of_waits;
static uint64_t crash[5], crash_control;
static void *ended[5];
/* Of the last flush or interrupt: processors by 64, range, whether by a sparse set. */
static uint64_t banks[HYPERV__BANKS], flushed_range;
static bool by_set;
static uint32_t natively; /* commands of the APIC */
#define flushed banks[0]

uint32_t vmi__memory_claim(uint32_t size, uint32_t limit)
{
    (void)size;
    (void)limit;
    return 0;
}

bool vmi__native_cpu_runs(uint32_t cpu)
{
    (void)cpu;
    return true;
}

VMI__ROUTINE void vmi__native_apic_write_any(uint32_t reg, uint32_t value)
{
    vmi__native_apic_write(reg, value);
}

bool vmi__native_apic_command(uint32_t apic_id, uint32_t command)
{
    (void)apic_id;
    (void)command;
    natively++;
    return true;
}

static void write_msr(uint32_t index, uint64_t value)
{
    if (index == HYPERV__MSR_TIMER0_COUNT)
        timer_count = value;
    else if (index == HYPERV__MSR_TIMER0_CONFIG)
        timer_config = value;
    else if (index == HYPERV__MSR_EOI)
        ends_by_msr++;
    else if (index - HYPERV__MSR_CRASH_P0 < 5)
        crash[index - HYPERV__MSR_CRASH_P0] = value;
    else if (index == HYPERV__MSR_CRASH_CONTROL)
        crash_control = value;
}

static uint64_t read_msr(uint32_t index)
{
    return index == HYPERV__MSR_REFERENCE_COUNTER ? reference_counter
           : index == HYPERV__MSR_VP_INDEX        ? vp_index
                                                  : 0;
}

uint32_t vmi__native_cpu(void)
{
    return 0;
}

bool vmi__native_pic_end(uint32_t vector)
{
    (void)vector;
    return false;
}

void vmi__native_vector_ended(uint32_t vector)
{
    (void)vector;
}

static intptr_t by(uint64_t first, const struct hyperv__set *set, uint64_t range)
{
    memset(banks, 0, sizeof(banks));
    banks[0] = first;
    by_set = set != 0;
    if (set && (set->format || set->banks_valid != (1u << HYPERV__BANKS) - 1))
        return 5; /* HV_STATUS_INVALID_PARAMETER */
    if (set)
        memcpy(banks, set->banks, sizeof(banks));
    flushed_range = range;
    return HYPERV__STATUS_SUCCESS;
}

#define FLUSH(name, structure, first, set)                                                         \
    HYPERCALL intptr_t vmi__hyperv_hypercall_##name(uint32_t input_high, uint64_t input,           \
                                                    uint64_t output)                               \
    {                                                                                              \
        const struct structure *flush = (const void *)(uintptr_t)input;                            \
        (void)input_high;                                                                          \
        (void)output;                                                                              \
        return by(first, set, flush->range);                                                       \
    }
FLUSH(flush_virtual_address_space, hyperv__flush, flush->processors, 0)
FLUSH(flush_virtual_address_list, hyperv__flush, flush->processors, 0)
FLUSH(flush_virtual_address_space_ex, hyperv__flush_set, 0, &flush->processors)
FLUSH(flush_virtual_address_list_ex, hyperv__flush_set, 0, &flush->processors)

HYPERCALL intptr_t vmi__hyperv_hypercall_send_synthetic_cluster_ipi_ex(uint32_t input_high,
                                                                       uint64_t input,
                                                                       uint64_t output)
{
    const struct hyperv__ipi_set *ipi = (const void *)(uintptr_t)input;

    (void)input_high;
    (void)output;
    return by(0, &ipi->processors, ipi->vector);
}

HYPERCALL intptr_t vmi__hyperv_hypercall_notify_long_spin_wait(uint32_t input_high, uint64_t spins)
{
    (void)input_high;
    told_of_waits = (uint32_t)spins;
    return HYPERV__STATUS_SUCCESS;
}

HYPERCALL intptr_t vmi__hyperv_hypercall_send_synthetic_cluster_ipi(uint32_t input_high,
                                                                    uint64_t vector,
                                                                    uint64_t processors)
{
    (void)input_high;
    return by(processors, 0, vector);
}

void vmi__native_button_unwatched(void)
{
}

VMI__ROUTINE uint64_t vmi__native_clock_nanoseconds(void)
{
    return 0;
}

VMI__ROUTINE uint64_t vmi__native_get_cycle_frequency(void)
{
    return 0;
}

VMI__ROUTINE int32_t vmi__native_send_ipi(const uint32_t *set, uint32_t bits, uint32_t vector)
{
    (void)set;
    (void)bits;
    (void)vector;
    return VMI_OK;
}

static uint64_t native_expiry, native_period;

VMI__ROUTINE void vmi__native_set_alarm(uint32_t flags, uint64_t expiry, uint64_t period)
{
    (void)flags;
    native_expiry = expiry;
    native_period = period;
}

VMI__ROUTINE void vmi__native_cancel_alarm(uint32_t flags)
{
    (void)flags;
}

VMI__ROUTINE void vmi__native_shutdown_reason(uint32_t reason, uint32_t status)
{
    (void)reason;
    (void)status;
    __builtin_longjmp(ended, 1);
}

/* ---- checks ---------------------------------------------------------------------------------- */

#define USE(feature) (1u << HYPERV__##feature)
#define VECTOR       0x40
#define SOON         1000

static void begin(uint32_t used)
{
    vmi__hyperv_used = used;
    vmi__hyperv_cpus_more = more_cpus;
    vmi__boot.cpu_count = 2;
    for (uint32_t i = 0; i < CPUS; i++) {
        listed[i].apic_id = i;
        /* As if the hypervisor numbered the first two the other way round from 2 on. */
        *vmi__hyperv_cpu(i) = (struct vmi__hyperv_cpu){.ready = true, .index = i < 2 ? 3 - i : i};
    }
    if (used & 1u << HYPERV__VP_ASSIST)
        vmi__hyperv_cpus[0].assist = &vmi__hyperv_first_assist;
    natively = 0;
    by_set = false;
    vmi__hyperv_first_assist.eoi = 0;
    reference_counter = timer_count = timer_config = flushed = 0;
    apic[VMI_APIC_EOI / 4] = ~0u;
    ends_by_msr = 0;
}

static void products_have_all_their_carries(void)
{
    EXPECT(multiply_high(~0ull, ~0ull) == ~0ull - 1);
    EXPECT(multiply_high(1ull << 63, 2) == 1);
    EXPECT(multiply_high(0x00000001ffffffff, 0xffffffff00000001) == 0x1fffffffd);
    EXPECT(multiply_high(0xffffffff, 0xffffffff) == 0);
}

static void an_alarm_waits_for_its_vector(void)
{
    begin(USE(REFERENCE_COUNTER) | USE(DIRECT_TIMER));
    vmi__hyperv_apic_write(VMI_APIC_LVTT, VECTOR | VMI__APIC_LVT_MASKED);
    vmi__hyperv_set_alarm(VMI_ALARM_WIRED_LVTT, SOON, 0);
    EXPECT(timer_count == 0);
    vmi__hyperv_apic_write(VMI_APIC_LVTT, VECTOR);
    EXPECT(timer_count == SOON);
    EXPECT(timer_config >> HYPERV__TIMER_VECTOR_SHIFT << HYPERV__TIMER_VECTOR_SHIFT ==
           (HYPERV__TIMER_DIRECT | VECTOR << HYPERV__TIMER_VECTOR_SHIFT));
    vmi__hyperv_apic_write(VMI_APIC_LVTT, VECTOR | VMI__APIC_LVT_MASKED);
    EXPECT(timer_count == 0);
}

#define CENTURY (1ull << 55) /* in units */

/* The timer goes off: whatever is in its count, as KVM counts it down in signed nanoseconds. */
static bool goes_off(void)
{
    if (!timer_count || timer_count >= CENTURY)
        return false;
    if (timer_count > reference_counter && (timer_count - reference_counter) < CENTURY)
        reference_counter = timer_count;
    timer_count = 0;
    return true;
}

/* Expiries and periods from all of 64 bits: none early, none lost, never a storm. */
static void alarms_of_all_of_64_bits(void)
{
    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + 3000; seed++) {
        bool periodic = seed & 1;
        uint64_t expiry, period, due, from;
        uint32_t i;

        begin(USE(REFERENCE_COUNTER) | USE(DIRECT_TIMER));
        state = seed;
        reference_counter = any() >> 16;
        vmi__hyperv_apic_write(VMI_APIC_LVTT, VECTOR);
        expiry = seed % 3 == 0   ? any_size()
                 : seed % 3 == 1 ? ~any_size()
                                 : reference_counter + any_size();
        period = seed & 2 ? any_size() : ~any_size();
        due = expiry;
        from = reference_counter;
        vmi__hyperv_set_alarm(VMI_ALARM_WIRED_LVTT | (periodic ? VMI_ALARM_PERIODIC : 0), expiry,
                              period);
        EXPECT(timer_count && timer_count <= CENTURY);
        for (i = 0; i < 8 && goes_off(); i++) {
            EXPECT(reference_counter >= due);
            EXPECT(due < from || reference_counter - due <= LEAST);
            reference_counter += any() & 0xfff; /* its handler */
            from = reference_counter;
            vmi__hyperv_alarm_ended(VECTOR);
            if (!periodic || !period)
                due = ~0ull;
            else
                due = vmi__alarm_next(due, period, reference_counter);
            EXPECT(!timer_count ||
                   (timer_count - reference_counter >= LEAST && timer_count <= CENTURY));
        }
        EXPECT(i == 8 || due >= CENTURY);
        EXPECT(i <= 1 || (periodic && period));
        vmi__hyperv_cancel_alarm(VMI_ALARM_WIRED_LVTT);
        EXPECT(!goes_off());
    }
}

/* Counted in cycles of the TSC what is never stays so, and what is once is not periodic. */
static void alarms_in_cycles_do_not_wrap(void)
{
    static const uint64_t hertz[] = {900000000, 2400000000, 9900000000};

    for (uint32_t i = 0; i < 3; i++) {
        begin(USE(REFERENCE_COUNTER));
        vmi__native_tsc_hz = hertz[i];
        vmi__hyperv_clock_init();
        for (uint32_t shift = 56; shift < 64; shift++) {
            vmi__hyperv_set_alarm(VMI_ALARM_WIRED_IRQ0, ~0ull >> (63 - shift), 1ull << shift);
            EXPECT(native_expiry > 1ull << 62 && native_period > 1ull << 62);
        }
        vmi__hyperv_set_alarm(VMI_ALARM_WIRED_IRQ0 | VMI_ALARM_PERIODIC, 0, 0);
        EXPECT(native_period == 0);
    }
}

static void a_write_to_eoi_is_an_end(void)
{
    begin(0);
    vmi__hyperv_apic_write(VMI_APIC_EOI, 0);
    EXPECT(apic[VMI_APIC_EOI / 4] == 0 && ends_by_msr == 0);
    begin(USE(APIC_MSRS));
    vmi__hyperv_apic_write(VMI_APIC_EOI, 0);
    EXPECT(apic[VMI_APIC_EOI / 4] == ~0u && ends_by_msr == 1);
    begin(USE(APIC_MSRS) | USE(VP_ASSIST));
    vmi__hyperv_first_assist.eoi = 1 << HYPERV__NO_EOI_BIT;
    vmi__hyperv_apic_write(VMI_APIC_EOI, 0);
    EXPECT(vmi__hyperv_first_assist.eoi == 0 && ends_by_msr == 0);
    vmi__hyperv_apic_write(VMI_APIC_EOI, 0);
    EXPECT(ends_by_msr == 1);
}

static const uint32_t first = 1, both = 3, third = 4;

static void a_flush_names_its_processors(void)
{
    begin(USE(REMOTE_FLUSH));
    EXPECT(vmi__hyperv_flush_remote_tlb(&both, 2, 0, 0) == VMI_OK && flushed == 12);
    EXPECT(vmi__hyperv_flush_remote_tlb(&first, 1, 0x1000, 1) == VMI_OK && flushed == 8);
    EXPECT(vmi__hyperv_flush_remote_tlb(&both, 3, 0, 0) == VMI_OK && !by_set);
    EXPECT(vmi__hyperv_flush_remote_tlb(0, VMI_CPUS_ALL_BUT_SELF, 0, 0) == VMI_OK && flushed == 4);
    EXPECT(vmi__hyperv_flush_remote_tlb(&third, 3, 0, 0) == VMI_EINVAL);
}

/* Of more than 64, where the hypervisor takes sets; one by one, or not at all, where it does not.
 */
static void many_processors_are_a_sparse_set(void)
{
    uint32_t set[8] = {1u << 31, 0, 1u << 1, 0, 0, 0, 0, 1u << 30}; /* 31, 65, 254 */

    begin(USE(REMOTE_FLUSH) | USE(CLUSTER_IPI) | USE(SPARSE_SETS));
    vmi__boot.cpu_count = CPUS;
    EXPECT(vmi__hyperv_flush_remote_tlb(set, CPUS, 0x5000, 2) == VMI_OK && by_set);
    EXPECT(banks[0] == 1u << 31 && banks[1] == 2 && !banks[2] && banks[3] == 1ull << 62);
    EXPECT(flushed_range == 0x5001);
    EXPECT(vmi__hyperv_flush_remote_tlb(set, 65, 0, 0) == VMI_OK && !by_set && flushed == 1u << 31);
    EXPECT(vmi__hyperv_send_ipi(set, CPUS, VECTOR) == VMI_OK && by_set && flushed_range == VECTOR);
    EXPECT(banks[1] == 2 && banks[3] == 1ull << 62 && !natively);
    EXPECT(vmi__hyperv_send_ipi(0, VMI_CPUS_ALL, VECTOR) == VMI_OK && banks[3] == ~0ull >> 1);

    begin(USE(REMOTE_FLUSH) | USE(CLUSTER_IPI));
    vmi__boot.cpu_count = CPUS;
    EXPECT(vmi__hyperv_flush_remote_tlb(set, CPUS, 0, 0) == VMI_ENOSYS);
    EXPECT(vmi__hyperv_send_ipi(set, CPUS, VECTOR) == VMI_OK && natively == 2);
    EXPECT(!by_set && flushed == 1u << 31);
}

static void a_flush_has_the_whole_address(void)
{
    const uintptr_t address = UINTPTR_MAX / 3 * 2;

    begin(USE(REMOTE_FLUSH));
    EXPECT(vmi__hyperv_flush_remote_tlb(&first, 1, address, 3) == VMI_OK);
    EXPECT(flushed_range == (address >> 12 << 12 | 2));
}

static void a_cpu_has_the_hypervisors_index(void)
{
    begin(USE(VP_INDEX));
    vp_index = 9;
    vmi__hyperv_cpu(1)->ready = false;
    vmi__native_cpu_identified(1);
    EXPECT(vmi__hyperv_cpu(1)->ready && vmi__hyperv_cpu(1)->index == 9);
}

/* Half of the TSC and 5; the page may hold no longer. */
static void time_is_the_pages(void)
{
    uint64_t least, time;

    begin(USE(REFERENCE_COUNTER) | USE(REFERENCE_TSC));
    reference_counter = 77;
    vmi__hyperv_reference_tsc.scale = 1ull << 63;
    vmi__hyperv_reference_tsc.offset = 5;
    vmi__hyperv_reference_tsc.sequence = 1;
    least = vmi__rdtsc_ordered() / 2 + 5;
    time = vmi__hyperv_reference_time();
    EXPECT(time >= least && time <= vmi__rdtsc_ordered() / 2 + 5);
    vmi__hyperv_reference_tsc.sequence = 0;
    EXPECT(vmi__hyperv_reference_time() == 77);
}

static void long_waits_are_told_and_no_others(void)
{
    begin(USE(SPIN_WAIT));
    vmi__hyperv_spins = 3;
    for (uint32_t round = 0; round < 2; round++) {
        told_of_waits = 0;
        vmi__hyperv_yield();
        vmi__hyperv_yield();
        EXPECT(!told_of_waits);
        vmi__hyperv_yield();
        EXPECT(told_of_waits == 3);
    }
}

static void an_interrupt_is_ended(void)
{
    begin(USE(APIC_MSRS));
    vmi__hyperv_end_of_interrupt(VECTOR);
    EXPECT(ends_by_msr == 1);
    begin(0);
    vmi__hyperv_end_of_interrupt(VECTOR);
    EXPECT(apic[VMI_APIC_EOI / 4] == 0);
}

static void shut_down(uint32_t reason, uint32_t status)
{
    crash_control = 0;
    memset(crash, 0, sizeof(crash));
    if (!__builtin_setjmp(ended))
        vmi__hyperv_shutdown_reason(reason, status);
}

/* TLFS, Partition Crash Enlightenment: bit 63 says that the parameters are there. */
static void a_crash_is_told(void)
{
    begin(USE(CRASH));
    shut_down(VMI_SHUTDOWN_CRASH, 0x5a);
    EXPECT(crash[1] == VMI_SHUTDOWN_CRASH && crash[2] == 0x5a && crash_control == 1ull << 63);
    shut_down(VMI_SHUTDOWN_POWEROFF, 0x5a);
    EXPECT(!crash[1] && !crash[2] && !crash_control);
    begin(0);
    shut_down(VMI_SHUTDOWN_CRASH, 0x5a);
    EXPECT(!crash_control);
}

/* ---- main ------------------------------------------------------------------------------------ */

static const struct played_check checks[] = {
    CHECK(products_have_all_their_carries),
    CHECK(an_alarm_waits_for_its_vector),
    CHECK(alarms_of_all_of_64_bits),
    CHECK(alarms_in_cycles_do_not_wrap),
    CHECK(a_write_to_eoi_is_an_end),
    CHECK(a_flush_names_its_processors),
    CHECK(a_flush_has_the_whole_address),
    CHECK(many_processors_are_a_sparse_set),
    CHECK(a_cpu_has_the_hypervisors_index),
    CHECK(time_is_the_pages),
    CHECK(long_waits_are_told_and_no_others),
    CHECK(an_interrupt_is_ended),
    CHECK(a_crash_is_told),
};

PLAY(checks)
