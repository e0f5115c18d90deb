/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Number of this CPU for the native library's routines, in place of native/arch/i386/cpu_number.c.
 */
#include "../../vmware.h"

uint32_t vmi__native_cpu(void)
{
    return vmi__native_cpu_by_tss();
}
