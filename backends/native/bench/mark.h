/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Marks of ci/linux_workloads.c where nobody looks from outside: the ticks that it takes itself are
 * instructions.
 */
#ifndef MARK_H
#define MARK_H

#define MARK(name)                                                                                 \
    static void mark_##name(void)                                                                  \
    {                                                                                              \
    }

#endif
