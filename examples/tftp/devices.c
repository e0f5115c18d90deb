/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "devices.h"

#include "interrupts.h"
#include "memory.h"

bool device_find(uint32_t kind, uint32_t *device, struct vmi_device_properties *facts)
{
    for (; vmi_device_info(*device, facts) == VMI_OK; ++*device)
        if (facts->kind == kind)
            return true;
    return false;
}

bool device_open(uint32_t device, struct vmi_device_setup setup, uint32_t events)
{
    struct vmi_device_memory needs;

    if (vmi_device_needs(device, &setup, &needs) != VMI_OK)
        return false;
    setup.memory = (uintptr_t)memory_take(needs.size, needs.alignment, needs.limit);
    if (vmi_device_open(device, &setup) != VMI_OK)
        return false;
    for (uint32_t queue = 0; queue < events; queue++)
        interrupts_bind(device, queue);
    return true;
}
