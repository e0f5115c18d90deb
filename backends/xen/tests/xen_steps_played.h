/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What xen_steps.c and xen_steps64.c share: what is tried and what came of it, what the library
 * calls and Xen would answer, and an event at each instruction in turn. Each of them says how it
 * enters the library (`start`, `run`) and how an event comes.
 */
#ifndef XEN_STEPS_PLAYED_H
#define XEN_STEPS_PLAYED_H

#define VECTOR       0x61
#define VECTOR_FAULT 13
#define FLAGS        (2u | 0x8d5u) /* all that arithmetic sets */
#define PORT(cpu)    (1 + (cpu))
#define STEPS_MAX    2000

/* How the library is entered, and what holds then. */
struct way;

/* Makes this process watch itself. */
static void start(void);
/* One run; 0, or the number of what does not hold. */
static uint32_t run(const struct way *way);

/* What is tried. */
static struct {
    uint32_t at, again; /* instructions of the library before events come; 0 for none */
    uint32_t moves;     /* the handler goes on on CPU 1, */
    uint8_t left;       /* and CPU 0 has its mask so from then on */
    const char *gone;   /* the pop whose selector names nothing by then; i386 only */
} plan;

/* What came of it. */
static struct {
    uint32_t steps; /* instructions of the library */
    uint32_t came, handled;
    uint32_t carried; /* times that what was kept back was carried out */
    uint32_t unwound; /* an event came on the way out, where its registers are */
    uint32_t gone;    /* a descriptor went */
    uint32_t lost;    /* it did not come to an end */
} seen;

/* ---- what the library calls ------------------------------------------------------------------ */

void vmi__xen_alarms(struct vmi__xen_cpu *cpu)
{
    (void)cpu;
}

void vmi__xen_gates_again(struct vmi__xen_cpu *cpu)
{
    (void)cpu;
}

uint64_t vmi__xen_system_time(void)
{
    return 0;
}

uint32_t vmi__xen_take(struct vmi__xen_lock *lock_taken)
{
    uint32_t mask = vmi__xen_mask();

    lock_taken->held = 1;
    return mask;
}

void vmi__xen_give(struct vmi__xen_lock *lock_taken, uint32_t mask)
{
    lock_taken->held = 0;
    vmi__xen_unmask(mask);
}

/* Xen is not told of the FIFO ABI here. */
uint64_t vmi__xen_machine(const void *linear)
{
    return (uintptr_t)linear;
}

/* Xenstore has nothing to tell. */
uint32_t vmi__xen_common_store_told;
bool vmi__xen_requests_known = true;

void vmi__xen_common_store_look(void)
{
}

void vmi__xen_requests_came(struct vmi__xen_cpu *cpu)
{
    (void)cpu;
}

evtchn_port_t vmi__xen_console_port(void)
{
    return 0;
}

void vmi__xen_report(uint32_t ordinal, uintptr_t entry, uint64_t value, intptr_t error)
{
    (void)ordinal, (void)entry, (void)value, (void)error;
    seen.lost = 1;
}

uint32_t vmi__memory_claim(uint32_t size, uint32_t limit)
{
    (void)size, (void)limit;
    return 0;
}

/* ---- runs ------------------------------------------------------------------------------------ */

static void clear(void *from, uint32_t size)
{
    volatile uint8_t *bytes = from;

    for (uint32_t i = 0; i < size; i++)
        bytes[i] = 0;
}

/* Says what was tried when it went wrong. */
static int holds(const struct way *way)
{
    uint32_t what = run(way);

    if (what) {
        put("# does not hold: ");
        put_number(what);
        put(", event at ");
        put_number(plan.at);
        put(" and ");
        put_number(plan.again);
        put(plan.moves ? ", moved\n" : "\n");
    }
    return !what;
}

/* An event at each instruction, as `plan` says besides; `waiting` events have come before. */
static void each_instruction(const struct way *way, uint32_t waiting)
{
    plan.at = plan.again = 0;
    do {
        plan.at++;
        EXPECT(holds(way));
    } while (seen.came > waiting && !failed_line);
}

/*
 * The same, and where it comes on the way out, a second one at each instruction from there on.
 * Returns how many instructions are on the way out.
 */
static uint32_t each_pair(const struct way *way, uint32_t waiting)
{
    uint32_t unwound = 0;

    clear(&plan, sizeof(plan));
    do {
        plan.again = 0;
        plan.at++;
        EXPECT(holds(way));
        if (!seen.unwound)
            continue;
        unwound++;
        for (plan.again = plan.at + 1; seen.steps >= plan.again && !failed_line; plan.again++)
            EXPECT(holds(way));
        seen.came = ~0u; /* of the last pair one may not have: there is more */
    } while (seen.came > waiting && !failed_line);
    return unwound;
}

#endif
