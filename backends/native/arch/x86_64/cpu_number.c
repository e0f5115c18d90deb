/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Number of this CPU, from the library's words of its per-CPU area. Neither the APIC nor CPUID is
 * asked, so this serves inheriting libraries too.
 */
#include "../../native.h"

uint32_t vmi__native_cpu(void)
{
    uint32_t number;

    __asm__ volatile("movl %%gs:%c1, %0" : "=r"(number) : "i"(VMI_PERCPU_NUMBER));
    return number;
}
