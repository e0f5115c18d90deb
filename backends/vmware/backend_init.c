/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Start of the VMware library.
 */
#include "vmware.h"

bool vmi__backend_here(void)
{
    return vmi__vmware_here();
}

void vmi__backend_init(struct vmi_boot_info *boot)
{
    boot->backend = "vmware";
    vmi__native_tsc_hz = vmi__vmware_detect();
    vmi__native_init(boot);
    vmi__vmware_time_init();
    vmi__vmware_describe();
}

int32_t vmi__backend_rebind(uint32_t without)
{
    vmi__vmware_form_again();
    return vmi__native_rebind(without);
}
