/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Where the gates of the IDT and system calls lead, and the way back. */

#include <vmi/constants.h>

#include "layout.h"
#include "x86.h"

/* Offset in struct trap_frame. */
#define FRAME_CS     144

/* The same of the code selector before the registers are saved: above vector, error code and rip. */
#define ENTRY_CS 24

    .macro save
    push %rax
    push %rbx
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %rbp
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    .endm

    .macro restore
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rbp
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rbx
    pop %rax
    add $16, %rsp /* vector and error code */
    .endm

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
    .if vector != TRAP_DOUBLE_FAULT && (vector < TRAP_INVALID_TSS || vector > TRAP_PAGE_FAULT) && \
        vector != TRAP_ALIGNMENT && vector != TRAP_CONTROL_PROTECTION && \
        vector != TRAP_VMM_COMMUNICATION && vector != TRAP_SECURITY
    push $0
    .endif
    push $vector
    .if vector == TRAP_NMI || vector == TRAP_DOUBLE_FAULT || vector == TRAP_MACHINE_CHECK
    jmp trap_anywhere
    .else
    jmp trap_common
    .endif
    .set vector, vector + 1
    .endr

/* The frame is completed to a struct trap_frame. The handler gets it in rdi. */
trap_common:
    testb $RPL_MASK, ENTRY_CS(%rsp)
    jz 1f
    VMI_SWAP_GS
1:  save
    cld
    mov %rsp, %rdi
    call trap_dispatch
    mov %rsp, %rdi
    /* falls through */

/* void trap_return(struct trap_frame *frame), frame in rdi: restores the registers and leaves. */
    .globl trap_return
trap_return:
    mov %rdi, %rsp
    restore
    VMI_IRET

/*
 * Exceptions that may come at any instruction, on stacks of their own: also in the kernel before
 * it has exchanged the GS bases, or when it has exchanged them back. The base that is in use tells
 * (the kernel's is in the upper half, where no process's can be). r12: not 0 if they are exchanged
 * here.
 */
trap_anywhere:
    save
    cld
    xor %r12d, %r12d
    call vmi_get_gs_base
    test %rax, %rax
    js 2f
    VMI_SWAP_GS
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
    push $0
    push $VECTOR_SYSCALL
    save
    cld
    mov %rsp, %rdi
    call trap_dispatch
    restore
    VMI_SYSRET

/*
 * void segments_load(uint32_t cs, uint32_t ss), selectors in edi and esi: loads all segment
 * registers from the present GDT; FS and GS keep their bases. Uses rax.
 */
    .globl segments_load
segments_load:
    mov %esi, %ss
    mov $USER_DS, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %edi, %edi
    push %rdi
    push $4f
    lretq
4:  ret

    .section .note.GNU-stack, "", @progbits
