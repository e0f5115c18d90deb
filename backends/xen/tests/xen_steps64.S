/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The library's entries and returns as part of a Linux process, for xen_steps64.c, with the way into
 * them and the places that they lead to.
 */
#define __ASSEMBLY__
#include "xen/tests/xen_steps64.h"
#include "xen/domain.h"

    .text
    .globl steps_begin, steps_end
steps_begin:
#include "xen/arch/x86_64/mask.S"
#include "xen/arch/x86_64/events.S"
    .text
steps_end:

/*
 * void enter(target, words, count, top): in rdi, rsi, rdx, rcx. Pushes the words onto the stack that
 * ends at top, loads registers with values that are known, and goes to the target, with a trap after
 * each instruction. Returns when `landing` is reached.
 */
    .globl enter
enter:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, outer
    mov %rcx, %rsp
    mov %rdi, target
1:  push (%rsi)
    add $8, %rsi
    dec %rdx
    jnz 1b
    mov entry_rcx, %rcx
    mov entry_r11, %r11
    mov $REGISTER(0), %eax
    mov $REGISTER(3), %edx
    mov $REGISTER(4), %ebx
    mov $REGISTER(5), %ebp
    mov $REGISTER(6), %esi
    mov $REGISTER(7), %edi
    mov $REGISTER(8), %r8d
    mov $REGISTER(9), %r9d
    mov $REGISTER(10), %r10d
    mov $REGISTER(11), %r12d
    mov $REGISTER(12), %r13d
    mov $REGISTER(13), %r14d
    mov $REGISTER(14), %r15d
    pushf
    orl $FLAG_TRAP, (%rsp)
    popf
    jmp *target

/* Where all ways lead to: what is found is kept in `landed`. */
    .globl landing, landing_end
landing:
    mov %rax, landed
    mov %rcx, landed + 8
    mov %r11, landed + 16
    mov %rdx, landed + 24
    mov %rbx, landed + 32
    mov %rbp, landed + 40
    mov %rsi, landed + 48
    mov %rdi, landed + 56
    mov %r8, landed + 64
    mov %r9, landed + 72
    mov %r10, landed + 80
    mov %r12, landed + 88
    mov %r13, landed + 96
    mov %r14, landed + 104
    mov %r15, landed + 112
    mov %rsp, landed_sp
    pushf
    pop landed_flags
    mov outer, %rsp
    cld
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
landing_end:

/* Xen's return: rax, r11, rcx, its flags, frame. With SYSRET's form rcx and r11 are lost. */
    .globl played_return
played_return:
    mov 24(%rsp), %rax
    mov %rax, returned
    mov %gs:VMI_PERCPU_PRIVATE, %rax
    movb $0, VMI__XEN_CPU_INFO + VMI__XEN_VCPU_MASK(%rax)
    pop %rax
    pop %r11
    pop %rcx
    add $8, %rsp
    incl returns
    orq $3, 8(%rsp) /* RPL 0 is the kernel's */
    cmpw $0, 6(%rsp)
    je 1f
    movq $landing, (%rsp) /* where no process is, it would fault */
1:  iretq

/* Where C returns to, instead of to its caller: the traps are on again from here. Flags are lost. */
    .globl from_c
from_c:
    push back_from_c
    pushf
    orl $FLAG_TRAP, (%rsp)
    popf
    ret

/* The kernel's handler of VECTOR; on the stack: frame. */
    .globl on_vector
on_vector:
    push %rax
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    call on_interrupt
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rax
    jmp vmi__xen_iret

/* The kernel's handler of #GP; on the stack: error code, frame. */
    .globl on_fault
on_fault:
    pop fault_error
    movq $landing, (%rsp)
    movq $SELECTOR_KERNEL, 8(%rsp)
    jmp vmi__xen_iret

/* That of invalid opcodes; on the stack: frame. */
    .globl on_opcode
on_opcode:
    push %rax
    mov 8(%rsp), %rax
    mov %rax, opcode_at
    pop %rax
    movq $landing, (%rsp)
    movq $SELECTOR_KERNEL, 8(%rsp)
    jmp vmi__xen_iret

    .globl restorer
restorer:
    mov $15, %eax /* rt_sigreturn (arch/x86/entry/syscalls/syscall_64.tbl) */
    syscall

    .section .note.GNU-stack, "", @progbits
