/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The ways to and from ring 3, and code for it. Source: Intel SDM vol. 2B, SYSENTER and SYSEXIT.
 */
#include "layout.h"

    .text

/*
 * uint32_t client_to_user(uint32_t entry, uint32_t stack, uint32_t by_sysexit), cdecl: enters ring 3
 * and comes back when that calls client_user_done, whose argument is the result.
 */
    .globl client_to_user
client_to_user:
    push %ebp
    push %ebx
    push %esi
    push %edi
    mov 20(%esp), %edx
    mov 24(%esp), %ecx
    mov 28(%esp), %eax
    mov %esp, user_return
    test %eax, %eax
    jnz 1f
    push $(USER_DS | 3)
    push %ecx
    push $0x202 /* EFLAGS with IF */
    push $(USER_CS | 3)
    push %edx
    jmp site_iret
    /* SYSEXIT takes eip from edx, esp from ecx. */
1:  jmp site_sysexit

    .globl client_user_done
client_user_done:
    mov 4(%esp), %eax
    mov user_return, %esp
    pop %edi
    pop %esi
    pop %ebx
    pop %ebp
    ret

/* Where SYSENTER arrives, on the stack that its MSR names; eax: what ring 3 says. */
    .globl client_sysenter
client_sysenter:
    mov $KERNEL_DS, %ecx
    mov %ecx, %ds
    mov %ecx, %es
    push %eax
    call client_user_done

/*
 * Code for ring 3, copied to USER_BASE: says what it finds (eax: cs, and the interrupt flag in bit
 * 31) by a system call of either kind. Position-independent; there is a stack.
 */
    .globl client_user_code, client_user_code_sysenter, client_user_code_end
client_user_code:
    pushf
    pop %eax
    and $0x200, %eax
    shl $22, %eax
    mov %cs, %ax
    int $VECTOR_SYSCALL
client_user_code_sysenter:
    pushf
    pop %eax
    and $0x200, %eax
    shl $22, %eax
    mov %cs, %ax
    sysenter
client_user_code_end:

    .bss
    .balign 4
user_return:
    .skip 4

    .section .note.GNU-stack, "", @progbits
