/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What assembly reads of each CPU.
 */
#include "../../domain.h"

struct vmi__xen_kept vmi__xen_kept[VMI__XEN_CPUS_MAX];
uint32_t vmi__xen_sysenter_cs[VMI__XEN_CPUS_MAX];
