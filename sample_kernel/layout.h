/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Where things are in the linear address space, and which vector is whose; for C and assembly.
 * What belongs to the kernel stands in arch/ARCH/windows.h.
 *
 *   0x00400000  a process: text, copied from the kernel's image when touched
 *   0x00600000  a process: data, zero when touched
 *   0x007fc000  a process: stack, zero when touched, down from 0x00800000
 */
#ifndef LAYOUT_H
#define LAYOUT_H

#define USER_TEXT        0x00400000
#define USER_TEXT_PAGES  16
#define USER_DATA        0x00600000
#define USER_DATA_PAGES  64
#define USER_STACK_TOP   0x00800000
#define USER_STACK_PAGES 4
#define USER_END         0x40000000 /* processes live in the first GiB */

#include "windows.h"

/* A thread's stack begins with its struct thread and lies on a boundary of its size. */
#define STACK_SIZE 8192

#define VECTOR_ALARM      0x40
#define VECTOR_RESCHEDULE 0x41
#define VECTOR_TLB        0x42
#define VECTOR_CHECK      0x43
#define VECTOR_CONSOLE    0x44
#define VECTOR_LINE       0x48 /* of line 0: the lower bits are the line's, for 8259s */
#define VECTOR_DEVICE     0x4a /* and the one behind it */
#define VECTOR_DISK       0x4c
#define VECTOR_ENTROPY    0x4d
#define VECTOR_NETWORK    0x4e
#define VECTOR_REQUEST    0x51 /* of an 8259's line 9, where ACPI's interrupt is one */
#define VECTOR_SYSCALL    0x80

#endif
