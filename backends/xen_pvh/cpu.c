/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "pvh.h"

/* Xen knows its VCPUs by itself: nothing is set up for one that is found. */
void vmi__native_cpu_identified(uint32_t cpu)
{
    (void)cpu;
}
