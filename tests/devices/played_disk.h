/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What checks of drivers for disks share, whatever device is played. The process has, before it
 * includes this: SECTOR and `buffer`, and what played_open.h wants.
 */
#ifndef VMI_TESTS_DEVICES_PLAYED_DISK_H
#define VMI_TESTS_DEVICES_PLAYED_DISK_H

#include "devices/played_open.h"

/* Reads of a block each, by identifiers from `first` on; how many were taken. */
static int32_t submit(uint64_t first, uint32_t wanted)
{
    struct vmi_segment segment = {.address = (uintptr_t)buffer, .length = SECTOR};
    struct vmi_block_request requests[2 * REQUESTS];

    for (uint32_t i = 0; i < wanted; i++)
        requests[i] = (struct vmi_block_request){
            .id = first + i,
            .operation = VMI_BLOCK_READ,
            .block = i,
            .blocks = 1,
            .count = 1,
            .segments = &segment,
        };
    return vmi__block_submit(0, 0, requests, wanted);
}

static int32_t one_of(uint32_t operation, uint64_t block, uint32_t blocks, uint32_t segments,
                      const struct vmi_segment *of)
{
    const struct vmi_block_request request = {.id = 1,
                                              .operation = operation,
                                              .block = block,
                                              .blocks = blocks,
                                              .count = segments,
                                              .segments = of};

    return vmi__block_submit(0, 0, &request, 1);
}

static struct vmi_completion done[2 * REQUESTS];

/* Takes all that can be taken, and how many; `seen` counts by identifier. */
static uint32_t reap_all(uint8_t *seen, int32_t status)
{
    int32_t taken = vmi__block_reap(0, 0, done, 2 * REQUESTS);

    EXPECT(taken >= 0);
    for (int32_t i = 0; i < taken; i++) {
        EXPECT(done[i].id < REQUESTS && !seen[done[i].id]++);
        EXPECT(done[i].status == status);
    }
    return (uint32_t)taken;
}

/* Takes so many at most of requests that are pending, each once. */
static int32_t reap_pending(uint8_t *pending, uint32_t most)
{
    int32_t taken = vmi__block_reap(0, 0, done, most);

    for (int32_t i = 0; i < taken; i++)
        EXPECT(done[i].id < REQUESTS && pending[done[i].id]-- == 1);
    return taken;
}

/* Closes it, whatever it has come to: all that is pending ends. */
static void close_with_pending(uint8_t *pending)
{
    vmi__device_close(0);
    while (reap_pending(pending, REQUESTS) > 0)
        ;
    for (uint32_t i = 0; i < REQUESTS; i++)
        EXPECT(!pending[i]);
    vmi__device_close(0);
    EXPECT(devices[0].state == VMI__DEVICE_CLOSED && !locks);
}

#endif
