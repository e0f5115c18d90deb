/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The VMware library as a ROM of the published API. Cycles are those of the TSC, as its clients
 * take them to be, at the frequency that the backdoor tells.
 */
#include "image/published.h"
#include "../../vmware.h"

bool vmi__backend_serve(void)
{
    vmi__native_tsc_hz = vmi__vmware_detect();
    if (!vmi__vmware_present || !vmi__native_serve())
        return false;
    vmi__vmware_time_init();
    return true;
}

const struct vmi__published_call vmi__published_calls[] = {
    VMI__NATIVE_PUBLISHED_CALLS,
    {0, 0},
};
