/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * arch/x86_64/iret.S as a Linux process, which returns to itself. test_xen_pvh_iret.py takes out
 * what only ring 0 can execute: `to_ring_3` stands for the frame's privilege, `kernel_stack` for
 * the word in the per-CPU area.
 */
#include "backends/played.h"

#define CS     0x33 /* of a process (Linux, arch/x86/include/asm/segment.h) */
#define SS     0x2b
#define RFLAGS 0x202
#define RAX    0x1111222233334444
#define RCX    0x5555666677778888
#define EMPTY  0xaaaaaaaaaaaaaaaa

#define WORDS 64

uint8_t to_ring_3;
uintptr_t kernel_stack;
uintptr_t way, saved, landed, got_rax, got_rcx, got_r11;

/* Stacks, one above the other: the frame's, the one it leads to, the kernel's. */
static struct {
    uint64_t frame[WORDS], target[WORDS], own[WORDS];
} stacks;
#define frame_stack  stacks.frame
#define target_stack stacks.target
#define own_stack    stacks.own

extern const char landing[], vmi__native_syscall[], vmi__xen_pvh_iret[], vmi__xen_pvh_sysret[];

/*
 * return_by(frame): by a frame, the way that `way` names; what follows stands where the frames lead
 * to, or where the entry of system calls would.
 */
__asm__("    .text\n"
        "return_by:\n"
        "    push %rbx\n    push %rbp\n    push %r12\n    push %r13\n    push %r14\n    push %r15\n"
        "    mov %rsp, saved(%rip)\n"
        "    mov %rdi, %rsp\n"
        "    movabs $0x1111222233334444, %rax\n"
        "    movabs $0x5555666677778888, %rcx\n"
        "    jmp *way(%rip)\n"
        "    .globl vmi__native_syscall, vmi__native_syscall_end\n"
        "vmi__native_syscall:\n"
        "    jmp landing\n"
        "vmi__native_syscall_end:\n"
        "    nop\n"
        "landing:\n"
        "    mov %rsp, landed(%rip)\n"
        "    mov %rax, got_rax(%rip)\n"
        "    mov %rcx, got_rcx(%rip)\n"
        "    mov %r11, got_r11(%rip)\n"
        "    mov saved(%rip), %rsp\n"
        "    pop %r15\n    pop %r14\n    pop %r13\n    pop %r12\n    pop %rbp\n    pop %rbx\n"
        "    ret\n");
void return_by(const uint64_t *frame);

static void empty(uint64_t *stack)
{
    for (uint32_t i = 0; i < WORDS; i++)
        stack[i] = EMPTY;
}

/* Returns by a frame of a stack at that word, to the target stack's or the same one's word. */
static void leave(uint64_t *stack, uint32_t at, const char *rip, uint64_t *rsp)
{
    empty(frame_stack);
    empty(target_stack);
    empty(own_stack);
    stack[at] = (uintptr_t)rip;
    stack[at + 1] = CS;
    stack[at + 2] = RFLAGS;
    stack[at + 3] = (uintptr_t)rsp;
    stack[at + 4] = SS;
    landed = 0;
    return_by(&stack[at]);
    EXPECT(landed == (uintptr_t)rsp);
}

static void go(uint64_t *stack, uint32_t at, const char *rip, uint64_t *rsp)
{
    way = (uintptr_t)vmi__xen_pvh_iret;
    leave(stack, at, rip, rsp);
    EXPECT(got_rax == RAX && got_rcx == RCX);
}

/* Whether the frame that was used ended at that word. */
static bool frame_below(const uint64_t *end, const char *rip)
{
    return end[-5] == (uintptr_t)rip && end[-4] == CS && end[-1] == SS;
}

static bool untouched(const uint64_t *stack)
{
    for (uint32_t i = 0; i < WORDS; i++)
        if (stack[i] != EMPTY)
            return false;
    return true;
}

static void frame_moves_to_the_stack_it_leads_to(void)
{
    to_ring_3 = 0;
    go(frame_stack, WORDS - 5, landing, &target_stack[40]);
    EXPECT(frame_below(&target_stack[40], landing));
    EXPECT(target_stack[40] == EMPTY && target_stack[32] == EMPTY);
    go(own_stack, WORDS - 5, landing, &target_stack[40]);
    EXPECT(frame_below(&target_stack[40], landing));
}

/* With and without the word by which the processor aligns the stack. */
static void frame_stays_on_its_own_stack(void)
{
    to_ring_3 = 0;
    go(frame_stack, 30, landing, &frame_stack[35]);
    EXPECT(frame_below(&frame_stack[35], landing));
    go(frame_stack, 30, landing, &frame_stack[36]);
    EXPECT(frame_below(&frame_stack[35], landing));
}

/* Where SYSCALL has just entered the stack pointer is any number. */
static void nothing_is_written_by_a_process_stack(void)
{
    to_ring_3 = 0;
    go(frame_stack, WORDS - 5, vmi__native_syscall, &target_stack[40]);
    EXPECT(untouched(target_stack));
}

static void process_frame_moves_to_the_kernel_stack(void)
{
    to_ring_3 = 1;
    kernel_stack = (uintptr_t)&own_stack[WORDS];
    go(frame_stack, WORDS - 5, landing, &target_stack[40]);
    EXPECT(untouched(target_stack));
    EXPECT(frame_below(&own_stack[WORDS], landing));
}

static void process_frame_stays_on_the_kernel_stack(void)
{
    to_ring_3 = 1;
    kernel_stack = (uintptr_t)&own_stack[WORDS];
    go(own_stack, WORDS - 5, landing, &target_stack[40]);
    EXPECT(untouched(target_stack));
    EXPECT(frame_below(&own_stack[WORDS], landing));
}

static void kernel_without_a_stack_has_none_to_move_to(void)
{
    to_ring_3 = 1;
    kernel_stack = 0;
    go(frame_stack, WORDS - 5, landing, &target_stack[40]);
    EXPECT(untouched(target_stack) && untouched(own_stack));
}

/* The instruction takes address and flags from rcx and r11, and the stack pointer is the process's.
 */
static void sysret_takes_what_the_frame_holds(void)
{
    way = (uintptr_t)vmi__xen_pvh_sysret;
    leave(own_stack, WORDS - 5, landing, &target_stack[40]);
    EXPECT(got_rax == RAX && got_rcx == (uintptr_t)landing && got_r11 == RFLAGS);
    EXPECT(untouched(target_stack) && untouched(frame_stack));
}

static const struct played_check checks[] = {
    CHECK(sysret_takes_what_the_frame_holds),
    CHECK(frame_moves_to_the_stack_it_leads_to),
    CHECK(frame_stays_on_its_own_stack),
    CHECK(nothing_is_written_by_a_process_stack),
    CHECK(process_frame_moves_to_the_kernel_stack),
    CHECK(process_frame_stays_on_the_kernel_stack),
    CHECK(kernel_without_a_stack_has_none_to_move_to),
};

PLAY(checks)
