/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Marks of ci/linux_workloads.c in KVM's trace: CPUID always leaves the guest, and the trace has
 * the leaf (ci/kvmtrace.py).
 */
#ifndef MARK_H
#define MARK_H

#include <stdint.h>

#define MARK_begin 0x57494d57
#define MARK_round 0x57494d58

#define MARK(name)                                                                                 \
    static void mark_##name(void)                                                                  \
    {                                                                                              \
        uint32_t a = MARK_##name, b, c = 0, d;                                                     \
        __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d)::"memory");                  \
    }

#endif
