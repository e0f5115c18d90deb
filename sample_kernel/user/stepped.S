/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Has itself single-stepped over system calls of both ways: none of the steps is the kernel's, and
 * the next one is taken when the kernel is left. Ends with status 0. x86-64 only.
 */
#include "program.inc"

#define TF 0x100

    program_begin stepped
    pushf
    orl $TF, (%rsp)
    popf
    system_call SYSCALL_GETPID
    nop
    system_call SYSCALL_GETPID, by=by_interrupt
    nop
    pushf
    andl $~TF, (%rsp)
    popf
    system_call SYSCALL_EXIT, $0
    program_end stepped
