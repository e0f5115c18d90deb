/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * void vmi__xen_stop(number, started), for ../../stop.c.
 */
#define __ASSEMBLY__
#include <xen/xen.h>

#include <vmi/constants.h>

#include "hypercalls.h"

#include "../../stop.h"
#include "arch/i386/ap_state.inc"

#define STACK_SIZE 2048

#define STATE(field) %ss:vmi__xen_left_state + VMI_OFFSETOF_AP_STATE_##field

    .section .bss
    .balign 16
    .skip STACK_SIZE
stack:

    .text
    .globl vmi__xen_stop
    .type vmi__xen_stop, @function
/*
 * In: eax, edx. The stack is not used from the store on, and memory by the library's addresses
 * alone, by flat segments. edi: the number; esi: where it is noted that the CPU runs.
 */
vmi__xen_stop:
    mov %eax, %edi
    mov %edx, %esi
    mov $FLAT_KERNEL_DS, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    movl $0, (%esi)
0:  mov $VMI__XEN_VCPU_DOWN, %ebx
    mov %edi, %ecx
    xor %edx, %edx
    mov $vmi__xen_hypercall_vcpu_op_number, %eax
    lock incl vmi__xen_hypercall_vcpu_op_count
    vmi__xen_transfer
    cmpl $0, (%esi)
    je 0b

    /* Started: one CPU at a time. */
    mov $stack, %esp
    mov %edi, %eax
    call vmi__xen_started_again

    /*
     * The kernel's stack with the frame that IRET wants, the segments, then the general registers.
     * eax is scratch.
     */
    mov STATE(SS), %ss
    mov STATE(ESP), %esp
    pushl STATE(EFLAGS)
    movzwl STATE(CS), %eax
    push %eax
    pushl STATE(EIP)
    mov STATE(DS), %ds
    mov STATE(ES), %es
    mov STATE(FS), %fs
    mov STATE(GS), %gs
    vmi__load_ap_registers vmi__xen_left_state
    movl $1, %ss:vmi__xen_left_taken
    jmp vmi__xen_iret
    .size vmi__xen_stop, . - vmi__xen_stop

    .section .note.GNU-stack, "", @progbits
