/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The KVM library as a ROM of the published API.
 */
#include "image/published.h"
#include "kvm.h"

#define REGISTER 0xfffu /* of the address that APICWrite is given */

static VMI__ROUTINE void apic_write(uint32_t reg, uint32_t value)
{
    if ((reg & REGISTER) == VMI_APIC_EOI && vmi__kvm_ended_in_memory())
        vmi__native_published_ended();
    else
        vmi__native_published_apic_write(reg, value);
}

bool vmi__backend_serve(void)
{
    if (vmi__kvm_detect())
        return false;
    vmi__kvm_cpu_init();
    vmi__kvm_clock_init();
    return vmi__native_serve();
}

const struct vmi__published_call vmi__published_calls[] = {
    {VMI_ORDINAL_SHUTDOWN, vmi__native_published_shutdown},
    {VMI_ORDINAL_SET_INITIAL_AP_STATE, vmi__native_published_ap_state},
    {VMI_ORDINAL_APIC_WRITE, apic_write},
    {VMI_ORDINAL_APIC_READ, vmi__native_published_apic_read},
    {0, 0},
};
