/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A further CPU comes up: nothing more to do on plain hardware. A file of its own, so that an
 * inheriting library can have another.
 */
#include "../../native.h"

void vmi__native_cpu_identified(uint32_t cpu)
{
    (void)cpu;
}
