/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The entries and returns of x86-64, one instruction after the other, in a Linux process that plays
 * Xen: an event comes at each of them in turn, and its handler may go on with the thread on another
 * CPU. Whatever the moment, it is handled once, and what was interrupted finds its registers, its
 * stack and its event mask as they were to be.
 */
#include <stdint.h>

#include "xen/tests/xen_steps64.h"

#include "xen/domain.h"

#include "xen/events.c"
#include "xen/ports.c"

#include "cpus.c"   /* runtime/ */
#include "string.c" /* runtime/ */

#include "backends/played.h"
#include "xen/tests/xen_steps_played.h"

/* arch/x86/entry/syscalls/syscall_64.tbl; asm/prctl.h. */
#define SYS_RT_SIGACTION 13
#define SYS_SIGALTSTACK  131
#define SYS_ARCH_PRCTL   158
#define ARCH_SET_GS      0x1001

#define SIGTRAP 5

#define SA_SIGINFO  0x00000004ul
#define SA_RESTORER 0x04000000ul
#define SA_ONSTACK  0x08000000ul

#define VECTOR_OPCODE 6
#define WORDS_MAX     12

/* arch/x86/include/uapi/asm/sigcontext.h, struct sigcontext_64, within struct ucontext. */
struct context {
    uint64_t flags, link, stack[3];
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip;
    uint64_t eflags;
};

/* xen_steps64.S */
void enter(const void *target, const uint64_t *words, uint64_t count, const void *top);
extern const char steps_begin[], steps_end[], landing[], landing_end[], on_vector[], on_fault[],
    on_opcode[], vmi__xen_syscall_callback32[], from_c[], restorer[], vmi__xen_traps[],
    vmi__xen_syscall_callback[], vmi__xen_return_begin[], vmi__xen_return_end[];
void on_interrupt(void);

uint64_t outer, entry_rcx, entry_r11, landed[REGISTERS], landed_sp, landed_flags, returned;
uint32_t returns, vmi__xen_hypercall_iret_count;
uint64_t fault_error, opcode_at, back_from_c;
const void *target;

struct shared_info vmi__xen_shared;
struct vmi_boot_info vmi__boot = {.cpu_count = 2, .kernel_rpl = 3};
struct vmi_cpu vmi__cpus[VMI__CPUS_FEW];
static struct vmi__xen_cpu records[2];
struct vmi__xen_cpu *vmi__xen_cpus[VMI__XEN_CPUS_MAX] = {&records[0], &records[1]};
uint32_t vmi__xen_cpu_count = 2;
const char vmi__xen_m2p_load[1], vmi__xen_m2p_hole[1];

static struct {
    uint64_t words[VMI_PERCPU_SIZE / 8];
} areas[2];
static uint8_t stack[8192] __attribute__((aligned(16)));
#define TOP (stack + sizeof(stack) - 256)

/* ---- how a run goes on ---- */

static int64_t call64(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    register uint64_t fourth __asm__("r10") = d;
    int64_t result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
                     : "rcx", "r11", "memory");
    return result;
}

static void set_cpu(uint32_t number)
{
    uintptr_t area = (uintptr_t)&areas[number];

    *(uint32_t *)(area + VMI_PERCPU_NUMBER) = number;
    *(uintptr_t *)(area + VMI_PERCPU_PRIVATE) = (uintptr_t)&records[number];
    call64(SYS_ARCH_PRCTL, ARCH_SET_GS, area, 0, 0);
}

static void event_comes(void)
{
    uint32_t number = vmi__xen_this();
    struct vcpu_info *info = vmi__xen_vcpu(number);

    seen.came++;
    records[number].ipi[VECTOR / 32] |= 1u << VECTOR % 32;
    vmi__xen_shared.evtchn_pending[0] |= 1ul << PORT(number);
    info->evtchn_pending_sel = 1;
    info->evtchn_upcall_pending = 1;
}

/* As Xen enters its guest for an event: by a frame on the stack, on a boundary of 16 bytes. */
static void bounce(struct context *at, const void *to)
{
    uint8_t *mask = &vmi__xen_vcpu(vmi__xen_this())->evtchn_upcall_mask;
    uint64_t *frame = (uint64_t *)(at->rsp & ~15ul);

    *--frame = FLAT_KERNEL_SS;
    *--frame = at->rsp;
    *--frame = (at->eflags & ~(uint64_t)VMI__EFLAGS_IF) | (*mask ? 0 : VMI__EFLAGS_IF);
    *--frame = SELECTOR_KERNEL | (uint64_t)*mask << 32;
    *--frame = at->rip;
    *--frame = at->r11;
    *--frame = at->rcx;
    *mask = 1;
    at->rsp = (uint64_t)frame;
    at->rip = (uint64_t)to;
    at->rcx = at->r11 = 0x5151;
}

/* After each instruction. */
static void on_trap(int signal, const void *info, struct context *at)
{
    uint64_t *top = (uint64_t *)at->rsp;

    (void)signal;
    (void)info;
    if (at->rip >= (uint64_t)landing && at->rip < (uint64_t)landing_end) {
        at->eflags &= ~(uint64_t)FLAG_TRAP;
        return;
    }
    /* C is not watched. */
    if (at->rip == (uint64_t)vmi__xen_event || at->rip == (uint64_t)vmi__xen_carry_out_here ||
        at->rip == (uint64_t)on_interrupt) {
        back_from_c = *top;
        *top = (uint64_t)from_c;
        at->eflags &= ~(uint64_t)FLAG_TRAP;
        return;
    }
    if (at->rip < (uint64_t)steps_begin || at->rip >= (uint64_t)steps_end)
        return;
    if (++seen.steps == STEPS_MAX) {
        seen.lost = 1;
        at->rip = (uint64_t)landing;
        return;
    }
    if (seen.steps == plan.at || seen.steps == plan.again) {
        event_comes();
        if (!vmi__xen_vcpu(vmi__xen_this())->evtchn_upcall_mask) {
            if (at->rip >= (uint64_t)vmi__xen_return_begin &&
                at->rip < (uint64_t)vmi__xen_return_end)
                seen.unwound++;
            bounce(at, vmi__xen_event_callback);
            return;
        }
    }
    /* IRET goes on being watched. */
    if (*(const uint16_t *)at->rip == 0xcf48)
        top[2] |= FLAG_TRAP;
}

void on_interrupt(void)
{
    seen.handled++;
    vmi__xen_end_of_interrupt(VECTOR);
    if (plan.moves && vmi__xen_this() == 0) {
        vmi__xen_vcpu(1)->evtchn_upcall_mask = 1;
        vmi__xen_vcpu(0)->evtchn_upcall_mask = plan.left;
        set_cpu(1);
    }
}

/* ---- what the library calls ---- */

VMI__ROUTINE void vmi__xen_carry_out_here(void)
{
    seen.carried++;
    vmi__xen_note_kept(0);
}

int64_t vmi__xen_hypercall_sched_op(uint32_t command, const void *argument)
{
    (void)command, (void)argument;
    return 0;
}

int64_t vmi__xen_hypercall_event_channel_op(uint32_t command, void *argument)
{
    (void)command, (void)argument;
    return 0;
}

int64_t vmi__xen_hypercall_vcpu_op(uint32_t command, uint32_t vcpu, void *argument)
{
    (void)command, (void)vcpu, (void)argument;
    return 0;
}

/* ---- runs ---- */

struct way {
    const void *target;
    uint64_t words[WORDS_MAX]; /* on the stack, the last on top */
    uint32_t count;
    uint8_t masked;        /* at first, */
    uint8_t stays;         /* and at the end */
    uint8_t is_call;       /* rax, rcx and flags may be others */
    uint8_t loses;         /* rcx and r11 may be */
    uint8_t entered;       /* by Xen: rcx and r11 are on the stack */
    uint8_t no_entry;      /* the kernel has named none for system calls */
    uint8_t kept, waiting; /* something is kept back; an event is pending from the beginning */
};

static void start(void)
{
    static uint8_t signals[65536];
    const uint64_t alternate[3] = {(uint64_t)signals, 0, sizeof(signals)};
    const uint64_t action[4] = {(uint64_t)on_trap, SA_SIGINFO | SA_ONSTACK | SA_RESTORER,
                                (uint64_t)restorer, 0};

    vmi__xen_return = (const char *)vmi__xen_iret;
    call64(SYS_SIGALTSTACK, (uint64_t)alternate, 0, 0, 0);
    call64(SYS_RT_SIGACTION, SIGTRAP, (uint64_t)action, 0, 8);
}

/* One run; 0, or the number of what does not hold. */
static uint32_t run(const struct way *way)
{
    struct vcpu_info *info;
    uint32_t number;

    set_cpu(0);
    clear(&seen, sizeof(seen));
    clear(&vmi__xen_shared, sizeof(vmi__xen_shared));
    returns = 0;
    for (uint32_t i = 0; i < 2; i++) {
        clear(&records[i].arch.info, sizeof(records[i].arch.info));
        clear(records[i].irr, sizeof(records[i].irr));
        clear(records[i].isr, sizeof(records[i].isr));
        clear(records[i].ipi, sizeof(records[i].ipi));
        records[i].arch.kept = 0;
        records[i].arch.syscall = way->no_entry ? 0 : (uintptr_t)landing;
        records[i].arch.gate[VECTOR].address = (uint64_t)on_vector;
        records[i].arch.gate[VECTOR_FAULT].address = (uint64_t)on_fault;
        records[i].arch.gate[VECTOR_OPCODE].address = (uint64_t)on_opcode;
        vmi__xen_port_set(PORT(i), VMI__XEN_PORT_IPI, 0, i);
    }
    records[0].arch.info.evtchn_upcall_mask = way->masked;
    records[0].arch.kept = way->kept;
    entry_rcx = way->entered ? 0x7777 : REGISTER(1);
    entry_r11 = way->entered ? 0x7777 : REGISTER(2);
    if (way->waiting)
        event_comes();

    enter(way->target, way->words, way->count, TOP);

    number = vmi__xen_this();
    info = vmi__xen_vcpu(number);
    if (seen.lost)
        return 1;
    for (uint32_t i = way->is_call ? 2 : 0; i < REGISTERS; i++)
        if (landed[i] != REGISTER(i) && !(way->loses && (i == 1 || i == 2)))
            return 2;
    if (landed_sp != (way->loses && !returns ? (uint64_t)TOP - 40 : (uint64_t)TOP))
        return 3;
    if (!way->is_call && !way->entered && (landed_flags & FLAGS) != FLAGS)
        return 4;
    if (info->evtchn_upcall_mask != way->stays)
        return 5;
    /* Where events are let in, all that came are handled: two may have come as one. */
    if (!way->stays && !returns && (info->evtchn_upcall_pending || (seen.came && !seen.handled)))
        return 6;
    if (seen.handled > seen.came)
        return 7;
    if (seen.came == 1 && !seen.handled && !vmi__xen_vcpu(0)->evtchn_upcall_pending)
        return 8;
    if (number == 1 && vmi__xen_vcpu(0)->evtchn_upcall_mask != plan.left)
        return 9;
    if (seen.carried != way->kept)
        return 10;
    if (vmi__xen_highest(records[0].isr) >= 0 || vmi__xen_highest(records[1].isr) >= 0)
        return 11;
    return 0;
}

/* An event at each instruction, with all that may come of it. Returns what each_pair does. */
static uint32_t try_all(const struct way *way)
{
    start();
    clear(&plan, sizeof(plan));
    EXPECT(holds(way));
    for (uint32_t variant = 0; variant < 3; variant++) {
        plan.moves = variant > 0;
        plan.left = variant == 2;
        each_instruction(way, way->waiting);
        EXPECT(plan.at > 2); /* it was watched */
    }
    return each_pair(way, way->waiting);
}

#define FRAME(cs, flags) FLAT_KERNEL_SS, (uint64_t)TOP, FLAGS | (flags), (cs), (uint64_t)landing

static void return_lets_events_in(void)
{
    struct way way = {.target = vmi__xen_iret,
                      .count = 5,
                      .masked = 1,
                      .words = {FRAME(SELECTOR_KERNEL, VMI__EFLAGS_IF)}};

    /* Its two instructions, and IRET. */
    EXPECT(try_all(&way) >= 3);
    way.masked = 0;
    EXPECT(try_all(&way) >= 3);
    way.masked = way.waiting = 1;
    try_all(&way);
}

static void return_stays_masked(void)
{
    struct way way = {.target = vmi__xen_iret,
                      .count = 5,
                      .masked = 1,
                      .stays = 1,
                      .words = {FRAME(SELECTOR_KERNEL, 0)}};

    try_all(&way);
    way.masked = 0;
    try_all(&way);
}

static void return_carries_out_what_is_kept(void)
{
    struct way way = {.target = vmi__xen_iret,
                      .count = 5,
                      .masked = 1,
                      .kept = 1,
                      .words = {FRAME(SELECTOR_KERNEL, VMI__EFLAGS_IF)}};

    try_all(&way);
    way.words[3] = FLAT_KERNEL_CS;
    try_all(&way);
    EXPECT(returns == 1);
}

/* To a process by Xen, in either form. */
static void return_to_a_process(void)
{
    struct way way = {.target = vmi__xen_iret,
                      .count = 5,
                      .masked = 1,
                      .words = {FRAME(FLAT_KERNEL_CS, VMI__EFLAGS_IF)}};

    try_all(&way);
    EXPECT(returns == 1 && returned == 0);
    way.masked = 0;
    try_all(&way);
    way.target = vmi__xen_sysret;
    way.masked = way.loses = 1;
    try_all(&way);
    EXPECT(returns == 1 && returned == VGCF_in_syscall);
    /* By SYSRET, Xen would fault in its own ring 0 where no process can be. */
    way.words[4] = 0xffff880000000000;
    try_all(&way);
    EXPECT(returns == 1 && returned == 0);
}

/* An NMI ends by Xen, to wherever it came. */
static void return_from_an_nmi(void)
{
    struct way way = {.target = vmi__xen_iret,
                      .count = 5,
                      .masked = 1,
                      .words = {FRAME(SELECTOR_KERNEL, VMI__EFLAGS_IF)}};

    start();
    clear(&plan, sizeof(plan));
    records[0].arch.nmi = 1;
    run(&way);
    EXPECT(returns == 1 && returned == 0 && !records[0].arch.nmi);
    records[0].arch.nmi = 1;
    way.words[3] = FLAT_KERNEL_CS;
    run(&way);
    EXPECT(returns == 1 && !records[0].arch.nmi);
}

static void mask_is_cleared(void)
{
    struct way way = {.target = (const void *)vmi__xen_enable_interrupts,
                      .count = 1,
                      .masked = 1,
                      .is_call = 1,
                      .words = {(uint64_t)landing}};

    try_all(&way);
    way.masked = 0;
    try_all(&way);
    way.masked = way.waiting = 1;
    try_all(&way);
}

static void mask_is_set(void)
{
    struct way way = {.target = (const void *)vmi__xen_mask,
                      .count = 1,
                      .stays = 1,
                      .is_call = 1,
                      .words = {(uint64_t)landing}};

    try_all(&way);
    EXPECT(landed[0] == 0);
    way.masked = 1;
    try_all(&way);
    EXPECT(landed[0] == 1);
    way.target = (const void *)vmi__xen_disable_interrupts;
    try_all(&way);
    way.masked = 0;
    try_all(&way);
}

static void mask_is_read(void)
{
    struct way way = {.target = (const void *)vmi__xen_get_interrupt_mask,
                      .count = 1,
                      .is_call = 1,
                      .words = {(uint64_t)landing}};

    try_all(&way);
    EXPECT(landed[0] == VMI__EFLAGS_IF);
    way.masked = way.stays = 1;
    try_all(&way);
    EXPECT(landed[0] == 0);
}

/* With rcx and r11 on top, as Xen enters. */
static void trap_reaches_its_handler(void)
{
    struct way way = {
        .target = vmi__xen_traps + 16 * VECTOR_FAULT,
        .count = 8,
        .entered = 1,
        .words = {FRAME(SELECTOR_KERNEL, VMI__EFLAGS_IF), 0x1234, REGISTER(2), REGISTER(1)}};

    fault_error = 0;
    try_all(&way);
    EXPECT(fault_error == 0x1234);
    way.masked = 1;
    try_all(&way);
}

static void system_call_reaches_its_entry(void)
{
    struct way way = {.target = vmi__xen_syscall_callback,
                      .count = 7,
                      .masked = 1,
                      .stays = 1,
                      .entered = 1,
                      .loses = 1,
                      .words = {FRAME(FLAT_KERNEL_CS, VMI__EFLAGS_IF), REGISTER(2), REGISTER(1)}};

    try_all(&way);
}

/* It is an invalid opcode then, at the instruction itself. */
static void system_call_without_an_entry(void)
{
    struct way way = {.target = vmi__xen_syscall_callback,
                      .count = 7,
                      .masked = 1,
                      .entered = 1,
                      .no_entry = 1,
                      .words = {FRAME(FLAT_KERNEL_CS, VMI__EFLAGS_IF), REGISTER(2), REGISTER(1)}};

    opcode_at = 0;
    try_all(&way);
    EXPECT(opcode_at == (uint64_t)landing - 2);
    way.target = vmi__xen_syscall_callback32;
    way.no_entry = 0;
    try_all(&way);
}

/* ds, es, fs, gs as they were to be, of which each in turn is not loaded so. */
static void segment_that_xen_could_not_load(void)
{
    struct way way = {.target = vmi__xen_failsafe_callback,
                      .count = 11,
                      .masked = 1,
                      .entered = 1,
                      .words = {FRAME(SELECTOR_KERNEL, VMI__EFLAGS_IF), REGISTER(2), REGISTER(1)}};

    fault_error = 0;
    for (uint32_t segment = 7; segment < 11 && !failed_line; segment++) {
        way.words[segment] = SELECTOR_GONE;
        try_all(&way);
        way.words[segment] = 0;
        EXPECT(fault_error == 0);
    }
}

/* All segments are loaded: what Xen could not return by is the frame. */
static void frame_that_xen_could_not_return_by(void)
{
    struct way way = {.target = vmi__xen_failsafe_callback,
                      .count = 11,
                      .masked = 1,
                      .entered = 1,
                      .words = {FRAME(SELECTOR_GONE, VMI__EFLAGS_IF), REGISTER(2), REGISTER(1)}};

    fault_error = 0;
    try_all(&way);
    EXPECT(fault_error == (SELECTOR_GONE & ~3));
}

static const struct played_check checks[] = {
    CHECK(return_lets_events_in),
    CHECK(return_stays_masked),
    CHECK(return_carries_out_what_is_kept),
    CHECK(return_to_a_process),
    CHECK(return_from_an_nmi),
    CHECK(mask_is_cleared),
    CHECK(mask_is_set),
    CHECK(mask_is_read),
    CHECK(trap_reaches_its_handler),
    CHECK(system_call_reaches_its_entry),
    CHECK(system_call_without_an_entry),
    CHECK(segment_that_xen_could_not_load),
    CHECK(frame_that_xen_could_not_return_by),
};

PLAY(checks)
