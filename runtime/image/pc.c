/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The way into a PC library that is a provider image.
 */
#include "image/image.h"
#include "pc.h"

struct vmi__pc_tables vmi__pc_tables;

VMI__FROM_ENTRY void vmi__image_start(struct vmi__kernel *kernel)
{
    vmi__image_take(kernel);
    vmi__pc_tables = *kernel->tables;
    if (kernel->refuse)
        vmi__pc_refuse(kernel->protocol, kernel->magic, (uint32_t)kernel->info, kernel->refuse);
    vmi__pc_start(kernel->protocol, kernel->magic, (uint32_t)kernel->info);
}
