/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Disks by virtio as a Linux process: this file is the device, which lies.
 */
#include "virtio.h"

/* Of the standard itself: VIRTIO 1.2, 5.2. */
enum { CONFIG_SECTORS = 0, CONFIG_SEG_MAX = 12 };
#define FEATURE_SEG_MAX  (1u << 2)
#define FEATURE_FLUSH    (1u << 9)
#define FEATURE_INDIRECT (1u << 28)
enum { STATUS_OK, STATUS_FAILED, STATUS_UNSUPPORTED, STATUS_NONE = 0xff };
#define SECTOR 512u

extern const struct vmi__driver vmi__driver_virtio_blk;

#define BLOCKS   1000u
#define REQUESTS 8u
#define SEGMENTS 2u
#define SEEDS    3000u

const struct vmi__driver *const vmi__drivers[] = {&vmi__driver_virtio_blk, 0};

/* ---- the device ---- */

static uint8_t buffer[0x4000] __attribute__((aligned(4096)));

/* A sound disk that nobody has looked at. */
static void plug(void)
{
    plug_virtio(0x1042, FEATURE_SEG_MAX | FEATURE_FLUSH | FEATURE_INDIRECT, 64);
    set(3, CONFIG_SECTORS, BLOCKS, 4);
    set(3, CONFIG_SEG_MAX, SEGMENTS, 4);
}

static int32_t open_it(void)
{
    return open_with(
        (struct vmi_device_setup){.queues = 1, .requests = REQUESTS, .segments = SEGMENTS});
}

/* A disk that is open. */
static void begin(void)
{
    plug();
    look();
    EXPECT(open_it() == VMI_OK);
}

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

/* Where a request's status is: in the last descriptor of the table that its first one leads to. */
static uint8_t *status_of(uint32_t id)
{
    const struct descriptor *first = (struct descriptor *)ring(QUEUE_DESCRIPTORS) + id;
    const struct descriptor *table = (struct descriptor *)(uintptr_t)first->address;

    return (uint8_t *)(uintptr_t)table[first->length / sizeof(*table) - 1].address;
}

/* Says that a request has ended, with a status if it is one. */
static void say(uint32_t id, uint32_t length, uint8_t status)
{
    if (id < REQUESTS && ((struct descriptor *)ring(QUEUE_DESCRIPTORS))[id].address)
        *status_of(id) = status;
    say_ended(id, length);
}

/* ---- checks ---- */

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

/* Shut off for that reason: it reaches no memory, and the requests that are left end once. */
static void is_shut_off(uint32_t fault, uint8_t *seen, uint32_t left)
{
    EXPECT(reap_all(seen, VMI_EIO) == left);
    EXPECT(look().fault == fault);
    EXPECT(!(space[1] & COMMAND_MASTER) && !bar[STATUS]);
    EXPECT(reap_all(seen, VMI_EIO) == 0);
    EXPECT(submit(0, 1) == VMI_EIO);
    EXPECT(vmi__device_close(0) == VMI_OK);
    set(0, QUEUE_SIZE, 64, 2);
    ended_index = 0;
    EXPECT(open_it() == VMI_OK && look().fault == VMI_FAULT_NONE);
    EXPECT(!locks);
}

static void each_ends_once_in_any_order(void)
{
    uint8_t seen[REQUESTS] = {0};

    begin();
    EXPECT(submit(0, REQUESTS) == (int32_t)REQUESTS);
    EXPECT(submit(0, 1) == 0);
    for (uint32_t i = REQUESTS; i > 0; i--)
        say(given(i - 1), SECTOR + 1, STATUS_OK);
    EXPECT(reap_all(seen, VMI_OK) == REQUESTS);
    EXPECT(done[0].id == REQUESTS - 1 && done[0].length == SECTOR);
    EXPECT(reap_all(seen, VMI_OK) == 0);
    EXPECT(submit(0, REQUESTS) == (int32_t)REQUESTS);
}

static void failures_are_the_requests(void)
{
    begin();
    EXPECT(submit(0, 2) == 2);
    say(given(0), 1, STATUS_FAILED);
    say(given(1), 1, STATUS_UNSUPPORTED);
    EXPECT(vmi__block_reap(0, 0, done, 2) == 2);
    EXPECT(done[0].status == VMI_EIO && done[1].status == VMI_ENOSYS);
    EXPECT(look().fault == VMI_FAULT_NONE);
}

static void ended_twice(void)
{
    uint8_t seen[REQUESTS] = {0};

    begin();
    EXPECT(submit(0, 3) == 3);
    say(given(1), SECTOR + 1, STATUS_OK);
    say(given(1), SECTOR + 1, STATUS_OK);
    EXPECT(vmi__block_reap(0, 0, done, 1) == 1 && done[0].id == 1);
    seen[1] = 1;
    is_shut_off(VMI_FAULT_IDENTIFIER, seen, 2);
}

static void never_given(void)
{
    static const uint32_t slots[] = {REQUESTS - 1, REQUESTS, 0x10000, 0x7fffffff, 0xffffffff};

    for (uint32_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        uint8_t seen[REQUESTS] = {0};

        begin();
        EXPECT(submit(0, 2) == 2);
        say(slots[i], SECTOR + 1, STATUS_OK);
        is_shut_off(VMI_FAULT_IDENTIFIER, seen, 2);
    }
}

static void more_than_was_given(void)
{
    static const uint16_t ahead[] = {3, 8, 0x40, 0x7fff, 0x8000, 0xffff};

    for (uint32_t i = 0; i < sizeof(ahead) / sizeof(ahead[0]); i++) {
        uint8_t seen[REQUESTS] = {0};

        begin();
        EXPECT(submit(0, 2) == 2);
        ((struct used *)ring(QUEUE_USED))->index = ahead[i];
        is_shut_off(VMI_FAULT_COUNT, seen, 2);
    }
}

static void more_bytes_than_room(void)
{
    static const uint32_t lengths[] = {SECTOR + 2, 0x10000, 0xffffffff};

    for (uint32_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint8_t seen[REQUESTS] = {0};

        begin();
        EXPECT(submit(0, 2) == 2);
        say(given(0), lengths[i], STATUS_OK);
        is_shut_off(VMI_FAULT_LENGTH, seen, 2);
    }
}

static void unknown_status(void)
{
    uint8_t seen[REQUESTS] = {0};

    begin();
    EXPECT(submit(0, 2) == 2);
    say(given(0), SECTOR + 1, STATUS_NONE); /* as it was: nothing was written */
    is_shut_off(VMI_FAULT_STATUS, seen, 2);
}

static void closed_with_requests_in_flight(void)
{
    uint8_t seen[REQUESTS] = {0};

    begin();
    EXPECT(submit(0, 3) == 3);
    EXPECT(vmi__device_close(0) == VMI_EBUSY && !bar[STATUS]);
    EXPECT(submit(3, 1) == VMI_EINVAL);
    say(given(0), SECTOR + 1, STATUS_OK); /* too late */
    EXPECT(reap_all(seen, VMI_ECANCELED) == 3);
    EXPECT(vmi__device_close(0) == VMI_OK && vmi__device_close(0) == VMI_EINVAL);
}

/* Whatever it says, each request ends once. */
static void any_device(void)
{
    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + SEEDS && !failed_line; seed++) {
        uint8_t pending[REQUESTS] = {0};
        uint32_t next = 0;

        state = seed;
        begin();
        for (uint32_t step = 0; step < 40; step++) {
            uint32_t what = random() % 16;
            int32_t taken;

            if (what < 6 && !pending[next % REQUESTS] && submit(next % REQUESTS, 1) == 1)
                pending[next++ % REQUESTS] = 1;
            else if (what < 11)
                say(given(random() % REQUESTS), random() % 4 ? SECTOR + 1 : random(),
                    random() % 8 ? STATUS_OK : (uint8_t)random());
            else if (what == 11)
                ((struct used *)ring(QUEUE_USED))->index =
                    (uint16_t)(random() % 4 ? ended_index : random());
            taken = vmi__block_reap(0, 0, done, random() % 3);
            EXPECT(taken >= 0);
            for (int32_t i = 0; i < taken; i++)
                EXPECT(done[i].id < REQUESTS && pending[done[i].id]-- == 1);
        }
        vmi__device_close(0);
        for (int32_t taken; (taken = vmi__block_reap(0, 0, done, REQUESTS)) > 0;)
            for (int32_t i = 0; i < taken; i++)
                EXPECT(done[i].id < REQUESTS && pending[done[i].id]-- == 1);
        for (uint32_t i = 0; i < REQUESTS; i++)
            EXPECT(!pending[i]);
        vmi__device_close(0);
        EXPECT(devices[0].state == VMI__DEVICE_CLOSED && !locks);
    }
}

/* Whatever it says of itself: it is left alone, or has numbers that can be. */
static void any_description(void)
{
    uint32_t kept = 0;

    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + SEEDS && !failed_line; seed++) {
        struct vmi_device_properties info;

        state = seed;
        plug();
        for (uint32_t i = random() % 4; i < 4; i++) {
            uint32_t at = random();

            if (at % 2)
                space[0x40 / 4 + at / 2 % 24] = random() >> random() % 32;
            else
                bar[at / 2 % 4 * PART + random() % 64] = (uint8_t)random();
        }
        if (vmi__device_info(0, &info) != VMI_OK)
            continue;
        kept++;
        EXPECT(info.blocks && info.requests && info.requests <= VMI__REQUESTS_MAX);
        EXPECT(info.queues && info.queues <= VMI__QUEUES_MAX);
        EXPECT(info.segments && info.segments <= VMI__SEGMENTS_MAX);
        EXPECT(info.block_size >= SECTOR && !(info.block_size & (info.block_size - 1)));
        EXPECT(info.segment_bytes && info.request_blocks);
        EXPECT(info.name[sizeof(info.name) - 1] == 0);
    }
    EXPECT(kept > SEEDS / 10 && kept < SEEDS);
}

/* Capabilities that lead to each other come to an end. */
static void capabilities_in_a_ring(void)
{
    struct vmi_device_properties info;

    plug();
    capability(0x88, 0x40, 9);
    EXPECT(vmi__device_info(0, &info) == VMI_ENOENT); /* it says nowhere how large it is */
    plug();
    capability(0x40, 0x40, CONFIG);
    EXPECT(vmi__device_info(0, &info) == VMI_ENOENT);
}

static const struct played_check all[] = {
    CHECK(each_ends_once_in_any_order),
    CHECK(failures_are_the_requests),
    CHECK(ended_twice),
    CHECK(never_given),
    CHECK(more_than_was_given),
    CHECK(more_bytes_than_room),
    CHECK(unknown_status),
    CHECK(closed_with_requests_in_flight),
    CHECK(any_device),
    CHECK(any_description),
    CHECK(capabilities_in_a_ring),
};

PLAY(all)
