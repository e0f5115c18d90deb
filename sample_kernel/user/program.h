/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * For programs: they are assembled as data of the kernel and run at USER_TEXT. A program is
 * straight code, so it needs no linking of its own: jumps are relative, and USER(label) is where a
 * label is once the program runs.
 */
#include "../layout.h"
#include "../syscall.h"

#include <vmi/constants.h>

    .macro program_begin name
    .section .rodata.program_\name, "a", @progbits
    .balign 16
    .globl program_\name
program_\name:
program_start:
    .endm

    .macro program_end name
    .globl program_\name\()_end
program_\name\()_end:
    .section .note.GNU-stack, "", @progbits
    .endm

#define USER(label) (USER_TEXT+label-program_start)

/* A system call: its number, then what goes to ebx and ecx. The result is in eax. */
    .macro system_call number, first=$0, second=$0
    movl \first, %ebx
    movl \second, %ecx
    movl $\number, %eax
    int $VECTOR_SYSCALL
    .endm
