/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The native library as a ROM of the published API. A library that inherits has its own in place of
 * this file, or none.
 */
#include "image/published.h"
#include "../../native.h"

bool vmi__backend_serve(void)
{
    return vmi__native_serve();
}

const struct vmi__published_call vmi__published_calls[] = {
    {VMI_ORDINAL_SHUTDOWN, vmi__native_published_shutdown},
    {VMI_ORDINAL_SET_INITIAL_AP_STATE, vmi__native_published_ap_state},
    {VMI_ORDINAL_APIC_WRITE, vmi__native_published_apic_write},
    {VMI_ORDINAL_APIC_READ, vmi__native_published_apic_read},
    {0, 0},
};
