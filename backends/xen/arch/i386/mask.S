/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The event mask, a byte of this CPU's vcpu_info. No instruction both finds the CPU and writes the
 * byte: between the two an event may be handled and the kernel may go on with the thread elsewhere.
 * So these sequences are restartable: each is listed in vmi__xen_mask_restart, does nothing lasting
 * before its last instruction, and begins with the `lsl` that finds the CPU. vmi__xen_event sets a
 * return address inside of one back to its beginning.
 */
#define __ASSEMBLY__
#include <xen/xen.h>

#include "../../domain.h"
#include "../../restart.inc"

    .section .rodata.mask_restart, "a", @progbits
    .balign 4
    .globl vmi__xen_mask_restart
vmi__xen_mask_restart:

    .data
    .balign 4
    /* How to return by a frame: the entries, which are of a higher layer, say it. */
    .globl vmi__xen_return
    .type vmi__xen_return, @object
vmi__xen_return:
    .long 0
    .size vmi__xen_return, 4

    .text

/* DisableInterrupts. In: nothing. Out: nothing; destroyed: eax, ecx, flags. */
    .globl vmi__xen_disable_interrupts
    .type vmi__xen_disable_interrupts, @function
vmi__xen_disable_interrupts:
    mov $VMI__XEN_CPU_SELECTOR, %ecx
0:  lsl %ecx, %eax
    shl $VMI__XEN_VCPU_SHIFT, %eax
    movb $1, vmi__xen_infos + VMI__XEN_VCPU_MASK(%eax)
1:  restartable .rodata.mask_restart
    ret
    .size vmi__xen_disable_interrupts, . - vmi__xen_disable_interrupts

/*
 * uint32_t vmi__xen_mask(void). In: nothing. Out: eax what the mask was; destroyed: ecx, edx,
 * flags.
 */
    .globl vmi__xen_mask
    .type vmi__xen_mask, @function
vmi__xen_mask:
    mov $VMI__XEN_CPU_SELECTOR, %ecx
0:  lsl %ecx, %eax
    shl $VMI__XEN_VCPU_SHIFT, %eax
    mov $1, %edx
    xchg %dl, vmi__xen_infos + VMI__XEN_VCPU_MASK(%eax)
1:  restartable .rodata.mask_restart
    mov %edx, %eax
    ret
    .size vmi__xen_mask, . - vmi__xen_mask

/*
 * GetInterruptMask. In: nothing. Out: eax, bit 9 set if events are let in; destroyed: ecx, flags.
 */
    .globl vmi__xen_get_interrupt_mask
    .type vmi__xen_get_interrupt_mask, @function
vmi__xen_get_interrupt_mask:
    mov $VMI__XEN_CPU_SELECTOR, %ecx
0:  lsl %ecx, %eax
    shl $VMI__XEN_VCPU_SHIFT, %eax
    movzbl vmi__xen_infos + VMI__XEN_VCPU_MASK(%eax), %eax
1:  restartable .rodata.mask_restart
    dec %eax
    and $0x200, %eax
    ret
    .size vmi__xen_get_interrupt_mask, . - vmi__xen_get_interrupt_mask

/* SetInterruptMask. In: eax, bit 9. Out: nothing; destroyed: eax, ecx, edx, flags. */
    .globl vmi__xen_set_interrupt_mask
    .type vmi__xen_set_interrupt_mask, @function
vmi__xen_set_interrupt_mask:
    test $0x200, %eax
    jz vmi__xen_disable_interrupts
    /* On into the next. */
    .size vmi__xen_set_interrupt_mask, . - vmi__xen_set_interrupt_mask

/*
 * EnableInterrupts. In: nothing. Out: nothing; destroyed: eax, ecx, edx, flags. An event that came
 * while the mask was set left its pending byte set and no upcall: it is taken on the way back to
 * the caller, as at any return that lets events in.
 */
    .globl vmi__xen_enable_interrupts
    .type vmi__xen_enable_interrupts, @function
vmi__xen_enable_interrupts:
    mov $VMI__XEN_CPU_SELECTOR, %ecx
0:  lsl %ecx, %eax
    shl $VMI__XEN_VCPU_SHIFT, %eax
    movb $0, vmi__xen_infos + VMI__XEN_VCPU_MASK(%eax)
1:  restartable .rodata.mask_restart
    cmpb $0, vmi__xen_infos + VMI__XEN_VCPU_PENDING(%eax)
    jne 2f
    ret
2:  pop %ecx                /* the caller's address */
    pushf
    orl $VMI__EFLAGS_IF, (%esp)
    push %cs
    push %ecx
    jmp *vmi__xen_return
    .size vmi__xen_enable_interrupts, . - vmi__xen_enable_interrupts

    .section .rodata.mask_restart, "a", @progbits
    .globl vmi__xen_mask_restart_end
vmi__xen_mask_restart_end:

    .section .note.GNU-stack, "", @progbits
