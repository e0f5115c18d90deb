/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Xen's part of the process model, for a PV domain: the kernel is in ring 3 as its processes are.
 * Source: xen/arch-x86/xen-x86_64.h (frames, iret), xen/elfnote.h.
 */
#include "calls.h"

#define HYPERVISOR_IRET 23
#define IN_SYSCALL      0x100 /* VGCF_in_syscall: rcx and r11 need not be kept */

        .macro note type, words:vararg
        .pushsection .note.Xen, "a", @note
        .balign 4
        .long 4, 9f - 8f, \type
        .asciz "Xen"
8:      \words
9:      .balign 4
        .popsection
        .endm

        note 6, .asciz "vmi"
        note 5, .asciz "xen-3.0"
        note 8, .asciz "generic"
        note 3, .quad IMAGE_BASE
        note 4, .quad 0
        note 1, .quad start

/* rsi: start_info; paging is on. */
        .section .text.entry, "ax"
        .globl start
start:  cld
        mov $boot_stack_top, %rsp
        mov %rsi, %rdi
        xor %ebp, %ebp
        call xen_main
        ud2

/* An exception's frame has rcx and r11 on top; each vector has an entry that takes them off, of 16 bytes. */
        .globl xen_traps
        .balign 16
xen_traps:
        .set vector, 0
        .rept 32
        .balign 16
        pop %rcx
        pop %r11
        jmp *xen_gates + 8 * vector
        .set vector, vector + 1
        .endr

        .globl xen_event, xen_failsafe
xen_event:
xen_failsafe:
        ud2

        .globl xen_syscall
xen_syscall:
        pop %rcx
        pop %r11
        jmp *xen_syscall_target

/* Xen has exchanged the bases when it entered the kernel. */
        .globl vmi_swap_gs
vmi_swap_gs:
        ret

/* rsp: rip, cs, rflags, rsp, ss. Xen takes: rax, r11, rcx, flags, and that frame. */
        .globl vmi_iret
vmi_iret:
        push $0
        push %rcx
        push %r11
        push %rax
        mov $HYPERVISOR_IRET, %eax
        syscall
        ud2

        .globl vmi_sysret
vmi_sysret:
        push $IN_SYSCALL
        push %rcx
        push %r11
        push %rax
        mov $HYPERVISOR_IRET, %eax
        syscall
        ud2

        .bss
        .balign 16
        .skip 16384
boot_stack_top:

        .section .note.GNU-stack, "", @progbits
