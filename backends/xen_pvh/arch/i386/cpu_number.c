/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "../../pvh.h"

/*
 * Without paging there are no further CPUs, and no way to the APIC. With it, each access to the
 * APIC leaves the domain.
 */
uint32_t vmi__native_cpu(void)
{
    return vmi__xen_pvh_paged() ? vmi__native_cpu_by_tss() : 0;
}
