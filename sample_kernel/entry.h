/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Where hardware enters the kernel: arch/ARCH/entry.S. */
#ifndef ENTRY_H
#define ENTRY_H

/* An entry point for each vector, TRAP_ENTRY_SIZE bytes apart. */
extern const char trap_entries[];
#ifdef __x86_64__
/* Of system calls by SYSCALL: what SetSyscallEntry is told. */
extern const char syscall_entry[];
#endif

#endif
