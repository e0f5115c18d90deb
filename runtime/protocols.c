/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Which reader a loader's structures are for.
 */
#include "loader.h"

const char *vmi__loader_read(const struct vmi__loader_view *view, uint32_t protocol, uint32_t magic,
                             uint32_t info)
{
    const char *reason;

    switch (protocol) {
    case VMI_BOOT_MULTIBOOT:
        reason = vmi__multiboot_read(view, magic, info);
        break;
    case VMI_BOOT_MULTIBOOT2:
        reason = vmi__multiboot2_read(view, magic, info);
        break;
    default:
        reason = vmi__pvh_read(view, info);
    }
    return reason ? reason : vmi__loader_finish(view);
}
