/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Where the gates of the IDT and system calls lead. */

#include <vmi/constants.h>

#include "frame_registers.inc"
#include "layout.h"
#include "x86.h"

/* Offsets in struct trap_frame, and its size. */
#define FRAME_CS     144
#define FRAME_SIZE   176

/* The same of the code selector before the registers are saved: above vector, error code and rip. */
#define ENTRY_CS 24

    .text

/*
 * One entry per vector, 16 bytes apart. On the stack: rip, cs, rflags, rsp, ss, and an error code
 * for some vectors; the others get a 0 in its place. Then the vector. Registers are the interrupted
 * code's.
 */
    .balign 16
    .globl trap_entries
trap_entries:
    .set vector, 0
    .rept TRAP_COUNT
    .balign 16
    ENDBR
    .if vector != TRAP_DOUBLE_FAULT && (vector < TRAP_INVALID_TSS || vector > TRAP_PAGE_FAULT) && \
        vector != TRAP_ALIGNMENT && vector != TRAP_CONTROL_PROTECTION && \
        vector != TRAP_VMM_COMMUNICATION && vector != TRAP_SECURITY
    push $0
    .endif
    push $vector
    .if vector == TRAP_NMI || vector == TRAP_DOUBLE_FAULT || vector == TRAP_MACHINE_CHECK
    jmp trap_anywhere
    .elseif vector == TRAP_DEBUG
    jmp trap_debug
    .else
    jmp trap_common
    .endif
    .set vector, vector + 1
    .endr

/* The frame is completed to a struct trap_frame. The handler gets it in rdi. */
trap_common:
    testb $RPL_MASK, ENTRY_CS(%rsp)
    jz trap_on_stack
    VMI_SWAP_GS
trap_on_stack:
    save
    cld
    VMI_END_USER_ACCESS /* it may have come between, or from a process that has set AC */
    mov %rsp, %rdi
    call trap_dispatch
    mov %rsp, %rdi
    jmp trap_return

/*
 * A debug exception may come at any instruction as well: a breakpoint at the first one of an entry,
 * or one that MOV SS has held back over SYSCALL. From ring 3 it is like the others, on the thread's
 * stack, to which the frame is copied: 7 words from the vector on. rax: where to.
 */
trap_debug:
    testb $RPL_MASK, ENTRY_CS(%rsp)
    jz trap_anywhere
    VMI_SWAP_GS
    push %rax
    mov %gs:AREA_KERNEL_STACK, %rax
    sub $56, %rax
    .irp word, 6, 5, 4, 3, 2, 1, 0
    push 8 + 8 * \word(%rsp)
    pop 8 * \word(%rax)
    .endr
    push (%rsp)
    pop -8(%rax)
    lea -8(%rax), %rsp
    pop %rax
    jmp trap_on_stack

/*
 * Exceptions that may come at any instruction, on stacks of their own: also in the kernel before
 * it has exchanged the GS bases, or when it has exchanged them back. The base that is in use tells.
 * The kernel's is in the upper half, where no process's can be, unless processes set theirs by
 * themselves (FSGSBASE): then the kernel's is the one that the stack names. A process's that is the
 * same serves as well. r12: not 0 if they are exchanged here.
 */
trap_anywhere:
    save
    cld
    VMI_END_USER_ACCESS
    xor %r12d, %r12d
    testb $RPL_MASK, FRAME_CS(%rsp)
    jnz 1f
    call vmi_get_gs_base
    test %rax, %rax
    jns 1f
    testl $CR4_FSGSBASE, supervisor_used
    jz 2f
    cmp FRAME_SIZE(%rsp), %rax
    je 2f
1:  VMI_SWAP_GS
    inc %r12d
2:  mov %rsp, %rdi
    call trap_dispatch_anywhere
    test %r12d, %r12d
    jz 3f
    testb $RPL_MASK, FRAME_CS(%rsp)
    jnz 3f /* the way to ring 3 exchanges them */
    VMI_SWAP_GS
3:  restore
    VMI_IRET

/*
 * System calls by SYSCALL. On the stack, which is the thread's: rip, cs, rflags, rsp, ss. rcx and
 * r11 are lost; all other registers are the process's.
 */
    .globl syscall_entry
syscall_entry:
    ENDBR
    push $0
    push $VECTOR_SYSCALL
    save
    cld
    mov %rsp, %rdi
    call trap_dispatch
    restore
    VMI_SYSRET

    .section .note.GNU-stack, "", @progbits
