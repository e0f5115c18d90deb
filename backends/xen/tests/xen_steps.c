/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The entries and returns of events.S, one instruction after the other, in a Linux process that
 * plays Xen: an event comes at each of them in turn, and its handler may go on with the thread on
 * another CPU. Whatever the moment, it is handled once, and what was interrupted finds its
 * registers, its stack and its event mask as they were to be.
 */
#include <stdint.h>

#include "xen/tests/xen_steps.h"
#include "xen/domain.h"

#include "xen/arch/i386/faults.c"
#include "xen/events.c"
#include "xen/ports.c"

#include "cpus.c"   /* runtime/ */
#include "string.c" /* runtime/ */

#include "backends/played.h"
#include "xen/tests/xen_steps_played.h"

#define SYS_RT_SIGACTION    174
#define SYS_SIGALTSTACK     186
#define SYS_SET_THREAD_AREA 243

#define SIGTRAP 5
#define SIGSEGV 11

#define SA_SIGINFO  0x00000004u
#define SA_RESTORER 0x04000000u
#define SA_ONSTACK  0x08000000u

/* arch/x86/include/uapi/asm/sigcontext.h, struct sigcontext_32, within struct ucontext_ia32. */
struct context {
    uint32_t flags, link, stack[3];
    uint32_t gs, fs, es, ds, edi, esi, ebp, esp, ebx, edx, ecx, eax;
    uint32_t trap, error, eip, cs, eflags;
};

/* xen_steps.S */
void enter(const void *target, const uint32_t *words, uint32_t count) __attribute__((regparm(3)));
extern const char steps_begin[], steps_end[], landing[], landing_end[], on_vector[], on_fault[],
    from_c[], restorer[];
extern const char vmi__xen_segment_not_present[], vmi__xen_protection_fault[], vmi__xen_pop_es[],
    vmi__xen_pop_ds[], vmi__xen_return_begin[], vmi__xen_return_end[];
__attribute__((regparm(3))) void on_interrupt(uint32_t eip);

uint32_t outer_esp, started_esp, landed[REGISTERS], landed_esp, landed_flags, landed_ds, landed_es;
uint32_t fault_error, back_from_c;
const void *target;

struct shared_info vmi__xen_shared;
struct vmi_boot_info vmi__boot = {.cpu_count = 2, .kernel_rpl = 1};
struct vmi_cpu vmi__cpus[VMI__CPUS_FEW];
uint32_t vmi__xen_hypercall_iret_count; /* no NMI comes here */
static struct vmi__xen_cpu vcpus[2];
struct vmi__xen_cpu *vmi__xen_cpus[VMI__XEN_CPUS_MAX] = {&vcpus[0], &vcpus[1]};
uint32_t vmi__xen_cpu_count = 2;
struct vmi__xen_kept vmi__xen_kept[VMI__XEN_CPUS_MAX];
struct vcpu_info vmi__xen_infos[VMI__XEN_CPUS_MAX];
uint32_t vmi__xen_sysenter_cs[VMI__XEN_CPUS_MAX];

/* ---- how a run goes on ---------------------------------------------------------------------- */

static void set_cpu(uint32_t number)
{
    /* struct user_desc: entry, base, limit; 32-bit data, writable, usable. */
    const uint32_t descriptor[4] = {CPU_ENTRY, 0, number, 0x41};

    call(SYS_SET_THREAD_AREA, (uint32_t)descriptor, 0, 0);
}

static void event_comes(void)
{
    uint32_t number = vmi__xen_this();

    seen.came++;
    vcpus[number].ipi[VECTOR / 32] |= 1u << VECTOR % 32;
    vmi__xen_shared.evtchn_pending[0] |= 1ul << PORT(number);
    vmi__xen_infos[number].evtchn_pending_sel = 1;
    vmi__xen_infos[number].evtchn_upcall_pending = 1;
}

/* As Xen enters its guest for an event or a fault: by a frame on the stack. */
static void bounce(struct context *at, const void *to, int has_error)
{
    uint8_t *mask = &vmi__xen_infos[vmi__xen_this()].evtchn_upcall_mask;
    uint32_t *stack = (uint32_t *)at->esp;

    *--stack = (at->eflags & ~VMI__EFLAGS_IF) | (*mask ? 0 : VMI__EFLAGS_IF);
    *--stack = SELECTOR_KERNEL | (uint32_t)*mask << 16;
    *--stack = at->eip;
    if (has_error)
        *--stack = at->error;
    *mask = 1;
    at->esp = (uint32_t)stack;
    at->eip = (uint32_t)to;
}

/* After each instruction. */
static void on_trap(int signal, const void *info, struct context *at)
{
    uint32_t *stack = (uint32_t *)at->esp;

    (void)signal;
    (void)info;
    if (at->eip >= (uint32_t)landing && at->eip < (uint32_t)landing_end) {
        at->eflags &= ~FLAG_TRAP;
        return;
    }
    /* C is not watched. */
    if (at->eip == (uint32_t)vmi__xen_event || at->eip == (uint32_t)vmi__xen_fault ||
        at->eip == (uint32_t)vmi__xen_carry_out_here || at->eip == (uint32_t)on_interrupt) {
        back_from_c = *stack;
        *stack = (uint32_t)from_c;
        at->eflags &= ~FLAG_TRAP;
        return;
    }
    if (at->eip >= (uint32_t)steps_begin && at->eip < (uint32_t)steps_end) {
        if (++seen.steps == STEPS_MAX) {
            seen.lost = 1;
            at->eip = (uint32_t)landing;
            at->ds = at->es = FLAT_KERNEL_DS;
            return;
        }
        if (at->eip == (uint32_t)plan.gone && !seen.gone) {
            seen.gone = 1;
            *stack = SELECTOR_GONE;
        }
        if (seen.steps == plan.at || seen.steps == plan.again) {
            event_comes();
            if (!vmi__xen_infos[vmi__xen_this()].evtchn_upcall_mask) {
                if (at->eip >= (uint32_t)vmi__xen_return_begin &&
                    at->eip < (uint32_t)vmi__xen_return_end)
                    seen.unwound++;
                bounce(at, vmi__xen_event_callback, 0);
                return;
            }
        }
        /* IRET: for the processor it is a return to the ring of the process, which is watched on.
         */
        if (*(const uint8_t *)at->eip == 0xcf) {
            if ((stack[1] & 0xffff) == SELECTOR_KERNEL)
                stack[1] = SELECTOR_USER;
            stack[2] |= FLAG_TRAP;
        }
    }
}

/* A fault of the library's, which Xen has told by the trap table. */
static void on_segment_fault(int signal, const void *info, struct context *at)
{
    (void)signal;
    (void)info;
    if (at->trap != VECTOR_FAULT || at->eip < (uint32_t)steps_begin ||
        at->eip >= (uint32_t)steps_end)
        call(SYS_EXIT, 1, 0, 0);
    /* One that is there and not present raises #NP: each other time it is that. */
    bounce(at, plan.at % 2 ? vmi__xen_segment_not_present : vmi__xen_protection_fault, 1);
    at->eflags |= FLAG_TRAP;
}

__attribute__((regparm(3))) void on_interrupt(uint32_t eip)
{
    (void)eip;
    seen.handled++;
    vmi__xen_end_of_interrupt(VECTOR);
    if (plan.moves && vmi__xen_this() == 0) {
        vmi__xen_infos[1].evtchn_upcall_mask = 1;
        vmi__xen_infos[0].evtchn_upcall_mask = plan.left;
        set_cpu(1);
    }
}

/* ---- what the library calls ------------------------------------------------------------------ */

VMI__ROUTINE void vmi__xen_carry_out_here(void)
{
    seen.carried++;
    vmi__xen_kept[vmi__xen_this()].count = 0;
}

void vmi__xen_crash(uint32_t ordinal, uintptr_t entry, uint64_t value, intptr_t error)
{
    (void)ordinal, (void)entry, (void)value, (void)error;
    call(SYS_EXIT, 2, 0, 0);
    __builtin_unreachable();
}

__attribute__((cdecl, regparm(0))) int32_t vmi__xen_hypercall_sched_op(uint32_t command,
                                                                       const void *argument)
{
    (void)command, (void)argument;
    return 0;
}

__attribute__((cdecl, regparm(0))) int32_t vmi__xen_hypercall_event_channel_op(uint32_t command,
                                                                               void *argument)
{
    (void)command, (void)argument;
    return 0;
}

__attribute__((cdecl, regparm(0))) int32_t vmi__xen_hypercall_vcpu_op(uint32_t command,
                                                                      uint32_t vcpu, void *argument)
{
    (void)command, (void)vcpu, (void)argument;
    return 0;
}

/* ---- runs ------------------------------------------------------------------------------------ */

struct way {
    const void *target;
    uint32_t words[7]; /* on the stack, the last on top */
    uint32_t count;
    uint32_t popped;       /* how many of them are gone at the end */
    uint8_t masked;        /* at first, */
    uint8_t stays;         /* and at the end */
    uint8_t is_call;       /* eax, ecx, edx and flags may be others */
    uint8_t kept, waiting; /* something is kept back; an event is pending from the beginning */
};

static void watch(uint32_t signal, const void *handler)
{
    const uint32_t action[5] = {(uint32_t)handler, SA_SIGINFO | SA_ONSTACK | SA_RESTORER,
                                (uint32_t)restorer};
    register uint32_t size __asm__("esi") = 8;
    int result;

    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "0"(SYS_RT_SIGACTION), "b"(signal), "c"(action), "d"(0), "r"(size)
                     : "memory");
}

static void start(void)
{
    static uint8_t stack[16384];
    const uint32_t alternate[3] = {(uint32_t)stack, 0, sizeof(stack)};

    call(SYS_SIGALTSTACK, (uint32_t)alternate, 0, 0);
    vmi__xen_return = (const char *)vmi__xen_iret;
    watch(SIGTRAP, on_trap);
    watch(SIGSEGV, on_segment_fault);
}

/* One run; 0, or the number of what does not hold. */
static uint32_t run(const struct way *way)
{
    struct vcpu_info *info;
    uint32_t number;

    set_cpu(0);
    clear(&seen, sizeof(seen));
    clear(&vmi__xen_shared, sizeof(vmi__xen_shared));
    clear(vmi__xen_infos, sizeof(vmi__xen_infos));
    for (uint32_t i = 0; i < 2; i++) {
        clear(vcpus[i].irr, sizeof(vcpus[i].irr));
        clear(vcpus[i].isr, sizeof(vcpus[i].isr));
        clear(vcpus[i].ipi, sizeof(vcpus[i].ipi));
        vcpus[i].arch.gate[VECTOR] = (struct trap_info){
            .vector = VECTOR, .flags = 4, .cs = SELECTOR_USER, .address = (uint32_t)on_vector};
        vcpus[i].arch.gate[VECTOR_FAULT] = (struct trap_info){
            .vector = VECTOR_FAULT, .flags = 4, .cs = SELECTOR_USER, .address = (uint32_t)on_fault};
        vmi__xen_port_set(PORT(i), VMI__XEN_PORT_IPI, 0, i);
    }
    vmi__xen_infos[0].evtchn_upcall_mask = way->masked;
    vmi__xen_kept[0].count = way->kept;
    if (way->waiting)
        event_comes();

    enter(way->target, way->words, way->count);

    number = vmi__xen_this();
    info = &vmi__xen_infos[number];
    if (seen.lost)
        return 1;
    for (uint32_t i = way->is_call ? 3 : 0; i < REGISTERS; i++)
        if (landed[i] != REGISTER(i))
            return 2;
    if (landed_esp != started_esp + 4 * way->popped)
        return 3;
    if (!way->is_call && (landed_flags & FLAGS) != FLAGS)
        return 4;
    if (info->evtchn_upcall_mask != way->stays)
        return 5;
    /* Where events are let in, all that came are handled: two may have come as one. */
    if (!way->stays && (info->evtchn_upcall_pending || (seen.came && !seen.handled)))
        return 6;
    if (seen.handled > seen.came)
        return 7;
    if (seen.came == 1 && !seen.handled && !vmi__xen_infos[0].evtchn_upcall_pending)
        return 8;
    if (number == 1 && vmi__xen_infos[0].evtchn_upcall_mask != plan.left)
        return 9;
    if (seen.carried != way->kept)
        return 10;
    if (vmi__xen_highest(vcpus[0].isr) >= 0 || vmi__xen_highest(vcpus[1].isr) >= 0)
        return 11;
    if (landed_es != (seen.gone && plan.gone == vmi__xen_pop_es ? 0 : FLAT_KERNEL_DS) ||
        landed_ds != (seen.gone && plan.gone == vmi__xen_pop_ds ? 0 : FLAT_KERNEL_DS))
        return 12;
    return 0;
}

/* An event at each instruction, with all that may come of it. */
static void try_all(const struct way *way)
{
    static const char *const pops[] = {0, vmi__xen_pop_es, vmi__xen_pop_ds};
    uint32_t unwound;

    start();
    clear(&plan, sizeof(plan));
    EXPECT(holds(way));
    for (uint32_t variant = 0; variant < 5; variant++) {
        plan.moves = variant > 2;
        plan.left = variant == 4;
        plan.gone = variant < 3 ? pops[variant] : 0;
        if (plan.gone == vmi__xen_pop_ds && way->is_call)
            continue; /* what was interrupted is code that goes on by a ds that is null */
        each_instruction(way, way->waiting);
        EXPECT(plan.at > 4); /* it was watched */
    }
    unwound = each_pair(way, way->waiting);
    /* Its two instructions, and IRET. */
    EXPECT(way->stays || way->is_call || unwound >= 3);
}

#define RETURN(flags)                                                                              \
    {                                                                                              \
        FLAGS | (flags), SELECTOR_KERNEL, (uint32_t)landing                                        \
    }

static void return_lets_events_in(void)
{
    struct way way = {.target = vmi__xen_iret,
                      .count = 3,
                      .popped = 3,
                      .masked = 1,
                      .words = RETURN(VMI__EFLAGS_IF)};

    try_all(&way);
    way.masked = 0;
    try_all(&way);
}

static void return_finds_event_waiting(void)
{
    struct way way = {.target = vmi__xen_iret,
                      .count = 3,
                      .popped = 3,
                      .masked = 1,
                      .waiting = 1,
                      .words = RETURN(VMI__EFLAGS_IF)};

    try_all(&way);
}

static void return_stays_masked(void)
{
    struct way way = {.target = vmi__xen_iret,
                      .count = 3,
                      .popped = 3,
                      .masked = 1,
                      .stays = 1,
                      .words = RETURN(0)};

    try_all(&way);
    way.masked = 0;
    try_all(&way);
}

static void return_carries_out_what_is_kept(void)
{
    struct way way = {.target = vmi__xen_iret,
                      .count = 3,
                      .popped = 3,
                      .masked = 1,
                      .kept = 1,
                      .words = RETURN(VMI__EFLAGS_IF)};

    try_all(&way);
}

static void mask_is_cleared(void)
{
    struct way way = {.target = (void *)vmi__xen_enable_interrupts,
                      .count = 1,
                      .popped = 1,
                      .masked = 1,
                      .is_call = 1,
                      .words = {(uint32_t)landing}};

    try_all(&way);
    way.masked = 0;
    try_all(&way);
}

static void mask_is_cleared_with_event_waiting(void)
{
    struct way way = {.target = (void *)vmi__xen_enable_interrupts,
                      .count = 1,
                      .popped = 1,
                      .masked = 1,
                      .is_call = 1,
                      .waiting = 1,
                      .words = {(uint32_t)landing}};

    try_all(&way);
}

static void mask_is_set(void)
{
    struct way way = {.target = (void *)vmi__xen_mask,
                      .count = 1,
                      .popped = 1,
                      .stays = 1,
                      .is_call = 1,
                      .words = {(uint32_t)landing}};

    try_all(&way);
    EXPECT(landed[0] == 0);
    way.masked = 1;
    try_all(&way);
    EXPECT(landed[0] == 1);
    way.target = (void *)vmi__xen_disable_interrupts;
    try_all(&way);
    way.masked = 0;
    try_all(&way);
}

static void mask_is_read(void)
{
    struct way way = {.target = (void *)vmi__xen_get_interrupt_mask,
                      .count = 1,
                      .popped = 1,
                      .is_call = 1,
                      .words = {(uint32_t)landing}};

    try_all(&way);
    EXPECT(landed[0] == VMI__EFLAGS_IF);
    way.masked = way.stays = 1;
    try_all(&way);
    EXPECT(landed[0] == 0);
}

/* ds, es, fs, gs as they were to be, of which each in turn is not loaded so. */
static void segment_that_xen_could_not_load(void)
{
    struct way way = {.target = vmi__xen_failsafe_callback,
                      .count = 7,
                      .popped = 7,
                      .masked = 1,
                      .words = {FLAGS | VMI__EFLAGS_IF, SELECTOR_KERNEL, (uint32_t)landing, 0,
                                SELECTOR_GONE, FLAT_KERNEL_DS, FLAT_KERNEL_DS}};

    start();
    fault_error = 0;
    for (uint32_t segment = 3; segment < 7 && !failed_line; segment++) {
        way.words[4] = 0;
        way.words[segment] = SELECTOR_GONE;
        clear(&plan, sizeof(plan));
        EXPECT(holds(&way));
        if (segment == 3)
            try_all(&way);
        way.words[segment] = segment < 5 ? 0 : FLAT_KERNEL_DS;
        EXPECT(fault_error == 0);
    }
}

/* All segments are loaded: what Xen could not return by is the frame. */
static void frame_that_xen_could_not_return_by(void)
{
    struct way way = {.target = vmi__xen_failsafe_callback,
                      .count = 7,
                      .popped = 7,
                      .masked = 1,
                      .words = {FLAGS | VMI__EFLAGS_IF, SELECTOR_GONE, 0x1234, 0, 0, FLAT_KERNEL_DS,
                                FLAT_KERNEL_DS}};

    fault_error = 0;
    try_all(&way);
    EXPECT(fault_error == (SELECTOR_GONE & ~3));
}

/* ---- interrupt line 0 ---- */

static uint32_t let_in_at, let_in;

/* What CPU 1 does: where a lock is held, it waits. */
static void let_line_0_in(void)
{
    if (vmi__xen_events_lock.held)
        return;
    set_cpu(1);
    vmi__xen_event_unmask(EVENT_IRQ0);
    set_cpu(0);
    let_in = 1;
}

/* After each instruction of CPU 0's. */
static void on_step(int signal, const void *info, const struct context *at)
{
    (void)signal;
    (void)info;
    (void)at;
    if (++seen.steps >= let_in_at && !let_in)
        let_line_0_in();
}

/*
 * The alarm's line goes off on CPU 0 while CPU 1 lets it in: whatever the moment, it is requested.
 */
static void line_0_is_let_in_while_it_goes_off(void)
{
    static uint8_t signals[16384];
    const uint32_t alternate[3] = {(uint32_t)signals, 0, sizeof(signals)};

    call(SYS_SIGALTSTACK, (uint32_t)alternate, 0, 0);
    watch(SIGTRAP, on_step);
    vmi__xen_return = (const char *)vmi__xen_iret;
    let_in_at = 0;
    do {
        set_cpu(0);
        let_in_at++;
        let_in = 0;
        clear(&seen, sizeof(seen));
        clear(vcpus[0].irr, sizeof(vcpus[0].irr));
        clear(vcpus[0].ipi, sizeof(vcpus[0].ipi));
        vmi__xen_infos[0].evtchn_upcall_mask = 1;
        vmi__xen_infos[1].evtchn_upcall_mask = 1;
        vmi__xen_irq0 = (struct vmi__xen_line){.vector = VECTOR};
        __asm__ volatile("pushf; orl %0, (%%esp); popf" : : "i"(FLAG_TRAP) : "cc", "memory");
        vmi__xen_raise_irq0(&vcpus[0]);
        __asm__ volatile("pushf; andl %0, (%%esp); popf" : : "i"(~FLAG_TRAP) : "cc", "memory");
        if (!let_in)
            let_line_0_in();
        EXPECT(let_in && !vmi__xen_irq0.pending);
        EXPECT((vcpus[0].irr[VECTOR / 32] | vcpus[0].ipi[VECTOR / 32]) >> VECTOR % 32 & 1);
    } while (seen.steps >= let_in_at && !failed_line);
    EXPECT(let_in_at > 10); /* it was watched */
}

static const struct played_check checks[] = {
    CHECK(line_0_is_let_in_while_it_goes_off),
    CHECK(return_lets_events_in),
    CHECK(return_finds_event_waiting),
    CHECK(return_stays_masked),
    CHECK(return_carries_out_what_is_kept),
    CHECK(mask_is_cleared),
    CHECK(mask_is_cleared_with_event_waiting),
    CHECK(mask_is_set),
    CHECK(mask_is_read),
    CHECK(segment_that_xen_could_not_load),
    CHECK(frame_that_xen_could_not_return_by),
};

PLAY(checks)
