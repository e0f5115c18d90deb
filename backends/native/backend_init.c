/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Start of the native library. A library that inherits has its own in place of this file.
 */
#include "native.h"

bool vmi__backend_here(void)
{
    return true;
}

void vmi__backend_init(struct vmi_boot_info *boot)
{
    boot->backend = "native";
    vmi__native_init(boot);
}

int32_t vmi__backend_rebind(uint32_t without)
{
    return vmi__native_rebind(without);
}
