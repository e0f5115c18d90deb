/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Start of the library for Xen PVH.
 */
#include "pvh.h"

static void start(struct vmi_boot_info *boot)
{
    const char *reason = vmi__xen_pvh_start();

    boot->backend = "xen_pvh";
    if (reason)
        vmi__fatal(reason);
    vmi__xen_pvh_grants_start();
    vmi__xen_pvh_store_start();
}

bool vmi__backend_here(void)
{
    return vmi__xen_pvh_present();
}

void vmi__backend_init(struct vmi_boot_info *boot)
{
    start(boot);
    vmi__native_init(boot);
    vmi__xen_pvh_cpus_start();
    vmi__xen_pvh_steal_time_start();
    vmi__xen_pvh_requests_start();
}

int32_t vmi__backend_rebind(uint32_t without)
{
    vmi__xen_pvh_find_transfer();
    return vmi__native_rebind(without);
}

#ifdef __i386__
/* Only the local APIC is out of reach: console, clocks, sharing and ends are hypercalls and memory.
 */
void vmi__backend_init_unpaged(struct vmi_boot_info *boot)
{
    start(boot);
    vmi__native_tsc_init();
}
#endif
