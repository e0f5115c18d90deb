/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * System calls that are wrong: memory of the kernel, memory of nobody, a length too long, a call
 * that does not exist, a child that does not exist. Status 0, or the step that the kernel did not
 * refuse with the right error.
 */
#include "program.inc"

    .macro expect step, error
    cmpl $\error, %eax
    movl $\step, %esi
    jne wrong
    .endm

    program_begin misuse
    system_call SYSCALL_WRITE, $0xc0100000, $16
    expect 1, VMI_EINVAL
    system_call SYSCALL_WRITE, $0x10, $16
    expect 2, VMI_EINVAL
    system_call SYSCALL_WRITE, $USER_TEXT, $SYSCALL_WRITE_MAX+1
    expect 3, VMI_EINVAL
    system_call SYSCALL_COUNT
    expect 4, VMI_ENOSYS
    system_call SYSCALL_WAIT, $12345
    expect 5, VMI_ENOENT
    xorl %esi, %esi
wrong:
    system_call SYSCALL_EXIT, %esi
    program_end misuse
