/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "first_device.h"

#include "frames.h"
#include "x86.h"

#define MEMORY_MAX 160 /* pages next to each other */

volatile uint32_t first_device_events;

bool first_device_find(struct first_device *device)
{
    for (uint32_t i = 0; !device->found && vmi_device_info(i, &device->facts) == VMI_OK; i++) {
        device->found = device->facts.kind == device->kind;
        device->number = i;
    }
    return device->found && vmi_device_info(device->number, &device->facts) == VMI_OK;
}

int32_t first_device_open(struct first_device *device)
{
    const struct vmi_device_properties *facts = &device->facts;
    struct vmi_device_setup *setup = &device->setup;
    struct vmi_device_memory needs;

    if (facts->flags & VMI_DEVICE_IS_OPEN)
        return VMI_OK;
    *setup = (struct vmi_device_setup){
        .queues = device->queues ? device->queues : 1,
        .requests = least(facts->requests, device->requests),
        .segments = least(facts->segments, device->segments),
    };
    int32_t result = vmi_device_needs(device->number, setup, &needs);
    /* Without indirect descriptors a ring holds fewer that have more segments. */
    for (; result == VMI_EINVAL && setup->requests > 1; setup->requests /= 2)
        result = vmi_device_needs(device->number, setup, &needs);
    if (result != VMI_OK)
        return result;
    if (device->memory_pages == 0 && needs.size / PAGE_SIZE <= MEMORY_MAX) {
        device->memory = frame_allocate_run((uint32_t)(needs.size / PAGE_SIZE));
        device->memory_pages =
            device->memory != FRAME_NONE ? (uint32_t)(needs.size / PAGE_SIZE) : 0;
    }
    if (needs.size > (uintptr_t)device->memory_pages * PAGE_SIZE)
        return VMI_ENOMEM;
    setup->memory = (uintptr_t)frame_address(device->memory);
    return vmi_device_open(device->number, setup);
}

uint32_t first_device_give_back(struct first_device *device)
{
    uint32_t pages = device->memory_pages;

    frame_release_run(device->memory, pages);
    device->memory = FRAME_NONE;
    device->memory_pages = 0;
    return pages;
}

bool first_device_has_limits(const struct first_device *device)
{
    const struct vmi_device_properties *facts = &device->facts;
    const struct vmi_device_setup none[] = {
        {.queues = 0, .requests = 1, .segments = 1},
        {.queues = facts->queues + 1, .requests = 1, .segments = 1},
        {.queues = 1, .requests = 0, .segments = 1},
        {.queues = 1, .requests = facts->requests + 1, .segments = 1},
        {.queues = 1, .requests = 1, .segments = 0},
        {.queues = 1, .requests = 1, .segments = facts->segments + 1},
    };
    struct vmi_device_memory needs;

    for (uint32_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        if (vmi_device_needs(device->number, &none[i], &needs) != VMI_EINVAL ||
            vmi_device_open(device->number, &none[i]) != VMI_EINVAL)
            return false;
    return true;
}

void first_device_note(struct trap_frame *frame)
{
    first_device_events++;
    vmi_end_of_interrupt(frame->vector);
}
