/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A kernel that has a disk, for fuzz targets.
 */
#ifndef VMI_TESTS_FUZZ_DISK_H
#define VMI_TESTS_FUZZ_DISK_H

#include "kernel.h"

static uint8_t of_requests[0x10000] __attribute__((aligned(4096)));

/* Gives requests; there is one way only. */
static void give_something(uint32_t device, uint32_t queue, uint32_t way)
{
    struct vmi_segment segments[8][4];
    struct vmi_block_request requests[8];
    uint32_t wanted = next8() % 8 + 1, first = given_ids;

    (void)way;
    if (given_ids + 8 > IDS)
        return;
    for (uint32_t i = 0; i < wanted; i++) {
        uint32_t operation = next8(), blocks = next8() % 9, size = 512;

        if (device < count && devices[device].info.block_size)
            size = devices[device].info.block_size;
        requests[i] = (struct vmi_block_request){
            .id = given_ids,
            .block = operation & 0x80 ? next16() : next8(),
            .segments = segments[i],
            .count = 1 + (operation >> 4 & 3),
            .operation = operation % 5,
            .blocks = operation % 5 == VMI_BLOCK_FLUSH ? 0 : blocks,
        };
        if (operation % 5 == VMI_BLOCK_FLUSH)
            requests[i].block = 0;
        for (uint32_t j = 0; j < 4; j++)
            segments[i][j] = (struct vmi_segment){.address = (uintptr_t)of_requests + 512 * j,
                                                  .length = j + 1 < requests[i].count ? 512 : 0};
        segments[i][requests[i].count - 1].length = blocks * size - 512 * (requests[i].count - 1);
        pending[given_ids++] = 1 + (requests[i].operation == VMI_BLOCK_READ ? blocks * size : 0);
    }
    keep(first, wanted, vmi__block_submit(device, queue, requests, wanted));
}

static reaper *const reapers[] = {vmi__block_reap};

#endif
