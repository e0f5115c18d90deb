/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * CurrentCPU, by whatever way the library has.
 */
#include "../../native.h"
#include <native/routines.h>

VMI__ROUTINE uint32_t vmi__native_current_cpu(void)
{
    return vmi__native_cpu();
}
