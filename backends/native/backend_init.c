/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Start of the native library. A library that inherits has its own in place of this file.
 */
#include "native.h"

bool vmi__backend_here(void)
{
    return true;
}

/* Nobody keeps anything of this library's CPUs. */
void vmi__native_cpu_identified(uint32_t cpu)
{
    (void)cpu;
}

void vmi__native_cpu_forgotten(uint32_t cpu)
{
    (void)cpu;
}

void vmi__backend_init(struct vmi_boot_info *boot)
{
    boot->backend = "native";
    vmi__native_init(boot);
}
