/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What checks of drivers for disks share, whatever device is played. The process has, before it
 * includes this: SECTOR, SEEDS and `buffer`, and what played_open.h wants.
 */
#ifndef VMI_TESTS_DEVICES_PLAYED_DISK_H
#define VMI_TESTS_DEVICES_PLAYED_DISK_H

#include "devices/played_open.h"

/* From the block of a request of submit()'s to that of the next one; the process may have another.
 */
#ifndef STEP
#define STEP 1u
#endif

/* Does it reach no memory, and will it do nothing? The process's. */
static bool is_reset(void);

/* Reads of a block each, by identifiers from `first` on; how many were taken. */
static int32_t submit(uint64_t first, uint32_t wanted)
{
    struct vmi_segment segment = {.address = (uintptr_t)buffer, .length = SECTOR};
    struct vmi_block_request requests[2 * REQUESTS];

    for (uint32_t i = 0; i < wanted; i++)
        requests[i] = (struct vmi_block_request){
            .id = first + i,
            .operation = VMI_BLOCK_READ,
            .block = STEP * i,
            .blocks = 1,
            .count = 1,
            .segments = &segment,
        };
    return vmi__block_submit(0, 0, requests, wanted);
}

static inline int32_t one_of(uint32_t operation, uint64_t block, uint32_t blocks, uint32_t segments,
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

/* Shut off for that reason: the requests that are left end once, and it may be opened anew. */
static void is_shut_off(uint32_t fault, uint8_t *seen, uint32_t left)
{
    EXPECT(reap_all(seen, VMI_EIO) == left);
    EXPECT(look().fault == fault);
    EXPECT(is_reset());
    EXPECT(reap_all(seen, VMI_EIO) == 0);
    EXPECT(submit(0, 1) == VMI_EIO);
    EXPECT(vmi__device_close(0) == VMI_OK && is_reset());
    EXPECT(open_it() == VMI_OK && look().fault == VMI_FAULT_NONE);
    EXPECT(!locks);
}

/* The second of three requests is said to have ended, twice. */
static inline void second_ends_twice(void (*say_second)(void))
{
    uint8_t seen[REQUESTS] = {0};

    begin();
    EXPECT(submit(0, 3) == 3);
    say_second();
    say_second();
    EXPECT(vmi__block_reap(0, 0, done, 1) == 1 && done[0].id == 1);
    seen[1] = 1;
    is_shut_off(VMI_FAULT_IDENTIFIER, seen, 2);
}

/* The first of two is said to have moved more bytes than it has room for. */
static inline void first_has_more_bytes(void (*say_first)(uint32_t bytes))
{
    static const uint32_t lengths[] = {SECTOR + 2, 0x10000, 0xffffffff};

    for (uint32_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint8_t seen[REQUESTS] = {0};

        begin();
        EXPECT(submit(0, 2) == 2);
        say_first(lengths[i]);
        is_shut_off(VMI_FAULT_LENGTH, seen, 2);
    }
}

/* Closed with three requests under way, which end once. */
static inline void close_in_flight(void)
{
    uint8_t seen[REQUESTS] = {0};

    begin();
    EXPECT(submit(0, 3) == 3);
    EXPECT(vmi__device_close(0) == VMI_EBUSY && is_reset());
    EXPECT(submit(3, 1) == VMI_EINVAL);
    EXPECT(reap_all(seen, VMI_ECANCELED) == 3);
    EXPECT(vmi__device_close(0) == VMI_OK && vmi__device_close(0) == VMI_EINVAL);
}

/* Requests keep to the frames that were left to the disk, which are so as long as it is open. */
static inline void requests_keep_to_their_frames(void)
{
    const uintptr_t first = (uintptr_t)buffer / PAGE;
    struct vmi_segment segment = {.length = SECTOR};

    plug();
    look();
    EXPECT(vmi__device_leave_frames(1, first, 1) == VMI_ENOENT);
    EXPECT(vmi__device_release_frames(1) == VMI_ENOENT);
    EXPECT(vmi__device_release_frames(0) == VMI_EINVAL);
    vmi__boot.linear_pages = first + 2;
    EXPECT(vmi__device_leave_frames(0, first, 0) == VMI_EINVAL);
    EXPECT(vmi__device_leave_frames(0, first, 3) == VMI_EINVAL);
    EXPECT(vmi__device_leave_frames(0, first + 2, 1) == VMI_EINVAL);
    EXPECT(vmi__device_leave_frames(0, UINTPTR_MAX, 1) == VMI_EINVAL);
    EXPECT(vmi__device_leave_frames(0, first, UINT32_MAX) == VMI_EINVAL);
    EXPECT(vmi__device_leave_frames(0, first + 1, 1) == VMI_OK);
    EXPECT(vmi__device_leave_frames(0, first, 1) == VMI_EBUSY);
    EXPECT(open_it() == VMI_OK);
    EXPECT(vmi__device_leave_frames(0, first, 1) == VMI_EBUSY);
    EXPECT(vmi__device_release_frames(0) == VMI_EBUSY);
    for (uint32_t sector = 0; sector < 3 * PAGE / SECTOR; sector++) {
        bool inside = sector / (PAGE / SECTOR) == 1;

        segment.address = (uintptr_t)buffer + sector * SECTOR;
        if (!inside)
            EXPECT(one_of(VMI_BLOCK_READ, 0, 1, 1, &segment) == VMI_EINVAL);
    }
    segment.address = (uintptr_t)buffer + PAGE;
    EXPECT(one_of(VMI_BLOCK_READ, 0, 1, 1, &segment) == 1);
    segment.address += PAGE - SECTOR;
    EXPECT(one_of(VMI_BLOCK_READ, 0, 1, 1, &segment) == 1);
    EXPECT(vmi__device_close(0) == VMI_EBUSY && vmi__device_release_frames(0) == VMI_EBUSY);
    EXPECT(vmi__block_reap(0, 0, done, 2) == 2 && vmi__device_close(0) == VMI_OK);
    EXPECT(vmi__device_release_frames(0) == VMI_OK);
    EXPECT(vmi__device_release_frames(0) == VMI_EINVAL);
    EXPECT(open_it() == VMI_OK && submit(0, 1) == 1);
}

/* ---- seeds ---- */

/*
 * Whatever it says, each request ends once. At each step `lie` says something, by a number below
 * `kinds`, unless a request is given: for three in eight of the numbers, if there is one. `given`
 * are so far. How often it was shut off.
 */
static inline uint32_t any_lies(uint32_t seeds, uint32_t kinds,
                                void (*lie)(uint32_t what, uint32_t given))
{
    uint32_t faults = 0;

    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + seeds && !failed_line; seed++) {
        uint8_t pending[REQUESTS] = {0};
        uint32_t next = 0;

        state = seed;
        begin();
        for (uint32_t step = 0; step < 60; step++) {
            uint32_t what = random() % kinds, id = next % REQUESTS;

            if (what < kinds * 3 / 8 && !pending[id] && submit(id, 1) == 1)
                pending[next++ % REQUESTS] = 1;
            else
                lie(what, next);
            EXPECT(reap_pending(pending, random() % 3) >= 0);
        }
        faults += !!look().fault;
        close_with_pending(pending);
        EXPECT(is_reset());
    }
    EXPECT(faults > seeds / 10);
    return faults;
}

/* Whatever it says of itself: it is left alone, or has numbers that can be, to `more` as well. */
static inline void any_descriptions(void (*lie)(void),
                                    void (*more)(const struct vmi_device_properties *info))
{
    uint32_t kept = 0;

    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + SEEDS && !failed_line; seed++) {
        struct vmi_device_properties info;

        state = seed;
        plug();
        lie();
        if (vmi__device_info(0, &info) != VMI_OK)
            continue;
        kept++;
        EXPECT(info.blocks && info.requests && info.requests <= VMI__REQUESTS_MAX);
        EXPECT(info.queues && info.queues <= VMI__QUEUES_MAX);
        EXPECT(info.segments && info.segments <= VMI__SEGMENTS_MAX);
        EXPECT(info.block_size >= SECTOR && !(info.block_size & (info.block_size - 1)));
        EXPECT(info.segment_bytes && info.request_blocks);
        EXPECT(info.name[sizeof(info.name) - 1] == 0);
        if (more)
            more(&info);
    }
    EXPECT(kept > SEEDS / 10 && kept < SEEDS && !locks);
}

#endif
