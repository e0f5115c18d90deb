/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The way into this library as a provider image.
 */
#include "image/image.h"

#include "start.h"

void vmi__image_enter(void)
{
    vmi__xen_start((const struct start_info *)(uintptr_t)vmi__kernel.info);
}
