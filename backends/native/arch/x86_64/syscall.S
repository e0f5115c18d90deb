/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The entry of system calls: makes the frame that an exception would have made, and goes on in the
 * kernel. Source: Intel SDM vol. 2B, SYSCALL.
 */
#include <vmi/constants.h>

#include "arch/x86_64/selectors.h"
#include "endbr.h"

    .text
    .globl vmi__native_syscall
    .type vmi__native_syscall, @function
/*
 * rcx: the process's rip, r11: its rflags; rsp and all others are the process's. Interrupts are
 * masked (FMASK). On leaving, rsp: rip, cs, rflags, rsp, ss.
 */
vmi__native_syscall:
    VMI__ENDBR64
    swapgs
    mov %rsp, %gs:VMI_PERCPU_SCRATCH
    mov %gs:VMI_PERCPU_KERNEL_STACK, %rsp
    push $VMI__USER_SS
    push %gs:VMI_PERCPU_SCRATCH
    push %r11
    push $VMI__USER_CS
    push %rcx
    jmp *vmi__native_syscall_entry(%rip)
    .size vmi__native_syscall, . - vmi__native_syscall

    .globl vmi__native_syscall32
    .type vmi__native_syscall32, @function
/*
 * The same instruction in 32-bit code, on AMD's processors: there are no such system calls. ecx: the
 * process's eip, r11: its rflags; the GS base and the stack are the process's.
 */
vmi__native_syscall32:
    VMI__ENDBR64
    mov $VMI_ENOSYS, %eax
    sysretl
    .size vmi__native_syscall32, . - vmi__native_syscall32

    .globl vmi__native_syscall_end
/* From vmi__native_syscall to here the stack pointer may be a process's. */
vmi__native_syscall_end:

    .bss
    .balign 8
    .globl vmi__native_syscall_entry
    .type vmi__native_syscall_entry, @object
/* Where the kernel goes on. */
vmi__native_syscall_entry:
    .skip 8
    .size vmi__native_syscall_entry, 8

    .section .note.GNU-stack, "", @progbits
