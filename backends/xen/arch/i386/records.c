/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What assembly reads of each CPU.
 */
#include "../../domain.h"

struct vmi__xen_kept vmi__xen_kept[VMI__XEN_CPUS_MAX];
/* None lies in two pages, as Xen has it. */
struct vcpu_info vmi__xen_infos[VMI__XEN_CPUS_MAX]
    __attribute__((aligned(1 << VMI__XEN_VCPU_SHIFT)));
uint32_t vmi__xen_sysenter_cs[VMI__XEN_CPUS_MAX];
