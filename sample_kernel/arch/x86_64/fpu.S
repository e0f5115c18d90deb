/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The kernel's few floating-point instructions. Arguments in rdi, results in eax. */

#define MXCSR_DEFAULT 0x1f80 /* all exceptions masked: Intel SDM vol. 1, 10.2.3 */

    .text

/* All of it: registers hold what another thread has left there. */
    .globl fpu_reset
fpu_reset:
    mov $empty, %rdi
    jmp fpu_restore

    .section .rodata
    .balign 64
empty: /* Intel SDM vol. 1, 10.5.1; no component in XSAVE's header: each is as after a reset (13.8) */
    .short 0x37f /* the x87's control word as FNINIT makes it */
    .fill 22
    .long MXCSR_DEFAULT
    .fill 484
    .fill 64
    .text

/* edx and eax: the components, if there are several ways; else flag Z. */
    .macro components
    xor %edx, %edx
    mov fpu_components, %eax
    test %eax, %eax
    .endm

    .globl fpu_save
fpu_save:
    components
    jz 1f
    xsave64 (%rdi)
    ret
1:  fxsave64 (%rdi)
    ret

    .globl fpu_restore
fpu_restore:
    components
    jz 1f
    xrstor64 (%rdi)
    ret
1:  fxrstor64 (%rdi)
    ret

/* The integer goes onto the x87's stack, and into an SSE register, which must be kept as well. */
    .globl fpu_push
fpu_push:
    push %rdi
    fildl (%rsp)
    movd %edi, %xmm7
    pop %rax
    ret

/* The top of the stack if both still hold the same, else a number that nobody pushed. */
    .globl fpu_top
fpu_top:
    push %rax /* room for the result */
    fistl (%rsp)
    pop %rax
    mov %eax, %eax
    movd %xmm7, %edx
    cmp %eax, %edx
    je 1f
    mov $0x80000000, %eax
1:  ret

    .globl fpu_pop
fpu_pop:
    fstp %st(0)
    ret

    .section .note.GNU-stack, "", @progbits
