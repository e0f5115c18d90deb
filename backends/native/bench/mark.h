/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Marks of ci/linux_workloads.c on a plain PC: writes to port 0x80, which QEMU's trace of accesses
 * has. The ticks that the program takes itself are instructions.
 */
#ifndef MARK_H
#define MARK_H

#include <sys/io.h>

#define MARK_PORT  0x80
#define MARK_begin 0x51
#define MARK_round 0x52

#define MARK(name)                                                                                 \
    static void mark_##name(void)                                                                  \
    {                                                                                              \
        static int may;                                                                            \
                                                                                                   \
        if (!may)                                                                                  \
            may = !ioperm(MARK_PORT, 1, 1);                                                        \
        if (may)                                                                                   \
            outb(MARK_##name, MARK_PORT);                                                          \
    }

#endif
