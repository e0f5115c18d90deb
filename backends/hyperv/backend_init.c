/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Start of the Hyper-V library.
 */
#include "hyperv.h"

bool vmi__backend_here(void)
{
    return vmi__hyperv_here();
}

void vmi__backend_init(struct vmi_boot_info *boot)
{
    vmi__hyperv_detect();
    boot->backend = "hyperv";
    vmi__hyperv_frequencies();
    vmi__native_init(boot);
    vmi__hyperv_partition_init();
    vmi__hyperv_clock_init();
    vmi__hyperv_describe();
}

/* The way into the hypervisor is its own page, which it writes for the processor. */
int32_t vmi__backend_rebind(uint32_t without)
{
    return vmi__native_rebind(without);
}
