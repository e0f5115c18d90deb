/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the library keeps of a CPU: nothing, for Xen knows its VCPUs by itself.
 */
#include "pvh.h"

void vmi__native_cpu_identified(uint32_t cpu)
{
    (void)cpu;
}

void vmi__native_cpu_forgotten(uint32_t cpu)
{
    (void)cpu;
}
