/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What a library keeps of a CPU that has become known. This one keeps nothing; a library that
 * inherits has its own in place of this file.
 */
#include "native.h"

void vmi__native_cpu_identified(uint32_t cpu)
{
    (void)cpu;
}

void vmi__native_cpu_forgotten(uint32_t cpu)
{
    (void)cpu;
}
