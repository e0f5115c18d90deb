/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Where the wrappers of code compiled with VMI_COUNT_CALLS count.
 */
#include "runtime.h"

uint32_t vmi_call_count[VMI_ORDINALS];
