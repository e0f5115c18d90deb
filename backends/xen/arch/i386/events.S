/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The entry points that Xen calls, and the ways back. Sequences that find the CPU and touch its
 * event mask are restartable, as those of mask.S are.
 *
 * A return that lets events in clears the mask, looks for what is pending and only then does IRET:
 * an upcall in between finds registers of the way out. vmi__xen_event_callback takes such an upcall
 * for one of what was being returned to (vmi__xen_return_begin and what follows).
 */
#define __ASSEMBLY__
#include <xen/xen.h>

#include "endbr.h"
#include "hypercalls.h"

#include "../../domain.h"
#include "../../restart.inc"

    .section .rodata.restart, "a", @progbits
    .balign 4
    .globl vmi__xen_restart
vmi__xen_restart:

    .text

/* ---- entries and returns that call C ---- */

/*
 * Saves what C destroys. On the stack, from here on: es, ds, edx, ecx, eax, and what was there. Out:
 * eax the address of what was there; flat data segments.
 */
    .macro enter_c
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
    .endm

/*
 * The way back from there. In: eax, what C has answered; the stack as enter_c left it, with two
 * words above, eip and cs of a handler. Goes to the handler if eax is not 0, else returns by the
 * frame behind those words. A descriptor may have gone since its segment was loaded, and go until
 * the very pop: that fault is mended by vmi__xen_reload_failed.
 */
    .globl vmi__xen_pop_es, vmi__xen_pop_ds
leave_c:
    test %eax, %eax         /* no pop changes flags */
vmi__xen_pop_es:
    pop %es
vmi__xen_pop_ds:
    pop %ds
    pop %edx
    pop %ecx
    pop %eax
    jz 0f
    lret
0:  lea 8(%esp), %esp
    jmp vmi__xen_iret

/*
 * Xen enters here for an event, with events masked. On the stack: eip, cs, eflags, and esp, ss if
 * ring 3 was interrupted; all registers, segments among them, are those of what was interrupted.
 * Leaves to the kernel's handler of the vector with the same frame and registers, or returns.
 *
 * The return address may lie on the way out of vmi__xen_iret. What was to be returned to is taken as
 * what was interrupted then: its frame is behind the upcall's, with its eax in between unless that
 * was popped.
 */
    .globl vmi__xen_event_callback
    .type vmi__xen_event_callback, @function
vmi__xen_event_callback:
    VMI__ENDBR32
    cmpl $vmi__xen_return_begin, (%esp)
    jb 0f
    cmpl $vmi__xen_return_end, (%esp)
    jae 0f
    testb $2, 4(%esp)       /* cs of ring 3: the address is no one of the kernel's */
    jnz 0f
    cmpl $vmi__xen_return_popped, (%esp)
    lea 12(%esp), %esp
    je vmi__xen_event_callback
    pop %eax
    jmp vmi__xen_event_callback
0:  sub $8, %esp            /* eip and cs of the handler, filled by vmi__xen_event */
    enter_c
    call vmi__xen_event
    jmp leave_c
    .size vmi__xen_event_callback, . - vmi__xen_event_callback

/*
 * Xen enters here for an NMI, with events masked, whatever it interrupts: the library, too. On the
 * stack: the frame; registers are those of what was interrupted. Leaves to the kernel's handler with
 * the same frame and registers; the next IRET tells Xen that it is over.
 */
    .globl vmi__xen_nmi
    .type vmi__xen_nmi, @function
vmi__xen_nmi:
    VMI__ENDBR32
    sub $8, %esp            /* eip and cs of the handler, filled by vmi__xen_nmi_came */
    push %eax
    mov $VMI__XEN_CPU_SELECTOR, %eax
    lsl %eax, %eax
    shl $VMI__XEN_VCPU_SHIFT, %eax
    orl $VMI__XEN_KEPT_NMI, %ss:vmi__xen_kept(%eax)
    pop %eax
    enter_c
    call vmi__xen_nmi_came
    jmp leave_c
    .size vmi__xen_nmi, . - vmi__xen_nmi

/*
 * Xen enters here, with events masked, if it could not return to the guest. On the stack: ds, es,
 * fs, gs as they were to be, then the frame; all other registers are those of what was interrupted.
 * If the segments are not all loaded so, the descriptor of one has gone while Xen ran something
 * else (load_segments() in xen/arch/x86/domain.c): it is null now, and on it goes. Hardware would
 * not have looked at the descriptor again.
 *
 * Else the frame itself, its cs or ss, is what Xen cannot return to. Hardware raises #GP at such a
 * return, with the selector as error code: so does this.
 */
    .globl vmi__xen_failsafe_callback
    .type vmi__xen_failsafe_callback, @function
vmi__xen_failsafe_callback:
    VMI__ENDBR32
    push %eax
    mov %ds, %eax
    cmp %ax, 4(%esp)
    jne 0f
    mov %es, %eax
    cmp %ax, 8(%esp)
    jne 0f
    mov %fs, %eax
    cmp %ax, 12(%esp)
    jne 0f
    mov %gs, %eax
    cmp %ax, 16(%esp)
    jne 0f
    movzwl 24(%esp), %eax   /* cs */
    and $~3, %eax
    mov %eax, 16(%esp)      /* gs becomes the error code */
    pop %eax
    lea 4(%esp), %esp       /* es and fs make room for the handler's eip and cs */
    movl $13, (%esp)        /* vector #GP, in the place of that eip */
    jmp fault
0:  pop %eax
    lea 16(%esp), %esp
    jmp vmi__xen_iret
    .size vmi__xen_failsafe_callback, . - vmi__xen_failsafe_callback

/*
 * Xen enters here for #NP and #GP, in place of the kernel's own handlers, because pops of the
 * library may raise them. On the stack: error code, then the frame; registers are those of what
 * faulted. Leaves to the kernel's handler with the same frame and registers.
 */
    .macro segment_fault name, vector
    .globl \name
    .type \name, @function
\name:
    VMI__ENDBR32
    testb $2, 8(%esp)       /* cs of ring 3 */
    jnz 0f
    cmpl $vmi__xen_pop_es, 4(%esp)
    je vmi__xen_reload_failed
    cmpl $vmi__xen_pop_ds, 4(%esp)
    je vmi__xen_reload_failed
0:  sub $8, %esp            /* eip and cs of the handler, filled by vmi__xen_fault */
    movl $\vector, (%esp)
    .endm

    segment_fault vmi__xen_segment_not_present, 11
    jmp fault
    .size vmi__xen_segment_not_present, . - vmi__xen_segment_not_present

    segment_fault vmi__xen_protection_fault, 13
    /* On into the next. */
    .size vmi__xen_protection_fault, . - vmi__xen_protection_fault

/* On the stack: vector, a word to fill, error code, frame. */
fault:
    enter_c
    call vmi__xen_fault
    jmp leave_c

/*
 * A pop found a selector that names nothing any more: the segment becomes null, as it does on a
 * return to an outer ring. On the stack: error code, a frame of ring 1 (eip of the pop, cs, eflags),
 * and what is to be popped.
 */
vmi__xen_reload_failed:
    movl $0, 16(%esp)
    lea 4(%esp), %esp
    jmp vmi__xen_iret

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
0:  mov $VMI__XEN_CPU_SELECTOR, %eax
    lsl %eax, %eax
    mov %ss:vmi__xen_sysenter_cs(, %eax, 4), %eax
1:  restartable .rodata.restart
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
 * user's, so that memory is reached by ss.
 *
 * Ring 1 may do the instruction itself, to its own ring and to ring 3: the processor leaves IF
 * alone there (Intel SDM vol. 2A, IRET), and what the frame says of IF goes to the mask. Between
 * vmi__xen_return_begin and vmi__xen_return_end events are let in while eax and the stack are those
 * of the way out; see vmi__xen_event_callback.
 */
    .globl vmi__xen_iret
    .type vmi__xen_iret, @function
vmi__xen_iret:
    VMI__ENDBR32
    push %eax
0:  mov $VMI__XEN_CPU_SELECTOR, %eax
    lsl %eax, %eax
    shl $VMI__XEN_VCPU_SHIFT, %eax
    movb $1, %ss:vmi__xen_infos + VMI__XEN_VCPU_MASK(%eax)
1:  restartable .rodata.restart
    /* Events are masked: this stays the CPU, whose number times 64 is in eax. */
    cmpl $0, %ss:vmi__xen_kept(%eax)
    jne 4f
    testb $VMI__EFLAGS_IF >> 8, 4 + 8 + 1(%esp)
    jz 3f
    movb $0, %ss:vmi__xen_infos + VMI__XEN_VCPU_MASK(%eax)
    .globl vmi__xen_return_begin, vmi__xen_return_popped, vmi__xen_return_end
vmi__xen_return_begin:
    cmpb $0, %ss:vmi__xen_infos + VMI__XEN_VCPU_PENDING(%eax)
    jne 2f
    pop %eax
vmi__xen_return_popped:
    iret
2:  movb $1, %ss:vmi__xen_infos + VMI__XEN_VCPU_MASK(%eax)
vmi__xen_return_end:
    pop %eax
    jmp vmi__xen_event_callback /* as Xen would enter it */
3:  pop %eax
    iret
    /*
     * The handler of an NMI returns by hypercall, which lets the next one in and puts IF into the mask
     * (compat_iret() in xen/arch/x86/pv/iret.c): on the stack are eax and the frame, as it wants
     * them. What was kept back stays so, for it may have been interrupted at any instruction.
     */
4:  testl $VMI__XEN_KEPT_NMI, %ss:vmi__xen_kept(%eax)
    jz 5f
    andl $~VMI__XEN_KEPT_NMI, %ss:vmi__xen_kept(%eax)
    lock incl %ss:vmi__xen_hypercall_iret_count
    mov $vmi__xen_hypercall_iret_number, %eax
    vmi__xen_transfer
    /* Updates that were kept back are carried out first; then all from the beginning. */
5:  pop %eax
    sub $8, %esp
    enter_c
    call vmi__xen_carry_out_here
    xor %eax, %eax
    jmp leave_c
    .size vmi__xen_iret, . - vmi__xen_iret

    .section .rodata.restart, "a", @progbits
    .globl vmi__xen_restart_end
vmi__xen_restart_end:

    .section .note.GNU-stack, "", @progbits
