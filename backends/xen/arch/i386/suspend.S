/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * intptr_t vmi__xen_sched_op_suspend(command, argument, frame), for ../../suspend.c: the hypercall
 * sched_op with a third argument. In: eax, edx, ecx. Out: eax. Destroyed: ecx, edx.
 */
#include "hypercalls.h"

    .text
    .globl vmi__xen_sched_op_suspend
    .type vmi__xen_sched_op_suspend, @function
vmi__xen_sched_op_suspend:
    push %ebx
    mov %eax, %ebx
    xchg %ecx, %edx
    mov $vmi__xen_hypercall_sched_op_number, %eax
    lock incl vmi__xen_hypercall_sched_op_count
    vmi__xen_transfer
    pop %ebx
    ret
    .size vmi__xen_sched_op_suspend, . - vmi__xen_sched_op_suspend

    .section .note.GNU-stack, "", @progbits
