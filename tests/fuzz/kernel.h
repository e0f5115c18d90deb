/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The kernel's side of fuzz targets with devices: what it gives to them, and that each request ends
 * once. The target has the interface (devices/interface.c) before it includes this.
 */
#ifndef VMI_TESTS_FUZZ_KERNEL_H
#define VMI_TESTS_FUZZ_KERNEL_H

#include <stdlib.h>

#include "fuzz.h"
#include "input.h"

#define IDS 4096u

static uint32_t pending[IDS]; /* 0, or one more than the bytes that the request may write */
static uint32_t given_ids;

static void forget_requests(void)
{
    memset(pending, 0, given_ids * sizeof(pending[0]));
    given_ids = 0;
}

/* So many were taken of those that have numbers from `first` on: the others stay the kernel's. */
static void keep(uint32_t first, uint32_t wanted, int32_t taken)
{
    HOLDS(taken <= (int32_t)wanted);
    /* What stays with the kernel ends in no other way. */
    given_ids = first + (taken > 0 ? (uint32_t)taken : 0);
    for (uint32_t i = given_ids; i < first + wanted; i++)
        pending[i] = 0;
}

static void take_back(const struct vmi_completion *ended, int32_t taken)
{
    HOLDS(taken >= 0);
    for (int32_t i = 0; i < taken; i++) {
        HOLDS(ended[i].id < IDS && pending[ended[i].id]);
        HOLDS(ended[i].length < pending[ended[i].id]);
        pending[ended[i].id] = 0;
    }
}

/* All that a queue of the table has, as one of the calls reaps it. */
typedef int32_t reaper(uint32_t device, uint32_t queue, struct vmi_completion *to, uint32_t room);

/* How many were taken, or why there are none. */
static int32_t reap_with(reaper *of, uint32_t device, uint32_t queue, uint32_t room)
{
    struct vmi_completion *ended = malloc((room + 1) * sizeof(*ended));
    int32_t taken = of(device, queue, ended, room);

    HOLDS(taken <= (int32_t)room);
    if (taken > 0)
        take_back(ended, taken);
    free(ended);
    return taken;
}

/* What holds of each device that there is. */
static void is_sound(const struct vmi_device_properties *info)
{
    HOLDS(info->requests && info->requests <= VMI__REQUESTS_MAX);
    HOLDS(info->queues && info->queues <= VMI__QUEUES_MAX);
    HOLDS(info->segments && info->segments <= VMI__SEGMENTS_MAX && info->segment_bytes);
    HOLDS(memchr(info->name, 0, sizeof(info->name)));
}

/* What the platform does when a device on PCI interrupts, or its event is bound or masked. */
static inline void interrupt_on_pci(struct vmi__device *device, uint32_t queue, uint32_t what)
{
    static const struct vmi_message message = {.address = 0xfee00000, .data = 0x41};

    if (!device->messages)
        device->driver->acknowledge(device);
    else if (what & 1)
        device->driver->message(device, queue, what & 2 ? &message : 0);
    else
        device->driver->mask(device, queue, what & 2);
}

static void nothing_is_pending(void)
{
    for (uint32_t i = 0; i < given_ids; i++)
        HOLDS(!pending[i]);
}

/* Closes a device, whatever it has come to, and takes what that has ended; what came of it. */
static int32_t close_and_reap(uint32_t device, reaper *const of[], uint32_t reapers,
                              uint32_t queues)
{
    int32_t result = VMI_EBUSY;

    for (uint32_t i = 0; i < 2; i++) {
        result = vmi__device_close(device);
        if (result != VMI_EBUSY)
            break;
        for (uint32_t way = 0; way < reapers; way++)
            for (uint32_t queue = 0; queue < queues; queue++)
                while (reap_with(of[way], device, queue, 64) > 0)
                    ;
    }
    return result;
}

#endif
