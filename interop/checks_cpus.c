/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Checks of further CPUs: how they start, and that each has alarms of its own. A CPU that has
 * started waits for orders of the first one; one makes calls at a time, all take interrupts.
 */
#include "checks.h"

#define ICR_FIXED    0x4000 /* asserted, to the CPU of the upper half */
#define ICR_INIT     0xc500 /* level, asserted */
#define ICR_DEASSERT 0x8500
#define ICR_STARTUP  0x0600

#define FLAGS_KEPT 0xcd5u /* those that arithmetic sets, IF and DF */

/* What a CPU is asked to do. */
enum order {
    MASK_LVTT,    /* write LVTT as kernels do before they use it */
    OTHER_VECTOR, /* write LVTT with another vector */
    START_ALARM,  /* write LVTT and set a periodic alarm */
    CANCEL_ALARM,
};

struct cpu {
    pxe root[1u << TABLE_SHIFT]; /* which no other CPU uses */
    uint8_t stack[4096];
    struct descriptor gdt[GDT_SLOTS];
    uint32_t tss[TSS_SIZE / 4];
    uint16_t tss_selector;
    struct ap_state state;
    const char *reason;       /* of a check that it has made */
    volatile bool runs;       /* it has made it */
    volatile uint32_t starts; /* with this one */
    volatile enum order order;
    volatile uint32_t asked, answered; /* orders */
} __attribute__((aligned(4096)));

uint32_t client_cpus = 1;

struct registers client_ap_seen;

static struct cpu cpus[CLIENT_CPUS_MAX];

/* ---- on a further CPU ---- */

static const char *check_state(struct cpu *cpu)
{
    const struct registers *seen = &client_ap_seen;
    const struct ap_state *state = &cpu->state;
    struct table_register gdtr = {0, 0}, idtr = {0, 0};
    uint32_t cr0, cr3, cr4, selectors[5];
    uint16_t ldtr;

    __asm__ volatile("mov %%cr0, %0; mov %%cr3, %1; mov %%cr4, %2"
                     : "=r"(cr0), "=r"(cr3), "=r"(cr4));
    __asm__ volatile("sgdt %0; sidt %1; sldt %2" : "=m"(gdtr), "=m"(idtr), "=m"(ldtr));
    __asm__ volatile("mov %%cs, %0; mov %%ds, %1; mov %%es, %2; mov %%fs, %3; mov %%ss, %4"
                     : "=r"(selectors[0]), "=r"(selectors[1]), "=r"(selectors[2]),
                       "=r"(selectors[3]), "=r"(selectors[4]));
    REQUIRE(seen->eax == state->eax && seen->ebx == state->ebx && seen->ecx == state->ecx &&
                seen->edx == state->edx && seen->esi == state->esi && seen->edi == state->edi &&
                seen->ebp == state->ebp,
            "a general register is another");
    REQUIRE((seen->flags & FLAGS_KEPT) == (state->eflags & FLAGS_KEPT), "the flags are others");
    REQUIRE((cr0 | 0x10) == (state->cr0 | 0x10) && cr3 == state->cr3 && cr4 == state->cr4,
            "a control register is another");
    REQUIRE(gdtr.base == state->gdtr_base && gdtr.limit == state->gdtr_limit, "the GDT is another");
    REQUIRE(idtr.base == state->idtr_base && idtr.limit == state->idtr_limit, "the IDT is another");
    REQUIRE(ldtr == state->ldtr, "the LDT is another");
    REQUIRE((selectors[0] & 0xffff) == state->cs && (selectors[1] & 0xffff) == state->ds &&
                (selectors[2] & 0xffff) == state->es && (selectors[3] & 0xffff) == state->fs &&
                (selectors[4] & 0xffff) == state->ss,
            "a segment is another");
    return 0;
}

/* It has an APIC and alarms of its own, and none of those that it had before it was reset. */
static const char *check_alarms(struct cpu *cpu)
{
    volatile uint32_t *alarms = &client_alarms[cpu - cpus];
    uint32_t before = *alarms;

    client_call(CALL_SET_TR, cpu->tss_selector, 0, 0);
    client_call(CALL_APIC_WRITE, APIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS, 0);
    if (cpu->starts > 1) {
        client_call(CALL_APIC_WRITE, APIC_LVTT, VECTOR_LVTT, 0);
        client_call(CALL_APIC_WRITE, APIC_ICR_LOW, ICR_SELF | VECTOR_LVTT, 0);
        client_pass(client_fraction(20));
        REQUIRE(*alarms == ++before, "an alarm outlives the reset of its CPU");
        client_call(CALL_APIC_WRITE, APIC_LVTT, LVT_MASKED, 0);
    }
    client_set_alarm(ALARM_LVTT | ALARM_ONE_SHOT | CYCLES_REAL, client_now(), 0);
    client_call(CALL_APIC_WRITE, APIC_LVTT, VECTOR_LVTT, 0);
    REQUIRE(client_comes(alarms, before + 1), "an alarm of a further CPU does not go off");
    return 0;
}

static void obey(enum order order)
{
    switch (order) {
    case MASK_LVTT:
        client_call(CALL_APIC_WRITE, APIC_LVTT, LVT_MASKED, 0);
        break;
    case OTHER_VECTOR:
        client_call(CALL_APIC_WRITE, APIC_LVTT, VECTOR_LVTT2, 0);
        break;
    case START_ALARM:
        client_call(CALL_APIC_WRITE, APIC_LVTT, VECTOR_LVTT, 0);
        client_set_alarm(ALARM_LVTT | ALARM_PERIODIC | CYCLES_REAL, client_now(),
                         client_fraction(100));
        break;
    case CANCEL_ALARM:
        client_call(CALL_CANCEL_ALARM, ALARM_LVTT, 0, 0);
        break;
    }
}

/* Called by entry.S. */
/* checks_cpus.S */
extern const char client_ap_entry[];
void client_ap_main(void) __attribute__((noreturn));

void client_ap_main(void)
{
    struct cpu *cpu = &cpus[client_this_cpu()];

    cpu->reason = check_state(cpu);
    if (!cpu->reason)
        cpu->reason = check_alarms(cpu);
    cpu->runs = true;
    for (;;) {
        while (cpu->answered != cpu->asked) {
            obey(cpu->order);
            cpu->answered++;
        }
        client_call(CALL_HALT, 0, 0, 0);
        client_call(CALL_DISABLE_INTERRUPTS, 0, 0, 0);
    }
}

/* ---- on the first CPU ---- */

static void command(uint32_t number, uint32_t value)
{
    client_call(CALL_APIC_WRITE, APIC_ICR_HIGH, number << 24, 0);
    client_call(CALL_APIC_WRITE, APIC_ICR_LOW, value, 0);
}

/* Waits, with interrupts let in, until a CPU has made its check or has obeyed. */
static bool waited_for(const struct cpu *cpu)
{
    uint64_t end = client_now() + PATIENCE * client_frequency();

    client_call(CALL_ENABLE_INTERRUPTS, 0, 0, 0);
    while (!(cpu->runs && cpu->answered == cpu->asked) && client_now() < end)
        __asm__ volatile("pause");
    client_call(CALL_DISABLE_INTERRUPTS, 0, 0, 0);
    return cpu->runs && cpu->answered == cpu->asked;
}

static bool obeys(uint32_t number, enum order order)
{
    cpus[number].order = order;
    cpus[number].asked++;
    command(number, ICR_FIXED | VECTOR_WAKE);
    return waited_for(&cpus[number]);
}

/*
 * Tables of a CPU. The second shares the first one's GDT, where it has a TSS descriptor of its own;
 * others have GDTs of their own, with theirs where the first one has its, as kernels had.
 */
static void prepare(uint32_t number)
{
    struct cpu *cpu = &cpus[number];
    struct descriptor *gdt = number == 1 ? client_gdt : cpu->gdt;
    uint32_t i;

    for (i = 0; i < sizeof(cpu->root) / sizeof(cpu->root[0]); i++)
        cpu->root[i] = client_root[i];
    for (i = 0; CLIENT_PAE && i < 4; i++)
        cpu->root[i] &= ~(pxe)PXE_ACCESSED;
    for (i = 0; i < GDT_SLOTS; i++)
        cpu->gdt[i] = client_gdt[i];
    cpu->tss[2] = KERNEL_DS;
    cpu->tss[25] = TSS_SIZE << 16;
    cpu->tss_selector = number == 1 ? TSS_AP : TSS_BSP;
    gdt[cpu->tss_selector / 8] =
        client_segment((uint32_t)(uintptr_t)cpu->tss, TSS_SIZE - 1, ACCESS_TSS);
    cpu->state = (struct ap_state){
        .cr0 = 0x80050023, /* PG, AM, WP, NE, MP, PE */
        .cr3 = client_physical(cpu->root),
        .cr4 = (uint32_t)client_call(CALL_GET_CR4, 0, 0, 0),
        .eip = (uint32_t)(uintptr_t)client_ap_entry,
        .eflags = 0,
        .eax = 0xa1,
        .ebx = 0xb2,
        .ecx = 0xc3,
        .edx = 0xd4,
        .esp = (uint32_t)(uintptr_t)(cpu->stack + sizeof(cpu->stack)),
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
        .gdtr_base = (uint32_t)(uintptr_t)gdt,
        .idtr_base = client_idtr.base,
        .idtr_limit = client_idtr.limit,
    };
}

/* As kernels did: INIT, the state, then STARTUP twice, with a page that has no code in it. */
static const char *start(uint32_t number)
{
    struct cpu *cpu = &cpus[number];

    command(number, ICR_INIT);
    client_pass(client_fraction(100));
    command(number, ICR_DEASSERT);
    prepare(number);
    cpu->runs = false;
    cpu->starts++;
    client_call(CALL_SET_INITIAL_AP_STATE, (uint32_t)(uintptr_t)&cpu->state, number, 0);
    command(number, ICR_STARTUP | 0x01);
    client_pass(client_fraction(2000));
    command(number, ICR_STARTUP | 0x01);
    REQUIRE(waited_for(cpu), "it does not come up");
    return cpu->reason;
}

const char *check_ap(void)
{
    uint32_t number;

    REQUIRE_CALL(CALL_SET_INITIAL_AP_STATE);
    if (client_cpus < 2)
        return SKIP "one CPU";
    for (number = 1; number < client_cpus; number++) {
        const char *reason = start(number);

        if (reason)
            return reason;
    }
    return 0;
}

/* Do so many alarms come, on every CPU from `first` on? */
static bool all_come(uint32_t first, uint32_t count)
{
    uint32_t wanted[CLIENT_CPUS_MAX], number;

    for (number = first; number < client_cpus; number++)
        wanted[number] = client_alarms[number] + count;
    for (number = first; number < client_cpus; number++) {
        if (!client_comes(&client_alarms[number], wanted[number])) {
            client_print("# cpu %u has none\n", number);
            return false;
        }
    }
    return true;
}

static void start_own(void)
{
    obey(START_ALARM);
}

static void cancel_own(void)
{
    obey(CANCEL_ALARM);
    client_pass(client_fraction(50));
}

const char *check_alarm_cpus(void)
{
    uint32_t before[CLIENT_CPUS_MAX], number;

    REQUIRE_CALL(CALL_SET_ALARM);
    if (client_cpus < 2 || !cpus[1].runs)
        return SKIP "one CPU";
    start_own();
    for (number = 1; number < client_cpus; number++)
        REQUIRE(obeys(number, START_ALARM), "a CPU does not answer");
    REQUIRE(all_come(0, 5), "a CPU's alarms do not go on beside another's");
    for (number = 1; number < client_cpus; number++)
        REQUIRE(obeys(number, CANCEL_ALARM), "a CPU does not answer");
    client_pass(client_fraction(50));
    for (number = 1; number < client_cpus; number++)
        before[number] = client_alarms[number];
    REQUIRE(client_comes(&client_alarms[0], client_alarms[0] + 5),
            "the first CPU's alarms end when others cancel theirs");
    for (number = 1; number < client_cpus; number++)
        REQUIRE(client_alarms[number] == before[number], "alarms that are cancelled go on");
    cancel_own();
    return 0;
}

const char *check_alarm_other_lvtt(void)
{
    uint32_t number;

    REQUIRE_CALL(CALL_SET_ALARM);
    if (client_cpus < 2 || !cpus[1].runs)
        return SKIP "one CPU";
    start_own();
    for (number = 1; number < client_cpus; number++) {
        REQUIRE(obeys(number, MASK_LVTT), "a CPU does not answer");
        REQUIRE(client_comes(&client_alarms[0], client_alarms[0] + 3),
                "the first CPU's alarms end when another masks its own");
        REQUIRE(obeys(number, OTHER_VECTOR), "a CPU does not answer");
        REQUIRE(client_comes(&client_alarms[0], client_alarms[0] + 3),
                "the first CPU's alarms end when another writes its vector");
    }
    cancel_own();
    return 0;
}

/* As kernels do that take a CPU out of use for a time. */
const char *check_ap_again(void)
{
    uint32_t number;

    REQUIRE_CALL(CALL_SET_ALARM);
    if (client_cpus < 2 || !cpus[1].runs)
        return SKIP "one CPU";
    for (number = 1; number < client_cpus; number++)
        REQUIRE(obeys(number, START_ALARM), "a CPU does not answer");
    REQUIRE(all_come(1, 2), "a CPU's alarms do not go on");
    for (number = client_cpus; --number > 0;) {
        const char *reason = start(number);

        if (reason)
            return reason;
    }
    return 0;
}
