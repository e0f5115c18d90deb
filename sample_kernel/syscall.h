/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * System calls: the number in eax, arguments in ebx and, for int $0x80 on i386, ecx, for SYSCALL on
 * x86-64, rdx; the result comes back in eax, where a negative one is an error of vmi/constants.h.
 * All other registers are kept. For C and assembly.
 */
#ifndef SYSCALL_H
#define SYSCALL_H

#define SYSCALL_EXIT    0 /* status */
#define SYSCALL_WRITE   1 /* text, length: a line on the console */
#define SYSCALL_GETPID  2
#define SYSCALL_YIELD   3
#define SYSCALL_FORK    4 /* 0 in the child */
#define SYSCALL_WAIT    5 /* number of a child: its status */
#define SYSCALL_TICKS   6 /* the time-stamp counter's low bits */
#define SYSCALL_FS_BASE 7 /* x86-64: address, the new base of FS */
#define SYSCALL_COUNT   8

/* The bits that SYSCALL_TICKS returns: a result is positive. */
#define SYSCALL_TICKS_MASK 0x7fffffff

/* Bytes that SYSCALL_WRITE takes at once. */
#define SYSCALL_WRITE_MAX 128

#ifndef __ASSEMBLER__
void syscall_init(void);
/* On each CPU: where SYSCALL leads. */
void syscall_init_cpu(void);
#endif

#endif
