/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Number of this CPU, in a file of its own: where reading the APIC is dear, an inheriting library
 * has a better way.
 *
 * A client of the ROM is asked on each write to EOI. Its APIC may not be mapped, and it may be a
 * guest of a hypervisor that this library knows nothing of.
 */
#include "../../native.h"

uint32_t vmi__native_cpu(void)
{
    return vmi__native_published ? vmi__native_cpu_by_tss() : vmi__native_cpu_by_apic();
}
