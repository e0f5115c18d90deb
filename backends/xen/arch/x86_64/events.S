/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The entry points that Xen calls, and the ways back. Whatever the entry, Xen has put rcx and r11 on
 * top of the frame that hardware would make (rip, cs, rflags, rsp, ss), and the frame's cs has RPL 0
 * for the kernel, 3 for a process; the GS base is the kernel's. Sequences that find the CPU's record
 * and use what is there are restartable, as those of mask.S are.
 *
 * A return that lets events in clears the mask, looks for what is pending and only then does IRET:
 * an upcall in between finds registers of the way out. vmi__xen_event_callback takes such an upcall
 * for one of what was being returned to (vmi__xen_return_begin and what follows).
 *
 * Source: xen/arch-x86/xen-x86_64.h; callback.h.
 */
#define __ASSEMBLY__
#include <xen/xen.h>

#include "endbr.h"
#include "hypercalls.h"

#include "../../domain.h"
#include "../../restart.inc"

#define RECORD  %gs:VMI_PERCPU_PRIVATE
#define MASK    VMI__XEN_CPU_INFO + VMI__XEN_VCPU_MASK
#define PENDING VMI__XEN_CPU_INFO + VMI__XEN_VCPU_PENDING

/* Selectors of a frame of the kernel's: as Xen makes it, and as the instruction takes it. */
#define FRAME_CS (FLAT_KERNEL_CS & ~3)

/* Offsets in a frame. */
#define CS    8
#define FLAGS 16
#define SP    24
#define SS    32

#define VECTOR_INVALID_OPCODE 6
#define VECTOR_PROTECTION     13
#define VECTOR_PAGE_FAULT     14
#define SYSCALL_SIZE          2

    .section .rodata.restart, "a", @progbits
    .balign 8
    .globl vmi__xen_restart
vmi__xen_restart:

    .text

/* ---- traps ---- */

/*
 * An entry for each vector, 16 bytes apart. On the stack: rcx, r11, an error code for some vectors,
 * frame. ecx: twice the vector. Leaves to the kernel's handler of this CPU, without rcx and r11 on
 * the stack; all registers are those of what was interrupted.
 */
    .balign 16
    .globl vmi__xen_traps
vmi__xen_traps:
    .set vector, 0
    .rept 256
    .balign 16
    VMI__ENDBR64
    mov $2 * vector, %ecx
    .if vector == 2
    jmp nmi
    .elseif vector == VECTOR_PAGE_FAULT
    jmp page_fault
    .else
    jmp trap
    .endif
    .set vector, vector + 1
    .endr

/*
 * A hole in Xen's list (m2p.S) is no fault of the kernel's. On the stack: rcx, r11, error code,
 * frame.
 */
page_fault:
    cmpq $vmi__xen_m2p_load, 24(%rsp)
    jne trap
    testb $3, 24 + CS(%rsp)
    jnz trap
    pop %rcx
    pop %r11
    movq $vmi__xen_m2p_hole, 8(%rsp)
    lea 8(%rsp), %rsp
    jmp vmi__xen_iret

/* r11: the CPU's record. Xen lets no further one in until it is asked for a return (vmi__xen_iret). */
nmi:
0:  mov RECORD, %r11
    movl $1, VMI__XEN_CPU_NMI(%r11)
1:  restartable .rodata.restart
    /* On into the next. */

/* ecx: twice the vector; r11: the CPU's record, then the handler. */
trap:
0:  mov RECORD, %r11
    mov VMI__XEN_CPU_GATE_ADDRESS(%r11, %rcx, 8), %r11
1:  restartable .rodata.restart
    test %r11, %r11
    jz 2f
    pop %rcx
    xchg %r11, (%rsp)
    ret
2:  ud2 /* a page fault, and the kernel has no gate for it */

/* ---- system calls ---- */

/*
 * On the stack: rcx, r11, frame; all registers are the process's, events are masked. Leaves to the
 * kernel's entry with the frame, rcx and r11 lost. Where there is none, the instruction is an
 * invalid opcode.
 */
    .globl vmi__xen_syscall_callback
    .type vmi__xen_syscall_callback, @function
vmi__xen_syscall_callback:
    VMI__ENDBR64
0:  mov RECORD, %r11
    mov VMI__XEN_CPU_SYSCALL(%r11), %r11
1:  restartable .rodata.restart
    test %r11, %r11
    jz vmi__xen_syscall_callback32
    add $16, %rsp
    jmp *%r11
    .size vmi__xen_syscall_callback, . - vmi__xen_syscall_callback

/* The same from 32-bit code, which has no such system calls. */
    .globl vmi__xen_syscall_callback32
    .type vmi__xen_syscall_callback32, @function
vmi__xen_syscall_callback32:
    VMI__ENDBR64
    subq $SYSCALL_SIZE, 16(%rsp)
    mov $2 * VECTOR_INVALID_OPCODE, %ecx
    jmp trap
    .size vmi__xen_syscall_callback32, . - vmi__xen_syscall_callback32

/* ---- events ---- */

/*
 * Saves what C destroys beside rcx and r11, which are on the stack already. Out: rdi the address of a
 * struct vmi__xen_frame.
 */
    .macro enter_c
    push %rax
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    cld
    mov %rsp, %rdi
    .endm

    .macro leave_c
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rax
    .endm

/*
 * Xen enters here for an event, with events masked. On the stack: rcx, r11, frame; all registers are
 * those of what was interrupted. Leaves to the kernel's handler of the vector with the frame and
 * these registers, or returns.
 *
 * The return address may lie on the way out of vmi__xen_iret. What was to be returned to is taken as
 * what was interrupted then: its frame is where the stack pointer of the upcall's frame leads, with
 * its rax below unless that was popped.
 */
    .globl vmi__xen_event_callback
    .type vmi__xen_event_callback, @function
vmi__xen_event_callback:
    VMI__ENDBR64
    testb $3, 16 + CS(%rsp)
    jnz 0f
    cmpq $vmi__xen_return_begin, 16(%rsp)
    jb 0f
    cmpq $vmi__xen_return_end, 16(%rsp)
    jae 0f
    cmpq $vmi__xen_return_popped, 16(%rsp)
    pop %rcx
    pop %r11
    mov SP(%rsp), %rsp
    je 1f
    pop %rax
1:  movq $FRAME_CS, CS(%rsp)
    push %r11
    push %rcx
    jmp vmi__xen_event_callback
0:  enter_c
    call vmi__xen_event
    test %rax, %rax
    jz 2f
    /* r11, and the handler in its place. */
    mov 64(%rsp), %r11
    mov %rax, 64(%rsp)
    leave_c
    pop %rcx
    ret
2:  leave_c
    pop %rcx
    pop %r11
    jmp vmi__xen_iret
    .size vmi__xen_event_callback, . - vmi__xen_event_callback

/*
 * Xen enters here, with events masked, if it could not return to the guest. On the stack: ds, es,
 * fs, gs as they were to be, then rcx, r11 and the frame; all other registers are those of what was
 * interrupted. If the segments are not all loaded so, the descriptor of one has gone while Xen ran
 * something else (load_segments() in xen/arch/x86/domain.c): it is null now, and on it goes.
 * Hardware would not have looked at the descriptor again.
 *
 * Else the frame itself is what Xen cannot return to. Hardware raises #GP at such a return, with
 * the selector as error code: so does this. ecx: a segment, then twice the vector.
 */
    .globl vmi__xen_failsafe_callback
    .type vmi__xen_failsafe_callback, @function
vmi__xen_failsafe_callback:
    VMI__ENDBR64
    mov %ds, %ecx
    cmp %cx, (%rsp)
    jne 0f
    mov %es, %ecx
    cmp %cx, 8(%rsp)
    jne 0f
    mov %fs, %ecx
    cmp %cx, 16(%rsp)
    jne 0f
    mov %gs, %ecx
    cmp %cx, 24(%rsp)
    jne 0f
    movzwl 48 + CS(%rsp), %ecx
    and $~3, %ecx
    add $24, %rsp           /* room for one word more below the frame: rcx, r11, error code */
    mov 8(%rsp), %r11       /* rcx */
    mov %r11, (%rsp)
    mov 16(%rsp), %r11
    mov %r11, 8(%rsp)
    mov %rcx, 16(%rsp)
    mov $2 * VECTOR_PROTECTION, %ecx
    jmp trap
0:  add $32, %rsp
    pop %rcx
    pop %r11
    jmp vmi__xen_iret
    .size vmi__xen_failsafe_callback, . - vmi__xen_failsafe_callback

/* ---- returns ---- */

/* On the stack: Xen's flags, frame. Has Xen return; registers are as they are to be. */
    .macro xen_return
    push %rcx
    push %r11
    push %rax
    mov $vmi__xen_hypercall_iret_number, %eax
    lock incl vmi__xen_hypercall_iret_count(%rip)
    vmi__xen_transfer
    ud2
    .endm

/*
 * SYSRET. On the stack: frame; rcx and r11 may be lost. An address that is not a process's goes the
 * way of IRET, as does all if something is kept back. rcx: the address; the CPU's record.
 */
    .globl vmi__xen_sysret
    .type vmi__xen_sysret, @function
vmi__xen_sysret:
    mov (%rsp), %rcx
    shr $47, %rcx
    jnz vmi__xen_iret
0:  mov RECORD, %rcx
    cmpq $0, VMI__XEN_CPU_KEPT(%rcx)
1:  restartable .rodata.restart
    jne vmi__xen_iret
    push $VGCF_in_syscall
    xen_return
    .size vmi__xen_sysret, . - vmi__xen_sysret

/*
 * IRET. On the stack: frame; all registers are as they are to be. To a process by Xen, which takes
 * the mask from the frame's IF and lets in what is pending.
 *
 * To the kernel itself by the instruction: the processor leaves IF alone in ring 3 (Intel SDM
 * vol. 2A, IRET), and what the frame says of IF goes to the mask. Between vmi__xen_return_begin and
 * vmi__xen_return_end events are let in while rax and the stack are those of the way out; see
 * vmi__xen_event_callback.
 */
    .globl vmi__xen_iret
    .type vmi__xen_iret, @function
vmi__xen_iret:
    VMI__ENDBR64
    push %rax
    testb $3, 8 + CS(%rsp)
    jnz 5f
0:  mov RECORD, %rax
    movb $1, MASK(%rax)
1:  restartable .rodata.restart
    /* Events are masked: this stays the CPU, whose record is in rax. */
    cmpq $0, VMI__XEN_CPU_KEPT(%rax)
    jne 4f
    movq $FLAT_KERNEL_CS, 8 + CS(%rsp)
    movq $FLAT_KERNEL_SS, 8 + SS(%rsp)
    testb $VMI__EFLAGS_IF >> 8, 8 + FLAGS + 1(%rsp)
    jz 3f
    movb $0, MASK(%rax)
    .globl vmi__xen_return_begin, vmi__xen_return_popped, vmi__xen_return_end
vmi__xen_return_begin:
    cmpb $0, PENDING(%rax)
    jne 2f
    pop %rax
vmi__xen_return_popped:
    iretq
2:  movb $1, MASK(%rax)
vmi__xen_return_end:
    pop %rax
    movq $FRAME_CS, CS(%rsp)
    push %r11
    push %rcx
    jmp vmi__xen_event_callback /* as Xen would enter it */
3:  pop %rax
    iretq

    /* What is kept back is carried out first; an NMI ends by Xen. */
4:  cmpl $0, VMI__XEN_CPU_KEPT(%rax)
    jne 6f
    movl $0, VMI__XEN_CPU_NMI(%rax)
    pop %rax
    push $0
    xen_return

5:
0:  mov RECORD, %rax
    cmpq $0, VMI__XEN_CPU_KEPT(%rax)
1:  restartable .rodata.restart
    jne 7f
    pop %rax
    push $0
    xen_return
7:  movl $0, VMI__XEN_CPU_NMI(%rax)
    cmpl $0, VMI__XEN_CPU_KEPT(%rax)
    je 5b
6:  pop %rax
    push %r11
    push %rcx
    enter_c
    call vmi__xen_carry_out_here
    leave_c
    pop %rcx
    pop %r11
    jmp vmi__xen_iret
    .size vmi__xen_iret, . - vmi__xen_iret

    .section .rodata.restart, "a", @progbits
    .globl vmi__xen_restart_end
vmi__xen_restart_end:

    .section .note.GNU-stack, "", @progbits
