/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the kernel is told, before an entry path has filled it.
 */
#include "runtime.h"

struct vmi_cpu vmi__cpus[VMI__CPUS_FEW];

struct vmi_boot_info vmi__boot = {
    .magic = VMI_BOOT_INFO_MAGIC,
    .version = VMI_BOOT_INFO_VERSION,
    .size = sizeof(struct vmi_boot_info),
    .backend = "",
    .loader = "",
    .command_line = "",
    .linear_base = VMI__LINEAR_BASE,
    .cpu_count = 1,
    .cpus = vmi__cpus,
};
