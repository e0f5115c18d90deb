/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Checks of the local APIC, time, alarms and the second CPU.
 */
#include "checks.h"

#define APIC_VERSION  0x030
#define APIC_TPR      0x080
#define APIC_SVR      0x0f0
#define APIC_ICR_LOW  0x300
#define APIC_ICR_HIGH 0x310
#define APIC_LVTT     0x320

#define SVR_ENABLE   0x100
#define LVT_MASKED   0x10000
#define ICR_SELF     0x44000 /* fixed, asserted, to this CPU */
#define ICR_INIT     0xc500  /* level, asserted */
#define ICR_DEASSERT 0x8500
#define ICR_STARTUP  0x0600

#define PIC1_DATA 0x21

#define NO_ROM "no ROM"
#define REQUIRE_CALL(ordinal)                                                                      \
    do {                                                                                           \
        if (!client_has(ordinal))                                                                  \
            return SKIP NO_ROM;                                                                    \
    } while (0)

/* Seconds until what must come is said not to come: for machines that have other things to do. */
#define PATIENCE 20

static uint64_t frequency(void)
{
    return client_call(CALL_GET_CYCLE_FREQUENCY, 0, 0, 0);
}

static uint64_t now(void)
{
    return client_call(CALL_GET_CYCLE_COUNTER, CYCLES_REAL, 0, 0);
}

static void set_alarm(uint32_t flags, uint64_t expiry, uint64_t period)
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

static uint64_t fraction(uint32_t parts)
{
    return divide(frequency(), parts);
}

/* Waits with interrupts let in for so many interrupts of a vector; false if they do not come. */
static bool comes(uint32_t vector, uint32_t count)
{
    uint64_t end = now() + PATIENCE * frequency();
    bool came;

    client_call(CALL_ENABLE_INTERRUPTS, 0, 0, 0);
    while (!(came = client_interrupts[vector] >= count) && now() < end)
        __asm__ volatile("pause");
    client_call(CALL_DISABLE_INTERRUPTS, 0, 0, 0);
    return came;
}

/* Lets interrupts in for so many cycles. */
static void pass(uint64_t cycles)
{
    uint64_t end = now() + cycles;

    client_call(CALL_ENABLE_INTERRUPTS, 0, 0, 0);
    while (now() < end)
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
    hz = frequency();
    client_print("# frequency hz=%u%s\n", (uint32_t)hz, hz >> 32 ? " (low half)" : "");
    REQUIRE(hz >= 1000000 && hz <= 20000000000ull, "no machine is that slow or fast");
    REQUIRE(frequency() == hz, "it changes");
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

/* One shot of either wiring: it comes, not early, and once. */
static const char *one_shot(uint32_t wiring, uint32_t vector)
{
    uint32_t before = client_interrupts[vector];
    uint64_t expiry = now() + fraction(50);

    set_alarm(wiring | ALARM_ONE_SHOT | CYCLES_REAL, expiry, 0);
    REQUIRE(comes(vector, before + 1), "it does not go off");
    REQUIRE(now() >= expiry, "it goes off early");
    pass(fraction(20));
    REQUIRE(client_interrupts[vector] == before + 1, "it goes off again");
    return 0;
}

/* A periodic one, set as kernels do: from now on, by available cycles. */
static const char *periodic(uint32_t wiring, uint32_t vector)
{
    uint32_t before = client_interrupts[vector], then;
    uint64_t start = now(), period = fraction(100);

    set_alarm(wiring | ALARM_PERIODIC | CYCLES_AVAIL,
              client_call(CALL_GET_CYCLE_COUNTER, CYCLES_AVAIL, 0, 0), period);
    REQUIRE(comes(vector, before + 5), "it does not go on");
    REQUIRE(now() - start >= 4 * period - period / 64, "it goes off too often");
    client_call(CALL_CANCEL_ALARM, wiring, 0, 0);
    pass(2 * period); /* what is pending may still arrive */
    then = client_interrupts[vector];
    pass(4 * period);
    REQUIRE(client_interrupts[vector] == then, "it goes off though it is cancelled");
    return 0;
}

static void open_irq0(bool open)
{
    client_outb(PIC1_DATA, open ? 0xfe : 0xff);
}

const char *check_alarm_irq0(void)
{
    const char *reason;

    REQUIRE_CALL(CALL_SET_ALARM);
    /* What the firmware has left of the timer ends first. */
    client_call(CALL_CANCEL_ALARM, ALARM_IRQ0, 0, 0);
    open_irq0(true);
    pass(fraction(200));
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
    set_alarm(ALARM_LVTT | ALARM_PERIODIC | CYCLES_REAL, now(), fraction(100));
    pass(fraction(50));
    REQUIRE(client_interrupts[VECTOR_LVTT] == before, "it goes off though it is masked");
    client_call(CALL_APIC_WRITE, APIC_LVTT, VECTOR_LVTT, 0);
    REQUIRE(comes(VECTOR_LVTT, before + 3), "it is forgotten");
    client_call(CALL_CANCEL_ALARM, ALARM_LVTT, 0, 0);
    pass(fraction(50));
    return 0;
}

const char *check_alarm_past(void)
{
    uint32_t before = client_interrupts[VECTOR_LVTT];

    REQUIRE_CALL(CALL_SET_ALARM);
    set_alarm(ALARM_LVTT | ALARM_ONE_SHOT | CYCLES_REAL, now() - 1, 0);
    REQUIRE(comes(VECTOR_LVTT, before + 1), "an alarm of the past does not go off");
    /* Halt waits for an alarm. */
    before = client_interrupts[VECTOR_LVTT];
    set_alarm(ALARM_LVTT | ALARM_ONE_SHOT | CYCLES_REAL, now() + fraction(100), 0);
    client_call(CALL_HALT, 0, 0, 0);
    client_call(CALL_DISABLE_INTERRUPTS, 0, 0, 0);
    REQUIRE(client_interrupts[VECTOR_LVTT] > before, "Halt returns before the alarm");
    return 0;
}

const char *check_cancel(void)
{
    uint32_t before = client_interrupts[VECTOR_LVTT];

    REQUIRE_CALL(CALL_CANCEL_ALARM);
    set_alarm(ALARM_LVTT | ALARM_ONE_SHOT | CYCLES_REAL, now() + frequency(), 0);
    client_call(CALL_CANCEL_ALARM, ALARM_LVTT, 0, 0);
    pass(frequency() + fraction(4));
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
    pass(fraction(1000));
    second = client_call(CALL_GET_WALLCLOCK_TIME, 0, 0, 0);
    REQUIRE(second > first, "it stands still");
    client_call(CALL_WALLCLOCK_UPDATED, 0, 0, 0);
    REQUIRE((uint32_t)client_call(CALL_WALLCLOCK_UPDATED, 0, 0, 0) == 0,
            "it is said to have been set, and nobody has");
    return 0;
}

/* ---- second CPU ---- */

struct registers client_ap_seen;

static const char *ap_reason;
static volatile uint32_t ap_done;

/* A root of its own, which no other CPU uses before it does. */
static pxe ap_root[1u << TABLE_SHIFT] __attribute__((aligned(4096)));
static struct ap_state state;

uint32_t client_cpus = 1;

#define FLAGS_KEPT 0xcd5u /* those that arithmetic sets, IF and DF */

static const char *ap_check(void)
{
    const struct registers *seen = &client_ap_seen;
    struct table_register gdtr = {0, 0}, idtr = {0, 0};
    uint32_t cr0, cr3, cr4, before, selectors[5];
    uint16_t ldtr;

    __asm__ volatile("mov %%cr0, %0; mov %%cr3, %1; mov %%cr4, %2"
                     : "=r"(cr0), "=r"(cr3), "=r"(cr4));
    __asm__ volatile("sgdt %0; sidt %1; sldt %2" : "=m"(gdtr), "=m"(idtr), "=m"(ldtr));
    __asm__ volatile("mov %%cs, %0; mov %%ds, %1; mov %%es, %2; mov %%fs, %3; mov %%ss, %4"
                     : "=r"(selectors[0]), "=r"(selectors[1]), "=r"(selectors[2]),
                       "=r"(selectors[3]), "=r"(selectors[4]));
    REQUIRE(seen->eax == state.eax && seen->ebx == state.ebx && seen->ecx == state.ecx &&
                seen->edx == state.edx && seen->esi == state.esi && seen->edi == state.edi &&
                seen->ebp == state.ebp,
            "a general register is another");
    REQUIRE((seen->flags & FLAGS_KEPT) == (state.eflags & FLAGS_KEPT), "the flags are others");
    REQUIRE((cr0 | 0x10) == (state.cr0 | 0x10) && cr3 == state.cr3 && cr4 == state.cr4,
            "a control register is another");
    REQUIRE(gdtr.base == state.gdtr_base && gdtr.limit == state.gdtr_limit, "the GDT is another");
    REQUIRE(idtr.base == state.idtr_base && idtr.limit == state.idtr_limit, "the IDT is another");
    REQUIRE(ldtr == state.ldtr, "the LDT is another");
    REQUIRE((selectors[0] & 0xffff) == state.cs && (selectors[1] & 0xffff) == state.ds &&
                (selectors[2] & 0xffff) == state.es && (selectors[3] & 0xffff) == state.fs &&
                (selectors[4] & 0xffff) == state.ss,
            "a segment is another");

    /* It has an APIC and alarms of its own. */
    client_call(CALL_SET_TR, TSS_AP, 0, 0);
    client_call(CALL_APIC_WRITE, APIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS, 0);
    before = client_interrupts[VECTOR_LVTT];
    set_alarm(ALARM_LVTT | ALARM_ONE_SHOT | CYCLES_REAL, now(), 0);
    client_call(CALL_APIC_WRITE, APIC_LVTT, VECTOR_LVTT, 0);
    REQUIRE(comes(VECTOR_LVTT, before + 1), "an alarm of the second CPU does not go off");
    return 0;
}

/* Called on the second CPU by entry.S. */
void client_ap_main(void) __attribute__((noreturn));

void client_ap_main(void)
{
    ap_reason = ap_check();
    ap_done = 1;
    for (;;)
        __asm__ volatile("cli; hlt");
}

static void command(uint32_t value)
{
    client_call(CALL_APIC_WRITE, APIC_ICR_HIGH, 1u << 24, 0);
    client_call(CALL_APIC_WRITE, APIC_ICR_LOW, value, 0);
}

const char *check_ap(void)
{
    uint64_t end;
    uint32_t i;

    REQUIRE_CALL(CALL_SET_INITIAL_AP_STATE);
    if (client_cpus < 2)
        return SKIP "one CPU";
    for (i = 0; i < sizeof(ap_root) / sizeof(ap_root[0]); i++)
        ap_root[i] = client_root[i];
    for (i = 0; CLIENT_PAE && i < 4; i++)
        ap_root[i] &= ~(pxe)PXE_ACCESSED;
    state = (struct ap_state){
        .cr0 = 0x80050023, /* PG, AM, WP, NE, MP, PE */
        .cr3 = client_physical(ap_root),
        .cr4 = (uint32_t)client_call(CALL_GET_CR4, 0, 0, 0),
        .eip = (uint32_t)(uintptr_t)client_ap_entry,
        .eflags = 0,
        .eax = 0xa1,
        .ebx = 0xb2,
        .ecx = 0xc3,
        .edx = 0xd4,
        .esp = (uint32_t)(uintptr_t)client_ap_stack_top,
        .ebp = 0xe5,
        .esi = 0xf6,
        .edi = 0x17,
        .cs = KERNEL_CS,
        .ss = KERNEL_DS,
        .ds = USER_DS | 3,
        .es = USER_DS | 3,
        .fs = KERNEL_DS,
        .ldtr = LDT,
        .gdtr_limit = client_gdtr.limit,
        .gdtr_base = client_gdtr.base,
        .idtr_base = client_idtr.base,
        .idtr_limit = client_idtr.limit,
    };
    /* As kernels did: INIT, the state, then STARTUP twice, with a page that has no code in it. */
    command(ICR_INIT);
    pass(fraction(100));
    command(ICR_DEASSERT);
    client_call(CALL_SET_INITIAL_AP_STATE, (uint32_t)(uintptr_t)&state, 1, 0);
    command(ICR_STARTUP | 0x01);
    pass(fraction(2000));
    command(ICR_STARTUP | 0x01);
    end = now() + PATIENCE * frequency();
    while (!ap_done && now() < end)
        __asm__ volatile("pause");
    REQUIRE(ap_done, "it does not come up");
    return ap_reason;
}
