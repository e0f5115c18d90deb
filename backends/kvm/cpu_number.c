/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Number of this CPU for the native library's routines, in place of native/cpu_number.c.
 */
#include "kvm.h"

uint32_t vmi__native_cpu(void)
{
    return vmi__kvm_cpu_number();
}
