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
#include "hyperv/interrupts.c"
#include "hyperv/tlb.c"

#include "backends/played.h"

/* ---- what is below and beside ---------------------------------------------------------------- */

struct vmi_boot_info vmi__boot = {.cpu_count = 2};
struct vmi__hyperv_cpu vmi__hyperv_cpus[VMI_BOOT_INFO_MAX_CPUS];
struct vmi__hyperv_assist vmi__hyperv_assists[VMI_BOOT_INFO_MAX_CPUS];
uint32_t vmi__hyperv_used, vmi__hyperv_spins;
uint64_t vmi__native_tsc_hz;
bool vmi__native_ended_vectors[256];

static uint32_t apic[1024];
volatile char *vmi__native_apic = (volatile char *)apic;

static uint64_t reference_counter, timer_count, timer_config;
static uint32_t ends_by_msr;
static uint64_t flushed, flushed_range; /* of the last flush: processors, range */

static void write_msr(uint32_t index, uint64_t value)
{
    if (index == HYPERV__MSR_TIMER0_COUNT)
        timer_count = value;
    else if (index == HYPERV__MSR_TIMER0_CONFIG)
        timer_config = value;
    else if (index == HYPERV__MSR_EOI)
        ends_by_msr++;
}

static uint64_t read_msr(uint32_t index)
{
    return index == HYPERV__MSR_REFERENCE_COUNTER ? reference_counter : 0;
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

bool vmi__hyperv_exist(uint32_t mask, uint32_t base)
{
    return !base && !(mask & ~3u);
}

/* As if the hypervisor numbered them the other way round from 3 on. */
uint64_t vmi__hyperv_processors(uint32_t *mask, uint32_t base)
{
    (void)base;
    return (*mask & 1 ? 8 : 0) | (*mask & 2 ? 4 : 0);
}

static int32_t flush_by(uint64_t input)
{
    const struct hyperv__flush *flush = (const void *)(uintptr_t)input;

    flushed = flush->processors;
    flushed_range = flush->range;
    return HYPERV__STATUS_SUCCESS;
}

HYPERCALL intptr_t vmi__hyperv_hypercall_flush_virtual_address_space(uint32_t input_high,
                                                                     uint64_t input,
                                                                     uint64_t output)
{
    (void)input_high;
    (void)output;
    return flush_by(input);
}

HYPERCALL intptr_t vmi__hyperv_hypercall_flush_virtual_address_list(uint32_t input_high,
                                                                    uint64_t input, uint64_t output)
{
    (void)input_high;
    (void)output;
    return flush_by(input);
}

HYPERCALL intptr_t vmi__hyperv_hypercall_notify_long_spin_wait(uint32_t input_high, uint64_t spins)
{
    (void)input_high;
    (void)spins;
    return HYPERV__STATUS_SUCCESS;
}

HYPERCALL intptr_t vmi__hyperv_hypercall_send_synthetic_cluster_ipi(uint32_t input_high,
                                                                    uint64_t vector,
                                                                    uint64_t processors)
{
    (void)input_high;
    (void)vector;
    (void)processors;
    return HYPERV__STATUS_SUCCESS;
}

VMI__ROUTINE uint64_t vmi__native_clock_nanoseconds(void)
{
    return 0;
}

VMI__ROUTINE uint64_t vmi__native_get_cycle_frequency(void)
{
    return 0;
}

VMI__ROUTINE int32_t vmi__native_send_ipi(uint32_t mask, uint32_t base, uint32_t vector)
{
    (void)mask;
    (void)base;
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

/* ---- checks ---------------------------------------------------------------------------------- */

#define USE(feature) (1u << HYPERV__##feature)
#define VECTOR       0x40
#define SOON         1000

static void begin(uint32_t used)
{
    vmi__hyperv_used = used;
    vmi__hyperv_cpus[0] = (struct vmi__hyperv_cpu){0};
    vmi__hyperv_assists[0].eoi = 0;
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

static uint64_t state;

/* x <- 6364136223846793005 x + 1442695040888963407 (Knuth, MMIX), the better half twice. */
static uint64_t any(void)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < 2; i++) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        value = value << 32 | state >> 32;
    }
    return value;
}

static uint64_t any_size(void)
{
    uint64_t value = any();

    return value >> (any() & 63);
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
    vmi__hyperv_assists[0].eoi = 1 << HYPERV__NO_EOI_BIT;
    vmi__hyperv_apic_write(VMI_APIC_EOI, 0);
    EXPECT(vmi__hyperv_assists[0].eoi == 0 && ends_by_msr == 0);
    vmi__hyperv_apic_write(VMI_APIC_EOI, 0);
    EXPECT(ends_by_msr == 1);
}

static void a_flush_names_its_processors(void)
{
    begin(USE(REMOTE_FLUSH));
    EXPECT(vmi__hyperv_flush_remote_tlb(3, 0, 0, 0) == VMI_OK && flushed == 12);
    EXPECT(vmi__hyperv_flush_remote_tlb(1, 0, 0x1000, 1) == VMI_OK && flushed == 8);
}

static void a_flush_has_the_whole_address(void)
{
    const uintptr_t address = UINTPTR_MAX / 3 * 2;

    begin(USE(REMOTE_FLUSH));
    EXPECT(vmi__hyperv_flush_remote_tlb(1, 0, address, 3) == VMI_OK);
    EXPECT(flushed_range == (address >> 12 << 12 | 2));
}

/* ---- main ------------------------------------------------------------------------------------ */

static const struct played_check checks[] = {
    CHECK(products_have_all_their_carries), CHECK(an_alarm_waits_for_its_vector),
    CHECK(alarms_of_all_of_64_bits),        CHECK(alarms_in_cycles_do_not_wrap),
    CHECK(a_write_to_eoi_is_an_end),        CHECK(a_flush_names_its_processors),
    CHECK(a_flush_has_the_whole_address),
};

PLAY(checks)
