/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The way into this library as a provider image.
 */
#include "image/image.h"

#include "start.h"

VMI__FROM_ENTRY void vmi__image_start(struct vmi__kernel *kernel)
{
    if (kernel->protocol != VMI_BOOT_PARAVIRTUAL)
        return;
    vmi__image_take(kernel);
    vmi__xen_start((const struct start_info *)(uintptr_t)kernel->info);
}
