/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The kernel's few floating-point instructions. Arguments in eax (regparm). */

    .text

/* FNINIT calls the registers empty and leaves in them what another thread has left. */
    .globl fpu_reset
fpu_reset:
    frstor empty
    ret

    .section .rodata
empty: /* as FNINIT makes it, Intel SDM vol. 1, 8.1.10 */
    .long 0xffff037f, 0xffff0000, 0xffffffff, 0, 0, 0, 0xffff0000
    .fill 80
    .text

    .globl fpu_save
fpu_save:
    fnsave (%eax)
    fwait
    ret

    .globl fpu_restore
fpu_restore:
    frstor (%eax)
    ret

    .globl fpu_push
fpu_push:
    pushl %eax
    fildl (%esp)
    popl %eax
    ret

    .globl fpu_top
fpu_top:
    pushl %eax /* room for the result */
    fistl (%esp)
    popl %eax
    ret

    .globl fpu_pop
fpu_pop:
    fstp %st(0)
    ret

    .section .note.GNU-stack, "", @progbits
