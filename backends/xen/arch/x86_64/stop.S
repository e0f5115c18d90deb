/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * void vmi__xen_stop(number, started), for ../../stop.c.
 */
#define __ASSEMBLY__
#include <xen/xen.h>

#include <vmi/constants.h>

#include "hypercalls.h"

#include "../../stop.h"
#include "arch/x86_64/ap_state.inc"

#define STACK_SIZE 2048

#define STATE(field) vmi__xen_left_state + VMI_OFFSETOF_AP_STATE_##field(%rip)

    .section .bss
    .balign 16
    .skip STACK_SIZE
stack:

    .text
    .globl vmi__xen_stop
    .type vmi__xen_stop, @function
/*
 * In: edi, rsi. The stack is not used from the store on, and memory by the library's addresses
 * alone. ebx: the number; rbp: where it is noted that the CPU runs.
 */
vmi__xen_stop:
    mov %edi, %ebx
    mov %rsi, %rbp
    movl $0, (%rbp)
0:  mov $VMI__XEN_VCPU_DOWN, %edi
    mov %ebx, %esi
    xor %edx, %edx
    mov $vmi__xen_hypercall_vcpu_op_number, %eax
    lock incl vmi__xen_hypercall_vcpu_op_count(%rip)
    vmi__xen_transfer
    cmpl $0, (%rbp)
    je 0b

    /* Started: one CPU at a time. */
    lea stack(%rip), %rsp
    mov %ebx, %edi
    call vmi__xen_started_again

    /* The frame that IRET wants, on the kernel's stack, then the general registers. eax is scratch. */
    mov STATE(RSP), %rsp
    movzwl STATE(SS), %eax
    push %rax
    push STATE(RSP)
    push STATE(RFLAGS)
    movzwl STATE(CS), %eax
    and $~3, %eax
    push %rax
    push STATE(RIP)
    vmi__load_ap_registers vmi__xen_left_state
    movl $1, vmi__xen_left_taken(%rip)
    jmp vmi__xen_iret
    .size vmi__xen_stop, . - vmi__xen_stop

    .section .note.GNU-stack, "", @progbits
