/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Start of the KVM library: KVM first, for its clock tells the native library what that would have
 * to measure.
 */
#include "kvm.h"

bool vmi__backend_here(void)
{
    return vmi__kvm_here();
}

void vmi__backend_init(struct vmi_boot_info *boot)
{
    const char *reason = vmi__kvm_detect();

    boot->backend = "kvm";
    if (reason)
        vmi__fatal(reason);
    vmi__kvm_cpu_init();
    vmi__kvm_clock_init();
    vmi__native_apic_write_called = true;
    vmi__native_init(boot);
    vmi__kvm_cpus_init();
    vmi__kvm_describe();
}

int32_t vmi__backend_rebind(uint32_t without)
{
    return vmi__kvm_detect_again() ? vmi__native_rebind(without) : VMI_ENODEV;
}
