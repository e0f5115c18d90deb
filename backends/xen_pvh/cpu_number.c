/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "pvh.h"

/* Without paging there are no further CPUs, and no way to the APIC. */
uint32_t vmi__native_cpu(void)
{
    return vmi__xen_pvh_paged() ? vmi__native_cpu_by_apic() : 0;
}
