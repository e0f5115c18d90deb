/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * IRET, and SYSRET with its end at a known place. An IRET that a second NMI cannot turn into an endless loop.
 *
 * NMIs are masked until the handler's IRET. On AMD processors Xen waits for that by intercepting the
 * instruction, lets NMIs in and has it executed; should anything else leave the guest between, the next
 * NMI comes before the instruction is done (xen/arch/x86/hvm/svm/svm.c says so itself; in an emulated
 * machine it happened in 3 of 75 runs of a hundred NMIs each). NMIs have a stack of their own, which each
 * begins at its top: the second one's frame replaces the first one's, and leads back to the IRET that reads
 * it. So no IRET is executed on such a stack: the frame moves to the stack that it leads to, or, for a
 * process, to the kernel's, which is empty while the process runs.
 */
#include <vmi/constants.h>

/* Offsets in the frame. */
#define RIP    0
#define CS     8
#define RFLAGS 16
#define RSP    24
#define SS     32
#define SIZE   40

/* A frame that lies so near below where it is to be is where it belongs: nothing has to move. */
#define NEAR 128

/*
 * Moves frame and rsp. On the stack: rcx, rax, the frame. rcx: where the frame is to end. On the new
 * one: the same, after which both are restored; `SAVED` bytes lie before the frame.
 */
#define SAVED 16
.macro move_frame
        .irp    field, RIP, CS, RFLAGS, RSP, SS
        mov     SAVED + \field(%rsp), %rax
        mov     %rax, \field - SIZE(%rcx)
        .endr
        mov     8(%rsp), %rax
        mov     %rax, 8 - SIZE - SAVED(%rcx)
        mov     (%rsp), %rax
        mov     %rax, -SIZE - SAVED(%rcx)
        lea     -SIZE - SAVED(%rcx), %rsp
        pop     %rcx
        pop     %rax
.endm

        .text
        .globl  vmi__xen_pvh_iret
        .type   vmi__xen_pvh_iret, @function
        .balign 16
vmi__xen_pvh_iret:
        testb   $3, CS(%rsp)
        jnz     2f

        /*
         * To ring 0. Nothing is written by a stack pointer that is a process's, and may be any number: so it
         * is where SYSCALL has just entered, and before SYSRET is executed.
         */
        push    %rax
        mov     8 + RIP(%rsp), %rax
        push    %rcx
        lea     vmi__native_syscall(%rip), %rcx
        cmp     %rcx, %rax
        pop     %rcx
        jb      0f
        push    %rcx
        lea     vmi__native_syscall_end(%rip), %rcx
        cmp     %rcx, %rax
        pop     %rcx
        jb      1f
0:      push    %rcx
        lea     process_stack(%rip), %rcx
        cmp     %rcx, %rax
        pop     %rcx
        jb      0f
        push    %rcx
        lea     process_stack_end(%rip), %rcx
        cmp     %rcx, %rax
        pop     %rcx
        jb      1f
0:      mov     8 + RSP(%rsp), %rax
        sub     %rsp, %rax
        cmp     $NEAR, %rax
        jb      1f
        push    %rcx
        mov     SAVED + RSP(%rsp), %rcx
        move_frame
        iretq
1:      pop     %rax
        iretq

        /* To ring 3. A kernel that has not named its stack has none to move to. */
2:      push    %rax
        mov     %gs:VMI_PERCPU_KERNEL_STACK, %rax
        test    %rax, %rax
        jns     3f
        sub     %rsp, %rax
        cmp     $NEAR, %rax
        jb      3f
        push    %rcx
        mov     %gs:VMI_PERCPU_KERNEL_STACK, %rcx
        move_frame
        push    %rax

        /* With an address that is not canonical IRET faults in the kernel, with the kernel's base of GS. */
3:      mov     8 + RIP(%rsp), %rax
        sar     $47, %rax
        inc     %rax
        cmp     $1, %rax
        pop     %rax
        ja      4f
        cli
        swapgs
4:      iretq
        .size   vmi__xen_pvh_iret, . - vmi__xen_pvh_iret

        .globl  vmi__xen_pvh_sysret
        .type   vmi__xen_pvh_sysret, @function
        .balign 16
/*
 * rcx, r11: scratch, as the call's contract has it. An address in the upper half, or none that is canonical,
 * would fault in ring 0 on the process's stack (Intel SDM vol. 2B, SYSRET).
 */
vmi__xen_pvh_sysret:
        mov     RIP(%rsp), %rcx
        mov     %rcx, %r11
        shr     $47, %r11
        jnz     vmi__xen_pvh_iret
        mov     RFLAGS(%rsp), %r11
        cli
        mov     RSP(%rsp), %rsp
process_stack:
        swapgs
        sysretq
process_stack_end:
        .size   vmi__xen_pvh_sysret, . - vmi__xen_pvh_sysret

        .section .note.GNU-stack, "", @progbits
