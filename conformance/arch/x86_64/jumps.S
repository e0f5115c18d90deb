/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Calls that are reached by a jump: where they lead is of their own kind, so nothing is generated for them. */

#include <vmi/constants.h>

    .text

/* A value that is a register's own: number N of struct contract_registers. */
    .macro fill number, name
    movabs $0x5ec0de01 + 0x01010100 * \number << 32 | 0x5ec0de01, %\name
    .endm

/* Sets the register's bit in contract_changed if it holds another. rax: scratch. */
    .macro compare number, name
    fill \number, rax
    cmp %rax, %\name
    je 1f
    orl $1 << \number, contract_changed
1:
    .endm

    .macro each_register does
    \does 1, rcx
    \does 2, rdx
    \does 3, rbx
    \does 4, rbp
    \does 5, rsi
    \does 6, rdi
    \does 7, r8
    \does 8, r9
    \does 9, r10
    \does 10, r11
    \does 11, r12
    \does 12, r13
    \does 13, r14
    \does 14, r15
    .endm

/*
 * void probe_iret(void): returns to the label below by a frame that holds contract_in.flags. Every register holds
 * a value that is its own, and is compared afterwards (contract.h); the flags must be those of the frame.
 */
    .globl probe_iret
probe_iret:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    pushf
    mov %rsp, contract_sp
    mov %rsp, %rax
    mov %ss, %ecx
    push %rcx
    push %rax
    push contract_in + 8 * 15
    mov %cs, %ecx
    and $~3, %ecx /* RPL 0 is the kernel's in frames, whatever its ring */
    push %rcx
    push $returned
    fill 0, rax
    each_register fill
    lock incl vmi_call_count + 4 * VMI_ORDINAL_IRET
    jmp vmi_iret
returned:
    pushf
    pop contract_out + 8 * 15
    movl $0, contract_changed
    mov %rax, contract_out
    each_register compare
    fill 0, rcx
    cmp %rcx, contract_out
    je 1f
    orl $1, contract_changed
1:  cmp contract_sp, %rsp
    je 1f
    orl $0x80000000, contract_changed
1:  mov contract_sp, %rsp
    mov contract_in + 8 * 15, %rdx
    xor contract_out + 8 * 15, %rdx
    and $0xcd5, %edx /* DF, OF, SF, ZF, AF, PF, CF */
    jz 1f
    orl $1 << 15, contract_changed
1:  popf
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

/*
 * void sysret_to(const struct trap_frame *frame), frame in rdi: to ring 3 by SYSRET, to where the frame would
 * return. Registers get what the frame has.
 */
    .globl sysret_to
sysret_to:
    mov %rdi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rbp
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rbx
    pop %rax
    add $16, %rsp /* vector and error code */
    lock incl vmi_call_count + 4 * VMI_ORDINAL_SYSRET
    jmp vmi_sysret

    .section .note.GNU-stack, "", @progbits
