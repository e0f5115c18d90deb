/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Checks of the local APIC, time and alarms on one CPU.
 */
#include "checks.h"

#define APIC_VERSION 0x030
#define APIC_TPR     0x080

#define PIC1_DATA 0x21

uint64_t client_frequency(void)
{
    return client_call(CALL_GET_CYCLE_FREQUENCY, 0, 0, 0);
}

uint64_t client_now(void)
{
    return client_call(CALL_GET_CYCLE_COUNTER, CYCLES_REAL, 0, 0);
}

void client_set_alarm(uint32_t flags, uint64_t expiry, uint64_t period)
{
    client_call_stack(CALL_SET_ALARM, flags, (uint32_t)expiry, (uint32_t)(expiry >> 32),
                      (uint32_t)period, (uint32_t)(period >> 32));
}

/* Quotient by a divisor of 32 bits, without a library: bit by bit. */
static uint64_t divide(uint64_t value, uint32_t divisor)
{
    uint64_t rest = 0, quotient = 0;
    uint32_t i;

    for (i = 64; i-- > 0;) {
        rest = rest << 1 | (value >> i & 1);
        quotient <<= 1;
        if (rest >= divisor) {
            rest -= divisor;
            quotient |= 1;
        }
    }
    return quotient;
}

uint64_t client_fraction(uint32_t parts)
{
    return divide(client_frequency(), parts);
}

bool client_comes(const volatile uint32_t *interrupts, uint32_t count)
{
    uint64_t end = client_now() + PATIENCE * client_frequency();
    bool came;

    client_call(CALL_ENABLE_INTERRUPTS, 0, 0, 0);
    while (!(came = *interrupts >= count) && client_now() < end)
        __asm__ volatile("pause");
    client_call(CALL_DISABLE_INTERRUPTS, 0, 0, 0);
    return came;
}

/* The same, by vector. */
static bool comes(uint32_t vector, uint32_t count)
{
    return client_comes(&client_interrupts[vector], count);
}

void client_pass(uint64_t cycles)
{
    uint64_t end = client_now() + cycles;

    client_call(CALL_ENABLE_INTERRUPTS, 0, 0, 0);
    while (client_now() < end)
        __asm__ volatile("pause");
    client_call(CALL_DISABLE_INTERRUPTS, 0, 0, 0);
}

/* ---- local APIC ---- */

const char *check_apic(void)
{
    volatile uint32_t *registers = (volatile uint32_t *)(uintptr_t)APIC_LINEAR;

    /* First by the register's offset, as a kernel does that passes no more than that. */
    REQUIRE((uint32_t)client_call(CALL_APIC_READ, APIC_VERSION, 0, 0) ==
                registers[APIC_VERSION / 4],
            "APICRead by offset reads another");
    client_call(CALL_APIC_WRITE, APIC_TPR, 0x20, 0);
    REQUIRE(registers[APIC_TPR / 4] == 0x20, "APICWrite by offset has not written");
    /* Then by its linear address. */
    client_call(CALL_APIC_WRITE, APIC_LINEAR + APIC_TPR, 0, 0);
    REQUIRE(registers[APIC_TPR / 4] == 0, "APICWrite by address has not written");
    REQUIRE((uint32_t)client_call(CALL_APIC_READ, APIC_LINEAR + APIC_VERSION, 0, 0) ==
                registers[APIC_VERSION / 4],
            "APICRead by address reads another");
    client_call(CALL_APIC_WRITE, APIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS, 0);
    return 0;
}

const char *check_halt(void)
{
    uint32_t before = client_interrupts[VECTOR_LVTT];

    /* Pending before the halt: it must not sleep over it. */
    client_call(CALL_APIC_WRITE, APIC_ICR_LOW, ICR_SELF | VECTOR_LVTT, 0);
    client_call(CALL_HALT, 0, 0, 0);
    client_call(CALL_DISABLE_INTERRUPTS, 0, 0, 0);
    REQUIRE(client_interrupts[VECTOR_LVTT] == before + 1, "the pending interrupt has not come");
    return 0;
}

/* ---- time ---- */

const char *check_frequency(void)
{
    uint64_t hz;

    REQUIRE_CALL(CALL_GET_CYCLE_FREQUENCY);
    hz = client_frequency();
    client_print("# frequency hz=%u%s\n", (uint32_t)hz, hz >> 32 ? " (low half)" : "");
    REQUIRE(hz >= 1000000 && hz <= 20000000000ull, "no machine is that slow or fast");
    REQUIRE(client_frequency() == hz, "it changes");
    return 0;
}

const char *check_counters(void)
{
    uint64_t last, next;
    uint32_t which, i;

    REQUIRE_CALL(CALL_GET_CYCLE_COUNTER);
    for (which = CYCLES_REAL; which <= CYCLES_STOLEN; which++) {
        last = client_call(CALL_GET_CYCLE_COUNTER, which, 0, 0);
        for (i = 0; i < 1000; i++) {
            next = client_call(CALL_GET_CYCLE_COUNTER, which, 0, 0);
            REQUIRE(next >= last, "a counter goes back");
            last = next;
        }
    }
    next = client_call(CALL_GET_CYCLE_COUNTER, CYCLES_AVAIL, 0, 0);
    for (i = 0; i < 1000; i++)
        __asm__ volatile("pause");
    REQUIRE(client_call(CALL_GET_CYCLE_COUNTER, CYCLES_AVAIL, 0, 0) > next,
            "available cycles stand still");
    return 0;
}

/* ---- alarms ---- */

/* As client_pass, with interrupts masked. */
static void pass_masked(uint64_t cycles)
{
    uint64_t start = client_now();

    while (client_now() - start < cycles)
        __asm__ volatile("pause");
}

/*
 * How often an emulated timer of a wiring may still raise its line for what it was set to before: a
 * PIT's emulator may be as late as a busy machine makes it.
 */
static uint32_t left_over(uint32_t wiring)
{
    return wiring == ALARM_IRQ0;
}

/*
 * Interrupts of a vector before a time. They are taken between two looks at the counter, so that
 * one is early for certain only if the next look is so too.
 */
static uint32_t come_before(uint32_t vector, uint64_t time)
{
    uint32_t before = client_interrupts[vector], early = 0;

    while (client_now() < time) {
        early = client_interrupts[vector] - before;
        client_call(CALL_ENABLE_INTERRUPTS, 0, 0, 0);
        __asm__ volatile("pause");
        client_call(CALL_DISABLE_INTERRUPTS, 0, 0, 0);
    }
    return early;
}

/* One shot of either wiring: it comes, not early, and once. */
static const char *one_shot(uint32_t wiring, uint32_t vector)
{
    uint32_t before = client_interrupts[vector], early;
    uint64_t expiry = client_now() + client_fraction(50);

    client_set_alarm(wiring | ALARM_ONE_SHOT | CYCLES_REAL, expiry, 0);
    early = come_before(vector, expiry);
    REQUIRE(early <= left_over(wiring), "it goes off early");
    REQUIRE(comes(vector, before + early + 1), "it does not go off");
    client_pass(client_fraction(20));
    REQUIRE(client_interrupts[vector] <= before + 1 + left_over(wiring), "it goes off again");
    return 0;
}

/* A periodic one, set as kernels do: from now on, by available cycles. */
static const char *periodic(uint32_t wiring, uint32_t vector)
{
    uint32_t before = client_interrupts[vector], then;
    uint64_t start = client_now(), period = client_fraction(100);

    client_set_alarm(wiring | ALARM_PERIODIC | CYCLES_AVAIL,
                     client_call(CALL_GET_CYCLE_COUNTER, CYCLES_AVAIL, 0, 0), period);
    REQUIRE(comes(vector, before + 5), "it does not go on");
    REQUIRE(client_now() - start >= 4 * period - period / 64, "it goes off too often");
    client_call(CALL_CANCEL_ALARM, wiring, 0, 0);
    /* What was pending may still arrive: a controller keeps one request while it is masked. */
    then = client_interrupts[vector];
    pass_masked(10 * period);
    client_pass(11 * period);
    REQUIRE(client_interrupts[vector] <= then + 1 + left_over(wiring),
            "it goes off though it is cancelled");
    return 0;
}

static void open_irq0(bool open)
{
    client_outb(PIC1_DATA, open ? 0xfe : 0xff);
}

/*
 * What the firmware has left of the timer ends first, however late this machine's emulator is with
 * it: an alarm takes its place, and is waited for.
 */
static void settle_irq0(void)
{
    uint32_t before = client_interrupts[VECTOR_IRQ0];
    uint64_t expiry = client_now() + client_fraction(50);

    client_set_alarm(ALARM_IRQ0 | ALARM_ONE_SHOT | CYCLES_REAL, expiry, 0);
    comes(VECTOR_IRQ0, before + 1);
    while (client_now() < expiry)
        __asm__ volatile("pause");
    client_pass(client_fraction(200));
}

const char *check_alarm_irq0(void)
{
    const char *reason;

    REQUIRE_CALL(CALL_SET_ALARM);
    open_irq0(true);
    settle_irq0();
    reason = one_shot(ALARM_IRQ0, VECTOR_IRQ0);
    open_irq0(false);
    return reason;
}

const char *check_alarm_irq0_periodic(void)
{
    const char *reason;

    REQUIRE_CALL(CALL_SET_ALARM);
    open_irq0(true);
    reason = periodic(ALARM_IRQ0, VECTOR_IRQ0);
    open_irq0(false);
    return reason;
}

const char *check_alarm_lvtt(void)
{
    REQUIRE_CALL(CALL_SET_ALARM);
    client_call(CALL_APIC_WRITE, APIC_LVTT, VECTOR_LVTT, 0);
    return one_shot(ALARM_LVTT, VECTOR_LVTT);
}

const char *check_alarm_lvtt_periodic(void)
{
    REQUIRE_CALL(CALL_SET_ALARM);
    return periodic(ALARM_LVTT, VECTOR_LVTT);
}

/* The alarm first, its vector afterwards, as kernels did on further CPUs. */
const char *check_alarm_lvtt_late(void)
{
    uint32_t before = client_interrupts[VECTOR_LVTT];

    REQUIRE_CALL(CALL_SET_ALARM);
    client_call(CALL_APIC_WRITE, APIC_LVTT, LVT_MASKED, 0);
    client_set_alarm(ALARM_LVTT | ALARM_PERIODIC | CYCLES_REAL, client_now(), client_fraction(100));
    client_pass(client_fraction(50));
    REQUIRE(client_interrupts[VECTOR_LVTT] == before, "it goes off though it is masked");
    client_call(CALL_APIC_WRITE, APIC_LVTT, VECTOR_LVTT, 0);
    REQUIRE(comes(VECTOR_LVTT, before + 3), "it is forgotten");
    client_call(CALL_CANCEL_ALARM, ALARM_LVTT, 0, 0);
    client_pass(client_fraction(50));
    return 0;
}

const char *check_alarm_past(void)
{
    uint32_t before = client_interrupts[VECTOR_LVTT];

    REQUIRE_CALL(CALL_SET_ALARM);
    client_set_alarm(ALARM_LVTT | ALARM_ONE_SHOT | CYCLES_REAL, client_now() - 1, 0);
    REQUIRE(comes(VECTOR_LVTT, before + 1), "an alarm of the past does not go off");
    /* Halt waits for an alarm. */
    before = client_interrupts[VECTOR_LVTT];
    client_set_alarm(ALARM_LVTT | ALARM_ONE_SHOT | CYCLES_REAL, client_now() + client_fraction(100),
                     0);
    client_call(CALL_HALT, 0, 0, 0);
    client_call(CALL_DISABLE_INTERRUPTS, 0, 0, 0);
    REQUIRE(client_interrupts[VECTOR_LVTT] > before, "Halt returns before the alarm");
    return 0;
}

const char *check_cancel(void)
{
    uint32_t before = client_interrupts[VECTOR_LVTT];

    REQUIRE_CALL(CALL_CANCEL_ALARM);
    client_set_alarm(ALARM_LVTT | ALARM_ONE_SHOT | CYCLES_REAL, client_now() + client_frequency(),
                     0);
    client_call(CALL_CANCEL_ALARM, ALARM_LVTT, 0, 0);
    client_pass(client_frequency() + client_fraction(4));
    REQUIRE(client_interrupts[VECTOR_LVTT] == before, "it goes off though it is cancelled");
    return 0;
}

/* ---- wall clock ---- */

static uint32_t cmos(uint8_t index)
{
    uint8_t value;

    client_outb(0x70, index);
    value = client_inb(0x71);
    return (value >> 4) * 10u + (value & 15);
}

/* Days since 1970 by the real-time clock, which QEMU's firmware leaves in BCD. */
static uint32_t rtc_days(void)
{
    static const uint16_t before_month[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    uint32_t years = 30 + cmos(9), month = cmos(8), day = cmos(7);
    uint32_t leap = (years + 1) / 4;
    bool this_is_leap = (years + 2) % 4 == 0;

    return years * 365 + leap + before_month[month - 1] + (this_is_leap && month > 2) + day - 1;
}

const char *check_wallclock(void)
{
    uint64_t first, second;
    uint32_t before, days, after;

    REQUIRE_CALL(CALL_GET_WALLCLOCK_TIME);
    before = rtc_days();
    first = client_call(CALL_GET_WALLCLOCK_TIME, 0, 0, 0);
    after = rtc_days();
    days = (uint32_t)divide(divide(first, 1000000000), 86400);
    client_print("# wallclock days=%u rtc=%u\n", days, after);
    REQUIRE(days >= before - 1 && days <= after + 1, "it is another day than the clock's");
    client_pass(client_fraction(1000));
    second = client_call(CALL_GET_WALLCLOCK_TIME, 0, 0, 0);
    REQUIRE(second > first, "it stands still");
    client_call(CALL_WALLCLOCK_UPDATED, 0, 0, 0);
    REQUIRE((uint32_t)client_call(CALL_WALLCLOCK_UPDATED, 0, 0, 0) == 0,
            "it is said to have been set, and nobody has");
    return 0;
}
