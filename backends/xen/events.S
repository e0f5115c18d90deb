/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The event mask, the entry points that Xen calls, and the ways back.
 *
 * The mask is a byte of this CPU's vcpu_info, and no instruction both finds the CPU and writes the
 * byte: between the two an event may be handled and the kernel may go on with the thread elsewhere.
 * So these sequences are restartable: each is listed in vmi__xen_restart, does nothing lasting
 * before its last instruction, and begins with the `lsl` that finds the CPU. vmi__xen_event sets a
 * return address inside of one back to its beginning.
 */
#define __ASSEMBLY__
#include <xen/xen.h>

#include "hypercalls.h"
#include "internal.h"

    /* Lists the sequence between the labels 0 and 1 that were defined last. */
    .macro restartable
    .pushsection .rodata.restart, "a", @progbits
    .long 0b, 1b
    .popsection
    .endm

    .section .rodata.restart, "a", @progbits
    .balign 4
    .globl vmi__xen_restart
vmi__xen_restart:

    .text

/* DisableInterrupts. In: nothing. Out: nothing; destroyed: eax, ecx, flags. */
    .globl vmi__xen_disable_interrupts
    .type vmi__xen_disable_interrupts, @function
vmi__xen_disable_interrupts:
    mov $VMI__XEN_CPU_SELECTOR, %ecx
0:  lsl %ecx, %eax
    shl $VMI__XEN_VCPU_SHIFT, %eax
    movb $1, vmi__xen_shared + VMI__XEN_VCPU_MASK(%eax)
1:  restartable
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
    xchg %dl, vmi__xen_shared + VMI__XEN_VCPU_MASK(%eax)
1:  restartable
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
    movzbl vmi__xen_shared + VMI__XEN_VCPU_MASK(%eax), %eax
1:  restartable
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
 * while the mask was set left its pending byte set and no upcall; any hypercall makes Xen look
 * again on its way back.
 */
    .globl vmi__xen_enable_interrupts
    .type vmi__xen_enable_interrupts, @function
vmi__xen_enable_interrupts:
    mov $VMI__XEN_CPU_SELECTOR, %ecx
0:  lsl %ecx, %eax
    shl $VMI__XEN_VCPU_SHIFT, %eax
    movb $0, vmi__xen_shared + VMI__XEN_VCPU_MASK(%eax)
1:  restartable
    cmpb $0, vmi__xen_shared + VMI__XEN_VCPU_PENDING(%eax)
    jne 2f
    ret
2:  push $0
    push $0
    call vmi__xen_hypercall_xen_version
    add $8, %esp
    ret
    .size vmi__xen_enable_interrupts, . - vmi__xen_enable_interrupts

/*
 * Xen enters here for an event, with events masked. On the stack: eip, cs, eflags, and esp, ss if
 * ring 3 was interrupted; all registers, segments among them, are those of what was interrupted.
 * Leaves to the kernel's handler of the vector with the same frame and registers, or returns.
 */
    .globl vmi__xen_event_callback
    .type vmi__xen_event_callback, @function
vmi__xen_event_callback:
    sub $8, %esp            /* eip and cs of the handler, filled by vmi__xen_event */
    push %eax
    push %ecx
    push %edx
    push %ds
    push %es
    mov $FLAT_KERNEL_DS, %eax
    mov %eax, %ds
    mov %eax, %es
    cld
    lea 20(%esp), %eax
    call vmi__xen_event
    test %eax, %eax
    pop %es                 /* no pop changes flags */
    pop %ds
    pop %edx
    pop %ecx
    pop %eax
    jz 0f
    lret
0:  lea 8(%esp), %esp
    jmp vmi__xen_iret
    .size vmi__xen_event_callback, . - vmi__xen_event_callback

/*
 * Xen enters here if it could not return to the guest because a segment register of the frame would
 * not load. On the stack: ds, es, fs, gs (now null), then the frame. Hardware raises #GP at such a
 * return: so does this, with error code 0.
 */
    .globl vmi__xen_failsafe_callback
    .type vmi__xen_failsafe_callback, @function
vmi__xen_failsafe_callback:
    lea 4(%esp), %esp       /* es and fs make room for the handler's eip and cs */
    movl $0, 8(%esp)        /* gs becomes the error code */
    push %eax
    push %ecx
    push %edx
    push %ds
    push %es
    mov $FLAT_KERNEL_DS, %eax
    mov %eax, %ds
    mov %eax, %es
    cld
    lea 20(%esp), %eax
    call vmi__xen_failsafe
    pop %es
    pop %ds
    pop %edx
    pop %ecx
    pop %eax
    lret
    .size vmi__xen_failsafe_callback, . - vmi__xen_failsafe_callback

/*
 * SYSEXIT. In: edx the user's eip, ecx its esp, eax kept. Selectors follow IA32_SYSENTER_CS as the
 * processor has it (Intel SDM vol. 2B, SYSEXIT). Data segments may be the user's already: memory is
 * reached by ss.
 */
    .globl vmi__xen_sysexit
    .type vmi__xen_sysexit, @function
vmi__xen_sysexit:
    sub $20, %esp
    push %eax
    mov $VMI__XEN_CPU_SELECTOR, %eax
    lsl %eax, %eax
    mov %ss:vmi__xen_sysenter_cs(, %eax, 4), %eax
    mov %edx, 4(%esp)       /* eip */
    add $16 + 3, %eax
    mov %eax, 8(%esp)       /* cs */
    movl $0x202, 12(%esp)   /* eflags: IF */
    mov %ecx, 16(%esp)      /* esp */
    add $8, %eax
    mov %eax, 20(%esp)      /* ss */
    pop %eax
    .size vmi__xen_sysexit, . - vmi__xen_sysexit

/*
 * IRET. On the stack: the frame; all registers are as they are to be, data segments may be the
 * user's. Xen pops eax and the frame, sets the mask by the frame's IF, and looks for pending
 * events.
 */
    .globl vmi__xen_iret
    .type vmi__xen_iret, @function
vmi__xen_iret:
    push %eax
    mov $VMI__XEN_CPU_SELECTOR, %eax
    lsl %eax, %eax
    cmpl $0, %ss:vmi__xen_kept(, %eax, 4)
    jne 1f
0:  lock incl %ss:vmi__xen_hypercall_iret_count
    mov $vmi__xen_hypercall_iret_number, %eax
    vmi__xen_transfer
1:  push %ecx
    push %edx
    push %ds
    push %es
    mov $FLAT_KERNEL_DS, %eax
    mov %eax, %ds
    mov %eax, %es
    cld
    call vmi__xen_carry_out_here
    pop %es
    pop %ds
    pop %edx
    pop %ecx
    jmp 0b
    .size vmi__xen_iret, . - vmi__xen_iret

    .section .rodata.restart, "a", @progbits
    .globl vmi__xen_restart_end
vmi__xen_restart_end:

    .section .note.GNU-stack, "", @progbits
