/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Calls that are reached by a jump: where they lead is of their own kind, so nothing is generated for them. */

#include <vmi/constants.h>

    .text

/*
 * void probe_iret(void): returns to the label below by a frame that holds contract_in.flags. Every register holds
 * a value that is its own, and is compared afterwards (contract.h); the flags must be those of the frame.
 */
    .globl probe_iret
probe_iret:
    pushl %ebx
    pushl %ebp
    pushl %esi
    pushl %edi
    pushfl
    movl %esp, contract_sp
    pushl contract_in + 28
    pushl %cs
    pushl $1f
    movl $0x5ec0de01, %eax
    movl $0x5fc1de02, %ecx
    movl $0x60c2de03, %edx
    movl $0x61c3de04, %ebx
    movl $0x62c4de05, %ebp
    movl $0x63c5de06, %esi
    movl $0x64c6de07, %edi
    lock incl vmi_call_count + 4 * VMI_ORDINAL_IRET
    jmp vmi_iret
1:  pushfl
    popl contract_out + 28
    movl %eax, contract_out
    xorl %eax, %eax /* registers that were changed */
    cmpl $0x5ec0de01, contract_out
    je 1f
    orl $0x01, %eax
1:  cmpl $0x5fc1de02, %ecx
    je 1f
    orl $0x02, %eax
1:  cmpl $0x60c2de03, %edx
    je 1f
    orl $0x04, %eax
1:  cmpl $0x61c3de04, %ebx
    je 1f
    orl $0x08, %eax
1:  cmpl $0x62c4de05, %ebp
    je 1f
    orl $0x10, %eax
1:  cmpl $0x63c5de06, %esi
    je 1f
    orl $0x20, %eax
1:  cmpl $0x64c6de07, %edi
    je 1f
    orl $0x40, %eax
1:  cmpl contract_sp, %esp
    je 1f
    orl $0x80000000, %eax
1:  movl contract_sp, %esp
    movl contract_in + 28, %edx
    xorl contract_out + 28, %edx
    andl $0xcd5, %edx /* DF, OF, SF, ZF, AF, PF, CF */
    jz 1f
    orl $0x80, %eax
1:  movl %eax, contract_changed
    popfl
    popl %edi
    popl %esi
    popl %ebp
    popl %ebx
    ret

/*
 * void sysexit_to(const struct trap_frame *frame), frame in eax: to ring 3 by SYSEXIT, to where the frame would
 * return. Registers get what the frame has, but for ecx and edx, which carry the way.
 */
    .globl sysexit_to
sysexit_to:
    movl 40(%eax), %edx /* eip */
    movl 52(%eax), %ecx /* user_esp */
    movl (%eax), %edi
    movl 4(%eax), %esi
    movl 8(%eax), %ebp
    movl 16(%eax), %ebx
    movl 28(%eax), %eax
    lock incl vmi_call_count + 4 * VMI_ORDINAL_SYSEXIT
    jmp vmi_sysexit

    .section .note.GNU-stack, "", @progbits
