/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The native library's alarms as a Linux process: this file plays the TSC, the local APIC's timer
 * and the PIT, and has time go by from one interrupt to the next, for expiries and periods from all
 * of 64 bits.
 */
#include "native/native.h"

#include <native/routines.h>

/* What a process may not do, or what is played. */
static uint64_t tsc;
static uint32_t apic_read(uint32_t reg);
static void apic_write(uint32_t reg, uint32_t value);
static void write_msr(uint32_t index, uint64_t value);
static struct vmi__cpuid cpuid(void);
static void port_write(uint16_t port, uint8_t value);
static uint8_t port_read(uint16_t port);
#define vmi__rdtsc()                      tsc
#define vmi__native_apic_read(reg)        apic_read(reg)
#define vmi__native_apic_write(reg, word) apic_write(reg, word)
#define vmi__wrmsr(index, value)          write_msr(index, value)
#define vmi__cpuid(leaf, subleaf)         cpuid()
#define vmi__outb(port, value)            port_write(port, value)
#define vmi__inb(port)                    port_read(port)
#define vmi__irq_save()                   0u
#define vmi__irq_restore(flags)           ((void)(flags))
#define vmi__lock(lock)                   ((void)(lock), 0u)
#define vmi__unlock(lock, flags)          ((void)(lock), (void)(flags))

#include "alarm.c" /* runtime/ */
#include "native/alarm.c"
#define lock pit_lock
#include "native/pit.c"
#undef lock

#include "backends/played.h"
#include "backends/played_random.h"

/* ---- the machine ---- */

#define CPUS         2
#define NEVER        UINT64_MAX
#define VECTOR_LVTT  0x40
#define VECTOR_OTHER 0x41
#define VECTOR_IRQ0  0x30
#define PIT_CONTROL  0x43
#define PIT_CHANNEL0 0x40

/* Whose PIT it is. */
enum pit { DATA_SHEET, QEMU, KVM };

static struct {
    uint64_t tsc_hz, bus_hz;
    bool offers_deadline, in_guest; /* in a guest a deadline is multiplied by a million */
    enum pit pit;

    /* Each CPU's, of which one runs. */
    struct {
        uint32_t lvtt, divide;
        uint64_t due;
        bool off;          /* by its SVR */
        uint32_t accesses; /* to its timer and entry */
    } apic[CPUS];
    uint32_t cpu;

    uint32_t pit_control, pit_bytes, pit_count;
    uint64_t pit_due;
    uint32_t pit_owed; /* interrupts that KVM makes up for, one as the one before is acknowledged */
    bool pit_counting, reads_status;
    bool line_open;
    uint32_t pit_edges; /* while the line was closed or open */
} machine;

struct vmi_boot_info vmi__boot = {.cpu_count = CPUS};
bool vmi__native_x2apic;
uint64_t vmi__native_tsc_hz, vmi__native_tsc_hz_least;
uint32_t vmi__native_apic_timer_hz;

static uint64_t watched; /* cycles, when the timer was measured last */
bool vmi__native_ended_vectors[256];
const struct vmi__native_published *vmi__native_published;

void vmi__native_button_unwatched(void)
{
}

uint32_t vmi__native_cpu(void)
{
    return machine.cpu;
}

uint32_t vmi__native_event_vector(uint32_t line)
{
    return line == 0 ? VECTOR_IRQ0 : 0;
}

void *vmi__cpu_rows(uint32_t size)
{
    (void)size;
    return 0;
}

void vmi__native_event_timer(bool on)
{
    machine.line_open = on;
}

void vmi__fatal(const char *reason)
{
    put(reason);
    call(SYS_EXIT, 1, 0, 0);
    __builtin_unreachable();
}

/* value * up / down, saturating; by bits, for it must not have the faults that are looked for. */
static uint64_t ratio(uint64_t value, uint64_t up, uint64_t down)
{
    uint64_t high = 0, low = 0, rest = 0, quotient = 0;
    int i;

    for (i = 63; i >= 0; i--) {
        high = high << 1 | low >> 63;
        low <<= 1;
        if (up >> i & 1) {
            low += value;
            high += low < value;
        }
    }
    for (i = 127; i >= 0; i--) {
        bool carry = rest >> 63;

        rest = rest << 1 | ((i > 63 ? high >> (i - 64) : low >> i) & 1);
        if (quotient >> 63)
            return NEVER;
        quotient <<= 1;
        if (carry || rest >= down) {
            rest -= down;
            quotient |= 1;
        }
    }
    return quotient;
}

static uint64_t later(uint64_t cycles)
{
    return tsc + cycles < tsc ? NEVER : tsc + cycles;
}

struct vmi__native_reading vmi__native_take(vmi__native_counter *read)
{
    (void)read;
    return (struct vmi__native_reading){.before = tsc, .after = tsc ? tsc : 1};
}

struct vmi__native_interval vmi__native_watch(vmi__native_counter *read, uint32_t mask,
                                              const struct vmi__native_reading *first,
                                              uint64_t cycles)
{
    (void)read;
    (void)mask;
    (void)first;
    watched = cycles;
    return (struct vmi__native_interval){
        .ticks = (uint32_t)ratio(cycles, machine.bus_hz, machine.tsc_hz),
        .cycles_at_least = cycles,
        .cycles_at_most = cycles};
}

static struct vmi__cpuid cpuid(void)
{
    return (struct vmi__cpuid){.ecx = (machine.offers_deadline ? VMI__CPUID_1_ECX_DEADLINE : 0) |
                                      (machine.in_guest ? VMI__CPUID_1_ECX_HYPERVISOR : 0)};
}

static uint32_t apic_read(uint32_t reg)
{
    machine.apic[machine.cpu].accesses++;
    return reg == VMI_APIC_LVTT ? machine.apic[machine.cpu].lvtt : 1;
}

static bool by_deadline(void)
{
    return (machine.apic[machine.cpu].lvtt & LVTT_MODE) == LVTT_DEADLINE;
}

/* Another mode disarms the timer, and each mode has one of count and deadline (Intel SDM vol. 3A,
 * 11.5.4.1); an APIC that is off masks its entries (11.4.7.2). */
static void apic_write(uint32_t reg, uint32_t value)
{
    uint32_t shift = 0, off = machine.apic[machine.cpu].off ? VMI__APIC_LVT_MASKED : 0;
    uint64_t *due = &machine.apic[machine.cpu].due;

    machine.apic[machine.cpu].accesses++;
    if (reg == VMI_APIC_LVTT) {
        if ((machine.apic[machine.cpu].lvtt ^ value) & LVTT_DEADLINE)
            *due = NEVER;
        machine.apic[machine.cpu].lvtt = value | off;
    } else if (reg == VMI__APIC_TIMER_DIVIDE) {
        while (shift < DIVIDE_SHIFT_MAX && divide[shift] != value)
            shift++;
        machine.apic[machine.cpu].divide = shift;
    } else if (reg == VMI__APIC_TIMER_INITIAL && !by_deadline()) {
        *due = value ? later(ratio((uint64_t)value << machine.apic[machine.cpu].divide,
                                   machine.tsc_hz, machine.bus_hz))
                     : NEVER;
    }
}

/* As Linux 6.1 computes it in a guest: the product loses what is above 64 bits. */
static void write_msr(uint32_t index, uint64_t value)
{
    uint64_t *due = &machine.apic[machine.cpu].due;

    machine.apic[machine.cpu].accesses++;
    if (index != MSR_DEADLINE || !by_deadline())
        return;
    if (!value)
        *due = NEVER;
    else if (value <= tsc)
        *due = tsc;
    else if (machine.in_guest)
        *due = later(ratio((value - tsc) * 1000000, 1, 1000000));
    else
        *due = value;
}

static void port_write(uint16_t port, uint8_t value)
{
    if (port == PIT_CONTROL && value == 0xe2) {
        machine.reads_status = true;
    } else if (port == PIT_CONTROL && !(value & 0xc0)) {
        machine.pit_control = value;
        machine.pit_bytes = machine.pit_count = 0;
        if (machine.pit == DATA_SHEET) {
            machine.pit_counting = false;
            machine.pit_due = NEVER;
        }
    } else if (port == PIT_CHANNEL0) {
        machine.pit_count |= (uint32_t)value << 8 * machine.pit_bytes;
        if (++machine.pit_bytes != 2)
            return;
        machine.pit_counting = true;
        machine.pit_due = later(
            ratio(machine.pit_count ? machine.pit_count : 0x10000, machine.tsc_hz, VMI__PIT_HZ));
        if ((machine.pit_control >> 1 & 7) != 5)
            machine.pit_owed = 0;
        else if (machine.pit != QEMU)
            machine.pit_due = NEVER;
    }
}

static uint8_t port_read(uint16_t port)
{
    if (port != PIT_CHANNEL0 || !machine.reads_status)
        return 0;
    machine.reads_status = false;
    return machine.pit == DATA_SHEET && !machine.pit_counting ? 0x40 : 0;
}

/* ---- time ---- */

/* Goes to the next interrupt, and returns its vector; 0 if none comes within about 300 years. */
static uint32_t next_interrupt(void)
{
    for (;;) {
        if (machine.pit_owed) {
            machine.pit_owed--;
            if (machine.line_open)
                return VECTOR_IRQ0;
        }
        bool apic = machine.apic[machine.cpu].due <= machine.pit_due;
        uint64_t due = apic ? machine.apic[machine.cpu].due : machine.pit_due;

        if (due == NEVER || (due > tsc && due - tsc > 1ull << 62))
            return 0;
        if (due > tsc)
            tsc = due;
        if (apic) {
            machine.apic[machine.cpu].due = NEVER;
            if (!(machine.apic[machine.cpu].lvtt & VMI__APIC_LVT_MASKED))
                return machine.apic[machine.cpu].lvtt & 0xff;
        } else {
            machine.pit_due = NEVER;
            if (machine.line_open)
                return VECTOR_IRQ0;
        }
    }
}

static void begin(uint64_t seed, bool offers_deadline, bool in_guest, enum pit pit)
{
    static const uint32_t mhz[] = {600, 1000, 2400, 3500}, bus_mhz[] = {24, 100, 1000, 20000};

    state = seed;
    machine.offers_deadline = offers_deadline;
    machine.in_guest = in_guest;
    machine.pit = pit;
    machine.tsc_hz = mhz[any() & 3] * 1000000ull;
    vmi__native_tsc_hz = vmi__native_tsc_hz_least = machine.tsc_hz;
    machine.bus_hz = bus_mhz[any() & 3] * 1000000ull;
    for (machine.cpu = CPUS; machine.cpu--;) {
        vmi__native_alarm_forget(machine.cpu);
        machine.apic[machine.cpu].lvtt = VECTOR_LVTT;
        machine.apic[machine.cpu].due = NEVER;
        machine.apic[machine.cpu].off = false;
    }
    machine.cpu = 0;
    machine.pit_due = NEVER;
    machine.pit_owed = 0;
    machine.line_open = false;
    vmi__native_x2apic = vmi__native_apic_write_called = false;
    tsc = any() >> 12;
    apic_rate = 0;
    deadline_ahead = UINT64_MAX;
    vmi__native_alarm_init();
}

/* How far a timer reaches: what is further away may interrupt on the way (README.md, "Limits"). */
static uint64_t reach_of(bool lvtt)
{
    if (!lvtt)
        return ratio(PIT_TICKS_MAX - PIT_TICKS_MAX / 1024, machine.tsc_hz, VMI__PIT_HZ);
    if (machine.offers_deadline)
        return machine.in_guest ? 1ull << 43 : NEVER;
    return ratio((uint64_t)(UINT32_MAX - UINT32_MAX / 1024) << 7, machine.tsc_hz, machine.bus_hz);
}

/* The first moment of a periodic alarm after a time. */
static uint64_t moment_after(uint64_t time, uint64_t expiry, uint64_t period)
{
    uint64_t periods = ratio(time - expiry, 1, period) + 1;
    uint64_t most = ratio(NEVER - expiry, 1, period);

    return periods > most ? NEVER : expiry + periods * period;
}

/* One alarm, for a number of interrupts; then it is cancelled. */
static void one_alarm(bool lvtt, uint32_t flags, uint64_t expiry, uint64_t period)
{
    uint32_t wiring = lvtt ? VMI_ALARM_WIRED_LVTT : VMI_ALARM_WIRED_IRQ0;
    uint32_t wanted = lvtt ? VECTOR_LVTT : VECTOR_IRQ0, i;
    uint64_t due = expiry, from = tsc, reach = reach_of(lvtt), came;
    bool goes_on = true, alarm;

    vmi__native_set_alarm(wiring | flags, expiry, period);
    for (i = 0; i < 8 && goes_on; i++) {
        uint32_t vector = next_interrupt();

        if (!vector) {
            /* Nothing comes any more: right only if that is further away than anything. */
            EXPECT(due == NEVER || (due > tsc && due - tsc > 1ull << 61));
            break;
        }
        EXPECT(vector == wanted);
        if (tsc < due) {
            EXPECT(tsc - from >= reach);
        } else {
            /* Late by the margins of a measured timer, or by what is left to the kernel. */
            EXPECT(due < from || tsc - due <= least + (tsc - from) / 512);
            goes_on = flags & VMI_ALARM_PERIODIC && period;
        }
        came = tsc;
        alarm = came >= due;
        tsc += any() & 0xffff; /* its handler */
        if (goes_on && alarm)
            due = moment_after(tsc, expiry, period);
        from = tsc;
        if (vmi__native_ended_vectors[vector])
            vmi__native_alarm_again(vector);
        /* Never a storm: the kernel has its time. After a step on the way an alarm may be near. */
        if (goes_on && alarm)
            EXPECT((lvtt ? machine.apic[0].due : machine.pit_due) - tsc >= least - least / 64);
    }
    if (!goes_on)
        EXPECT(!next_interrupt());
    vmi__native_cancel_alarm(wiring);
    EXPECT(!next_interrupt());
}

static void all_of_64_bits(bool lvtt, bool offers_deadline, bool in_guest, enum pit pit)
{
    static const uint64_t ends[] = {0,          1,          2,          UINT64_MAX, UINT64_MAX - 1,
                                    1ull << 63, 1ull << 62, 1ull << 44, 1ull << 32};

    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + 1500; seed++) {
        uint64_t expiry, period;

        begin(seed, offers_deadline, in_guest, pit);
        expiry = seed % 3 == 0 ? any_size() : seed % 3 == 1 ? tsc + any_size() : ends[seed % 9];
        period = seed % 4 ? any_size() : ends[seed / 4 % 9];
        one_alarm(lvtt, seed % 2 ? VMI_ALARM_PERIODIC : 0, expiry, period);
    }
}

/* ---- checks ---- */

static void lvtt_counts(void)
{
    all_of_64_bits(true, false, false, DATA_SHEET);
}

static void lvtt_has_a_deadline(void)
{
    all_of_64_bits(true, true, false, DATA_SHEET);
}

static void lvtt_has_a_guests_deadline(void)
{
    all_of_64_bits(true, true, true, DATA_SHEET);
}

/* ---- a guest's accesses ---- */

/* An alarm in a while, whose entry the kernel writes first, as one that knows no better does. */
static uint32_t accesses_of_an_alarm(uint32_t vector)
{
    uint32_t *accesses = &machine.apic[machine.cpu].accesses, before = *accesses;

    vmi__native_alarm_write_lvtt(vector);
    vmi__native_set_alarm(VMI_ALARM_WIRED_LVTT, tsc + 5000000, 0);
    return *accesses - before;
}

/* Where APICWrite comes by the library, by either mode of the APIC. */
static void begin_in_guest(uint32_t way, bool offers_deadline)
{
    begin(FIRST_SEED + way, offers_deadline, true, KVM);
    vmi__native_x2apic = way & 1;
    vmi__native_apic_write_called = way & 2;
    for (uint32_t vector = 0; vector < 256; vector++)
        vmi__native_ended_vectors[vector] = false;
}

static void an_alarm_is_one_access(void)
{
    for (uint32_t way = 1; way < 4; way++) {
        begin_in_guest(way, true);
        for (uint32_t i = 0; i < 4; i++) {
            uint32_t accesses = accesses_of_an_alarm(VECTOR_LVTT);

            EXPECT(accesses == 1 || (i < 2 && accesses <= 4));
            EXPECT(next_interrupt() == VECTOR_LVTT);
        }
        EXPECT(accesses_of_an_alarm(VECTOR_OTHER) > 1 && next_interrupt() == VECTOR_OTHER);
        accesses_of_an_alarm(VECTOR_OTHER);
        EXPECT(accesses_of_an_alarm(VECTOR_OTHER) == 1 && next_interrupt() == VECTOR_OTHER);

        /* A periodic one is as cheap, and stopping either. */
        vmi__native_set_alarm(VMI_ALARM_WIRED_LVTT | VMI_ALARM_PERIODIC, tsc, 5000000);
        for (uint32_t i = 0; i < 4; i++) {
            uint32_t before = machine.apic[0].accesses;

            EXPECT(next_interrupt() == VECTOR_OTHER);
            vmi__native_alarm_again(VECTOR_OTHER);
            EXPECT(machine.apic[0].accesses == before + 1);
        }
        machine.apic[0].accesses = 0;
        vmi__native_cancel_alarm(VMI_ALARM_WIRED_LVTT);
        EXPECT(machine.apic[0].accesses == 1 && !next_interrupt());
    }
    /* Where the kernel writes the page by itself what is there is looked at. */
    begin(1, true, false, DATA_SHEET);
    for (uint32_t i = 0; i < 3; i++)
        vmi__native_set_alarm(VMI_ALARM_WIRED_LVTT, tsc + 5000000, 0);
    EXPECT(next_interrupt() == VECTOR_LVTT);
    machine.apic[0].lvtt = VECTOR_OTHER;
    vmi__native_set_alarm(VMI_ALARM_WIRED_LVTT, tsc + 5000000, 0);
    EXPECT(next_interrupt() == VECTOR_OTHER);
}

/* A CPU that is started anew has been reset, and what is known of one is nothing of another's. */
static void each_cpu_has_its_entry(void)
{
    for (uint32_t way = 1; way < 4; way++) {
        begin_in_guest(way, true);
        for (uint32_t i = 0; i < 3; i++) {
            accesses_of_an_alarm(VECTOR_LVTT);
            EXPECT(next_interrupt() == VECTOR_LVTT);
        }
        for (uint32_t start = 0; start < 2; start++) {
            vmi__native_alarm_forget(1);
            machine.cpu = 1;
            machine.apic[1].lvtt = VMI__APIC_LVT_MASKED;
            accesses_of_an_alarm(VECTOR_OTHER);
            EXPECT(next_interrupt() == VECTOR_OTHER);
            machine.cpu = 0;
            EXPECT(accesses_of_an_alarm(VECTOR_LVTT) == 1 && next_interrupt() == VECTOR_LVTT);
        }
    }
}

/* An APIC that is turned off masks its entries, and does so as long as it is off. */
static void an_apic_turned_off_and_on(void)
{
    for (uint32_t way = 1; way < 4; way++) {
        for (uint32_t writes = 0; writes < 3; writes++) {
            begin_in_guest(way, true);
            for (uint32_t i = 0; i < 3; i++) {
                accesses_of_an_alarm(VECTOR_LVTT);
                EXPECT(next_interrupt() == VECTOR_LVTT);
            }
            machine.apic[0].off = true;
            machine.apic[0].lvtt |= VMI__APIC_LVT_MASKED;
            vmi__native_alarm_look_at_lvtt();
            for (uint32_t i = 0; i < writes; i++)
                vmi__native_alarm_write_lvtt(VECTOR_LVTT);
            machine.apic[0].off = false;
            vmi__native_alarm_look_at_lvtt();
            accesses_of_an_alarm(VECTOR_LVTT);
            EXPECT(next_interrupt() == VECTOR_LVTT);
        }
    }
}

static bool reach_apic(void)
{
    return true;
}

/* A client's alarm that went off unheard, as its APIC was off, goes off when it is heard. */
static void a_clients_alarm_while_its_apic_is_off(void)
{
    static const struct vmi__native_published published = {.reach_apic = reach_apic};

    begin_in_guest(2, true);
    vmi__native_published = &published;
    accesses_of_an_alarm(VECTOR_LVTT);
    EXPECT(next_interrupt() == VECTOR_LVTT);
    machine.apic[0].off = true;
    machine.apic[0].lvtt |= VMI__APIC_LVT_MASKED;
    vmi__native_alarm_look_at_lvtt();
    accesses_of_an_alarm(VECTOR_OTHER);
    EXPECT(!next_interrupt());
    machine.apic[0].off = false;
    vmi__native_alarm_look_at_lvtt();
    vmi__native_alarm_write_lvtt(VECTOR_OTHER);
    EXPECT(next_interrupt() == VECTOR_OTHER && !next_interrupt());
    vmi__native_published = 0;
}

/* The kernel may write the entry behind the alarm: that moves, is masked, or goes on. */
static void an_entry_written_while_an_alarm_is_on(void)
{
    for (uint32_t way = 1; way < 4; way++) {
        begin_in_guest(way, true);
        accesses_of_an_alarm(VECTOR_LVTT);
        vmi__native_alarm_write_lvtt(VECTOR_OTHER);
        EXPECT(next_interrupt() == VECTOR_OTHER);
        vmi__native_set_alarm(VMI_ALARM_WIRED_LVTT | VMI_ALARM_PERIODIC, tsc + 5000000, 5000000);
        vmi__native_alarm_write_lvtt(VECTOR_LVTT);
        for (uint32_t i = 0; i < 3; i++) {
            EXPECT(next_interrupt() == VECTOR_LVTT && vmi__native_ended_vectors[VECTOR_LVTT]);
            vmi__native_alarm_again(VECTOR_LVTT);
        }
        vmi__native_alarm_write_lvtt(VECTOR_LVTT | VMI__APIC_LVT_MASKED);
        EXPECT(!next_interrupt());
        EXPECT(accesses_of_an_alarm(VECTOR_LVTT) && next_interrupt() == VECTOR_LVTT);
    }
}

/* A kernel that has the timer count by itself has it in the mode that it wrote. */
static void the_kernels_own_count(void)
{
    for (uint32_t way = 1; way < 4; way++) {
        begin_in_guest(way, true);
        accesses_of_an_alarm(VECTOR_LVTT);
        EXPECT(next_interrupt() == VECTOR_LVTT);
        vmi__native_alarm_write_lvtt(VECTOR_LVTT);
        vmi__native_alarm_leave_timer();
        apic_write(VMI__APIC_TIMER_INITIAL, 1000);
        EXPECT(next_interrupt() == VECTOR_LVTT);
        EXPECT(accesses_of_an_alarm(VECTOR_LVTT) && next_interrupt() == VECTOR_LVTT);
        vmi__native_alarm_write_lvtt(VECTOR_LVTT | LVTT_DEADLINE);
        vmi__native_alarm_leave_timer();
        apic_write(VMI__APIC_TIMER_INITIAL, 1000);
        EXPECT(!next_interrupt() && by_deadline());
    }
}

static void irq0_by_the_data_sheet(void)
{
    all_of_64_bits(false, true, false, DATA_SHEET);
}

/* The handler of a step on the way takes until after the expiry: the alarm is still to come. */
static void falls_due_in_a_handler(void)
{
    uint64_t expiry;

    begin(1, false, false, DATA_SHEET);
    expiry = tsc + reach_of(false) * 2 - reach_of(false) / 2;
    vmi__native_set_alarm(VMI_ALARM_WIRED_IRQ0, expiry, 0);
    EXPECT(next_interrupt() == VECTOR_IRQ0 && tsc < expiry);
    tsc = expiry + 1000;
    vmi__native_alarm_again(VECTOR_IRQ0);
    EXPECT(next_interrupt() == VECTOR_IRQ0);
    vmi__native_alarm_again(VECTOR_IRQ0);
    EXPECT(!next_interrupt());
}

static void irq0_of_qemu(void)
{
    all_of_64_bits(false, true, false, QEMU);
}

static void irq0_of_kvm(void)
{
    all_of_64_bits(false, true, true, KVM);
}

/* By the data sheet and in KVM a silenced PIT has no edge at all, for a client has it unmasked. */
static void silence_is_silent(void)
{
    static const enum pit pits[] = {DATA_SHEET, KVM};

    for (uint32_t i = 0; i < 2; i++) {
        begin(1, true, false, pits[i]);
        vmi__native_pit_oneshot(1000);
        machine.line_open = true;
        vmi__native_pit_oneshot(0);
        EXPECT(!next_interrupt());
        vmi__native_pit_periodic(1000);
        machine.pit_owed = pits[i] == KVM ? 3 : 0; /* its host was busy */
        vmi__native_pit_init();
        EXPECT(!next_interrupt());
    }
}

/* Of a client the PIT makes the periods by itself. */
static void a_clients_period_is_no_storm(void)
{
    static const struct vmi__native_published published;

    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + 500; seed++) {
        begin(seed, true, false, QEMU);
        vmi__native_published = &published;
        vmi__native_set_alarm(VMI_ALARM_WIRED_IRQ0 | VMI_ALARM_PERIODIC, tsc, any_size() | 1);
        EXPECT((machine.pit_count ? machine.pit_count : 0x10000) >=
               VMI__PIT_HZ / VMI__ALARMS_PER_SECOND);
        vmi__native_set_alarm(VMI_ALARM_WIRED_IRQ0 | VMI_ALARM_PERIODIC, tsc, UINT64_MAX);
        EXPECT((machine.pit_count ? machine.pit_count : 0x10000) == 0x10000);
    }
    vmi__native_published = 0;
}

static void far_is_not_near(void)
{
    EXPECT(vmi__scale_saturating(1ull << 63, 1u << 24, 24) == 1ull << 63);
    EXPECT(vmi__scale_saturating(1ull << 63, 1u << 25, 24) == UINT64_MAX);
    EXPECT(vmi__scale_saturating(UINT64_MAX, UINT32_MAX, 32) == UINT64_MAX - (1ull << 32));
    EXPECT(vmi__scale_saturating(UINT64_MAX, UINT32_MAX, 0) == UINT64_MAX);
    EXPECT(vmi__scale_saturating(1000, 3 << 10, 10) == 3000);
    EXPECT(vmi__add_saturating(UINT64_MAX, 1) == UINT64_MAX);
    EXPECT(vmi__add_saturating(UINT64_MAX - 1, 1) == UINT64_MAX);
    EXPECT(vmi__alarm_next(10, 7, 10) == 17 && vmi__alarm_next(10, 7, 16) == 17);
    EXPECT(vmi__alarm_next(10, 7, 17) == 24 &&
           vmi__alarm_next(10, 1, 1ull << 60) == (1ull << 60) + 1);
    EXPECT(vmi__alarm_next(1ull << 63, 1ull << 63, UINT64_MAX) == UINT64_MAX);
    EXPECT(vmi__alarm_next(0, UINT64_MAX, 5) == UINT64_MAX);
}

/* A timer whose frequency is told is looked at shortly, and measured if it is another. */
static void told_frequency(void)
{
    static const uint32_t wrong[] = {24000000, 100000000, 1000000000, 1, 999, UINT32_MAX};

    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + 100; seed++) {
        uint32_t measured, margin;

        begin(seed, false, false, DATA_SHEET);
        EXPECT(watched == vmi__div64(machine.tsc_hz, MEASUREMENTS_PER_SECOND));
        measured = apic_rate;
        margin = (measured >> MARGIN_SHIFT) + 16;

        for (uint32_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
            apic_rate = 0;
            vmi__native_apic_timer_hz = wrong[i];
            vmi__native_alarm_init();
            EXPECT(apic_rate <= measured + margin && apic_rate >= measured - margin);
            EXPECT(watched == vmi__div64(machine.tsc_hz, wrong[i] == machine.bus_hz
                                                             ? CHECKS_PER_SECOND
                                                             : MEASUREMENTS_PER_SECOND));
        }
        vmi__native_apic_timer_hz = 0;
    }
}

static const struct played_check checks[] = {
    CHECK(told_frequency),
    CHECK(far_is_not_near),
    CHECK(lvtt_counts),
    CHECK(lvtt_has_a_deadline),
    CHECK(lvtt_has_a_guests_deadline),
    CHECK(an_alarm_is_one_access),
    CHECK(each_cpu_has_its_entry),
    CHECK(an_apic_turned_off_and_on),
    CHECK(a_clients_alarm_while_its_apic_is_off),
    CHECK(an_entry_written_while_an_alarm_is_on),
    CHECK(the_kernels_own_count),
    CHECK(irq0_by_the_data_sheet),
    CHECK(irq0_of_qemu),
    CHECK(irq0_of_kvm),
    CHECK(falls_due_in_a_handler),
    CHECK(silence_is_silent),
    CHECK(a_clients_period_is_no_storm),
};

PLAY(checks)
