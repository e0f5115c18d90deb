/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The event mask, a byte of this CPU's vcpu_info. No instruction both finds the CPU and writes the
 * byte: between the two an event may be handled and the kernel may go on with the thread elsewhere.
 * So these sequences are restartable: each is listed in vmi__xen_mask_restart, does nothing lasting
 * before its last instruction, and begins with the one that finds the CPU's record. vmi__xen_event
 * sets a return address inside of one back to its beginning.
 */
#define __ASSEMBLY__
#include <xen/xen.h>

#include "../../domain.h"
#include "../../restart.inc"

#define RECORD %gs:VMI_PERCPU_PRIVATE
#define MASK   VMI__XEN_CPU_INFO + VMI__XEN_VCPU_MASK
#define PENDING VMI__XEN_CPU_INFO + VMI__XEN_VCPU_PENDING

    .section .rodata.mask_restart, "a", @progbits
    .balign 8
    .globl vmi__xen_mask_restart
vmi__xen_mask_restart:

    .data
    .balign 8
    /* How to return by a frame: the entries, which are of a higher layer, say it. */
    .globl vmi__xen_return
    .type vmi__xen_return, @object
vmi__xen_return:
    .quad 0
    .size vmi__xen_return, 8

    .text

/* DisableInterrupts. In: nothing. Out: nothing; destroyed: rax. */
    .globl vmi__xen_disable_interrupts
    .type vmi__xen_disable_interrupts, @function
vmi__xen_disable_interrupts:
0:  mov RECORD, %rax
    movb $1, MASK(%rax)
1:  restartable .rodata.mask_restart
    ret
    .size vmi__xen_disable_interrupts, . - vmi__xen_disable_interrupts

/* uint32_t vmi__xen_mask(void). In: nothing. Out: eax what the mask was; destroyed: rcx. */
    .globl vmi__xen_mask
    .type vmi__xen_mask, @function
vmi__xen_mask:
0:  mov RECORD, %rcx
    mov $1, %eax
    xchg %al, MASK(%rcx)
1:  restartable .rodata.mask_restart
    ret
    .size vmi__xen_mask, . - vmi__xen_mask

/* GetInterruptMask. In: nothing. Out: rax, bit 9 set if events are let in; destroyed: flags. */
    .globl vmi__xen_get_interrupt_mask
    .type vmi__xen_get_interrupt_mask, @function
vmi__xen_get_interrupt_mask:
0:  mov RECORD, %rax
    movzbl MASK(%rax), %eax
1:  restartable .rodata.mask_restart
    dec %eax
    and $VMI__EFLAGS_IF, %eax
    ret
    .size vmi__xen_get_interrupt_mask, . - vmi__xen_get_interrupt_mask

/* SetInterruptMask. In: rdi, bit 9. Out: nothing; destroyed: rax, rcx, flags. */
    .globl vmi__xen_set_interrupt_mask
    .type vmi__xen_set_interrupt_mask, @function
vmi__xen_set_interrupt_mask:
    test $VMI__EFLAGS_IF, %edi
    jz vmi__xen_disable_interrupts
    /* On into the next. */
    .size vmi__xen_set_interrupt_mask, . - vmi__xen_set_interrupt_mask

/*
 * EnableInterrupts. In: nothing. Out: nothing; destroyed: rax, rcx, flags. An event that came while
 * the mask was set left its pending byte set and no upcall: it is taken on the way back to the
 * caller, as at any return that lets events in.
 */
    .globl vmi__xen_enable_interrupts
    .type vmi__xen_enable_interrupts, @function
vmi__xen_enable_interrupts:
0:  mov RECORD, %rax
    movb $0, MASK(%rax)
1:  restartable .rodata.mask_restart
    cmpb $0, PENDING(%rax)
    jne 2f
    ret
2:  mov (%rsp), %rcx        /* the caller's address */
    lea 8(%rsp), %rax       /* its stack pointer */
    push $FLAT_KERNEL_SS
    push %rax
    pushf
    orl $VMI__EFLAGS_IF, (%rsp)
    push $FLAT_KERNEL_CS & ~3
    push %rcx
    jmp *vmi__xen_return
    .size vmi__xen_enable_interrupts, . - vmi__xen_enable_interrupts

    .section .rodata.mask_restart, "a", @progbits
    .globl vmi__xen_mask_restart_end
vmi__xen_mask_restart_end:

    .section .note.GNU-stack, "", @progbits
