/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Marks of ci/linux_workloads.c in Xen's trace: CPUID behind the prefix by which Xen emulates it
 * (xen/arch-x86/xen.h, XEN_EMULATE_PREFIX). The trace has the address behind it, here
 * `mark_NAME_place`, and Linux hears nothing of it.
 */
#ifndef MARK_H
#define MARK_H

#include <stdint.h>

/* In a function that the compiler knows nothing of, so that its address is there once. */
#define MARK(name)                                                                                 \
    static __attribute__((noipa)) void mark_##name(void)                                           \
    {                                                                                              \
        uint32_t a = 0, b, c = 0, d;                                                               \
        __asm__ volatile(".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e; cpuid\n"                             \
                         ".globl mark_" #name "_place\nmark_" #name "_place:"                      \
                         : "+a"(a), "=b"(b), "+c"(c), "=d"(d)::"memory");                          \
    }

#endif
