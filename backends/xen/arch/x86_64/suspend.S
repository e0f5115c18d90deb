/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * intptr_t vmi__xen_sched_op_suspend(command, argument, frame), for ../../suspend.c: the hypercall
 * sched_op with a third argument. In: edi, rsi, rdx. Out: rax. Destroyed: what a hypercall destroys.
 */
#include "hypercalls.h"

    .text
    .globl vmi__xen_sched_op_suspend
    .type vmi__xen_sched_op_suspend, @function
vmi__xen_sched_op_suspend:
    mov %edi, %edi
    mov $vmi__xen_hypercall_sched_op_number, %eax
    lock incl vmi__xen_hypercall_sched_op_count(%rip)
    vmi__xen_transfer
    ret
    .size vmi__xen_sched_op_suspend, . - vmi__xen_sched_op_suspend

    .section .note.GNU-stack, "", @progbits
