/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads the first byte of the kernel's image. */
#include "program.inc"

    program_begin intruder
#ifdef __x86_64__
    movabs KERNEL_IMAGE, %al
#else
    movb KERNEL_IMAGE, %al
#endif
    system_call SYSCALL_EXIT, $1
    program_end intruder
