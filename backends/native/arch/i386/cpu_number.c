/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Number of this CPU, in a file of its own: where reading the APIC is dear, an inheriting library
 * has a better way.
 */
#include "../../native.h"

uint32_t vmi__native_cpu(void)
{
    return vmi__native_cpu_by_apic();
}
