/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Disks by virtio as a Linux process: this file is the device, which lies.
 */
#include "virtio.h"

/* Of the standard itself: VIRTIO 1.2, 5.2. */
enum { CONFIG_SECTORS = 0, CONFIG_SEG_MAX = 12, CONFIG_BLOCK_SIZE = 20, CONFIG_DISCARD = 36 };
#define FEATURE_SEG_MAX     (1u << 2)
#define FEATURE_READ_ONLY   (1u << 5)
#define FEATURE_BLOCK_SIZE  (1u << 6)
#define FEATURE_FLUSH       (1u << 9)
#define FEATURE_EVENT_INDEX (1u << 29)
#define FEATURE_DISCARD     (1u << 13)
#define FEATURE_INDIRECT    (1u << 28)
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

#include "devices/played_disk.h"

/* A sound disk that nobody has looked at. */
static void plug(void)
{
    plug_virtio(0x1042, FEATURE_SEG_MAX | FEATURE_FLUSH | FEATURE_INDIRECT, 64);
    set(3, CONFIG_SECTORS, BLOCKS, 4);
    set(3, CONFIG_SEG_MAX, SEGMENTS, 4);
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

static bool is_reset(void)
{
    return !(space[1] & COMMAND_MASTER) && !bar[STATUS];
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

static void say_second(void)
{
    say(given(1), SECTOR + 1, STATUS_OK);
}

static void ended_twice(void)
{
    second_ends_twice(say_second);
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

static void say_first(uint32_t bytes)
{
    say(given(0), bytes, STATUS_OK);
}

static void more_bytes_than_room(void)
{
    first_has_more_bytes(say_first);
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

static void lie(uint32_t what, uint32_t requests)
{
    (void)requests;
    if (what < 11)
        say(given(random() % REQUESTS), random() % 4 ? SECTOR + 1 : random(),
            random() % 8 ? STATUS_OK : (uint8_t)random());
    else if (what == 11)
        ((struct used *)ring(QUEUE_USED))->index =
            (uint16_t)(random() % 4 ? ended_index : random());
}

static void any_device(void)
{
    any_lies(SEEDS, 16, lie);
}

static void any_description(void)
{
    any_descriptions(say_anything, 0);
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

/* More than the interface has room for is none of a device's, however much it offers. */
static void numbers_of_a_setup(void)
{
    struct vmi_device_setup setup = {.queues = 1, .requests = 1024, .segments = SEGMENTS};
    struct vmi_device_memory needs;

    plug();
    set(0, QUEUE_SIZE, 0x8000, 2);
    set(0, QUEUES, 0x1000, 2);
    EXPECT(look().requests == 1024 && look().queues == 1 && look().segments == SEGMENTS);
    EXPECT(vmi__device_needs(0, &setup, &needs) == VMI_OK && needs.size % PAGE == 0);
    setup.requests = 1025;
    EXPECT(vmi__device_needs(0, &setup, &needs) == VMI_EINVAL);
    setup = (struct vmi_device_setup){.queues = 2, .requests = 1, .segments = 1};
    EXPECT(vmi__device_needs(0, &setup, &needs) == VMI_EINVAL);
    setup = (struct vmi_device_setup){.queues = 1, .requests = 1, .segments = SEGMENTS + 1};
    EXPECT(vmi__device_needs(0, &setup, &needs) == VMI_EINVAL);
    EXPECT(vmi__device_open(0, &setup) == VMI_EINVAL &&
           vmi__device_needs(1, &setup, &needs) == VMI_ENOENT);
}

/* Where it is and what drives it; and which event is one of its queues'. */
static void name_and_event(void)
{
    static const char name[] = "pci 0000:00:03.0 virtio-blk";
    struct vmi_device_properties info;
    uint32_t queue;

    plug();
    info = look();
    for (uint32_t i = 0; i < sizeof(name); i++)
        EXPECT(info.name[i] == (uint8_t)name[i]);
    EXPECT(!vmi__device_of_event(0, &queue)); /* not open */
    EXPECT(open_it() == VMI_OK);
    EXPECT(vmi__device_of_event(0, &queue) == &devices[0] && queue == 0);
    EXPECT(!vmi__device_of_event(1, &queue) && !vmi__device_of_event(1 << 16, &queue));
}

static void no_source_of_entropy(void)
{
    uint8_t byte = 0x5a;

    begin();
    EXPECT(vmi__entropy_of_devices(0, &byte, 1) == VMI_EINVAL);
    EXPECT(vmi__entropy_of_devices(VMI_ENTROPY_ANY, &byte, 1) == VMI_ENODEV);
    EXPECT(byte == 0x5a && !locks);
}

/* The messages of queues: masked until they are let in, and kept as they were when they move. */
static void messages(void)
{
    static const struct vmi_message first = {.address = 0x1fee00000, .data = 0x41},
                                    second = {.address = 0xfee01000, .data = 0x42};
    const uint32_t *table = (uint32_t *)(bar + TABLE);

    plug();
    plug_msix();
    look();
    EXPECT(devices[0].messages == 1 && !(space[MSIX / 4] >> 31));
    EXPECT(open_it() == VMI_OK && space[MSIX / 4] >> 31 && table[3] == 1 && table[7] == 1);
    EXPECT(bar[26] == 0 && bar[27] == 0);
    devices[0].driver->message(&devices[0], 0, &first);
    EXPECT(table[0] == 0xfee00000 && table[1] == 1 && table[2] == 0x41 && table[3] == 1);
    devices[0].driver->mask(&devices[0], 0, false);
    EXPECT(table[3] == 0 && table[7] == 1);
    devices[0].driver->message(&devices[0], 0, &second);
    EXPECT(table[0] == 0xfee01000 && table[1] == 0 && table[2] == 0x42 && table[3] == 0);
    devices[0].driver->mask(&devices[0], 0, true);
    EXPECT(table[3] == 1);
    devices[0].driver->mask(&devices[0], 0, false);
    devices[0].driver->message(&devices[0], 0, 0);
    EXPECT(!table[0] && !table[2] && table[3] == 1);
    devices[0].driver->mask(&devices[0], 0, false);
    EXPECT(vmi__device_close(0) == VMI_OK && !(space[MSIX / 4] >> 31) && table[3] == 1);
    /* A table that is not in its BAR is none. */
    plug();
    plug_msix();
    space[MSIX / 4 + 1] = BAR_SIZE - 16;
    look();
    EXPECT(!devices[0].messages && open_it() == VMI_OK);
}

/* Notified is a device that wants it: by a flag, or by the index that it waits for. */
static void notifications(void)
{
    uint16_t *notify = (uint16_t *)(bar + PART);

    begin();
    *notify = 0x5a5a;
    EXPECT(submit(0, 1) == 1 && *notify == 0);
    *notify = 0x5a5a;
    ((struct used *)ring(QUEUE_USED))->flags = 1;
    EXPECT(submit(1, 1) == 1 && *notify == 0x5a5a);
    plug();
    set(0, OFFERED, 1 | FEATURE_SEG_MAX | FEATURE_INDIRECT | FEATURE_EVENT_INDEX, 4);
    look();
    EXPECT(open_it() == VMI_OK);
    for (uint32_t i = 0; i < 6;
         i++) { /* it waits for that one, which is among the two of a batch */
        uint16_t *event = (uint16_t *)&((struct used *)ring(QUEUE_USED))->ring[ring_entries()];

        *event = (uint16_t)(i / 2 * 2 + (i & 1 ? 3 : 0) - (i == 4 ? 1 : 0));
        *notify = 0x5a5a;
        EXPECT(submit(2 * i % REQUESTS, i < 4 ? 2 : 0) == (i < 4 ? 2 : 0));
        if (i < 4)
            EXPECT((*notify == 0) == (*event == 2 * i || *event == 2 * i + 1));
    }
}

/* Of what makes a function a disk each is looked at. */
static void what_is_no_disk(void)
{
    struct vmi_device_properties info;

    for (uint32_t i = 0; i < 14; i++) {
        bool is = false;

        plug();
        switch (i) {
        case 0:
            space[PCI_ID / 4] ^= 1; /* another vendor's */
            break;
        case 1:
            space[PCI_ID / 4] += 1u << 16; /* another type */
            break;
        case 2:
            space[PCI_ID / 4] = 0x10011af4; /* transitional, of another type */
            space[0x2c / 4] = 3u << 16;
            break;
        case 3:
            space[PCI_ID / 4] = 0x10011af4;
            space[0x2c / 4] = 2u << 16;
            is = true;
            break;
        case 4:
            set(0, OFFERED, 2, 4); /* no VERSION_1 */
            break;
        case 5:
            space[1] &= ~STATUS_LIST;
            break;
        case 6: /* a list that begins in the header */
            space[PCI_CAPABILITIES / 4] = 0x38;
            space[0x38 / 4] = 0x4001;
            break;
        case 7: /* registers behind ports */
            space[PCI_BAR0 / 4] |= 1;
            break;
        case 8: /* below 1 MiB, which there is no more */
            space[PCI_BAR0 / 4] |= 2;
            break;
        case 9: /* above 4 GiB */
            space[PCI_BAR0 / 4] |= 4;
            space[PCI_BAR0 / 4 + 1] = 1;
            is = true;
            break;
        case 10:
            space[PCI_BAR0 / 4] = 0;
            break;
        case 11: /* a part that ends behind the BAR */
            space[0x40 / 4 + 2] = BAR_SIZE - 32;
            break;
        case 12: /* or is too short, or lies where no register can */
            space[0x40 / 4 + 3] = 55;
            break;
        default:
            space[0x40 / 4 + 2] = 2;
            for (uint32_t j = 64; j-- > 0;)
                bar[j + 2] = bar[j];
        }
        EXPECT((vmi__device_info(0, &info) == VMI_OK) == is);
        EXPECT(!is || (space[1] & COMMAND_MEMORY));
    }
    /* Without notifications, or with such as lead behind their part, it does not come up. */
    plug();
    space[0x58 / 4] = 1 | 0x70 << 8;
    EXPECT(vmi__device_info(0, &info) == VMI_ENOENT);
    plug();
    space[0x58 / 4 + 4] = 2;
    set(0, 30, PART / 2, 2);
    look();
    EXPECT(open_it() == VMI_EIO);
    plug();
    space[0x58 / 4 + 4] = 1;
    set(0, 30, 3, 2);
    look();
    EXPECT(open_it() == VMI_EIO);
    /* Sizes that are none. */
    plug();
    set(0, QUEUE_SIZE, 48, 2);
    EXPECT(vmi__device_info(0, &info) == VMI_ENOENT);
    plug();
    set(3, CONFIG_SECTORS, 0, 4);
    EXPECT(vmi__device_info(0, &info) == VMI_ENOENT);
    plug();
    set(3, CONFIG_SECTORS + 4, 2, 4);
    EXPECT(look().blocks == BLOCKS + (2ull << 32));
}

/* An event is asked for by whoever had room for more, and by nobody else. */
static void event_is_asked_for(void)
{
    struct available *available;

    plug();
    set(0, OFFERED, 1 | FEATURE_SEG_MAX | FEATURE_INDIRECT | FEATURE_EVENT_INDEX, 4);
    look();
    EXPECT(open_it() == VMI_OK && submit(0, 3) == 3);
    available = ring(QUEUE_AVAILABLE);
    say(given(0), SECTOR + 1, STATUS_OK);
    say(given(1), SECTOR + 1, STATUS_OK);
    EXPECT(vmi__block_reap(0, 0, done, 1) == 1 && available->ring[ring_entries()] == 0);
    EXPECT(vmi__block_reap(0, 0, done, 1) == 1 && available->ring[ring_entries()] == 0);
    EXPECT(vmi__block_reap(0, 0, done, 1) == 0 && available->ring[ring_entries()] == 2);
    say(given(2), SECTOR + 1, STATUS_OK);
    EXPECT(vmi__block_reap(0, 0, done, 2) == 1 && available->ring[ring_entries()] == 3);
}

/* Behind another function of the same place, and behind a bridge. */
static void places(void)
{
    static const uint32_t everywhere[] = {0, PLACE + 1, PLACE + 7, 0xf8, 0x108, 0x1fe, 0xff00};

    for (uint32_t i = 0; i < sizeof(everywhere) / sizeof(everywhere[0]); i++) {
        place = everywhere[i];
        plug();
        look();
        EXPECT(count == 1 && devices[0].place == place && open_it() == VMI_OK);
    }
    place = PLACE;
}

/* Of all that a device can offer only what its driver knows is accepted: here the upper half. */
static void features(void)
{
    struct vmi_device_properties info;

    plug();
    set(0, OFFERED, ~0u, 4);
    vmi__device_info(0, &info);
    EXPECT(register_of(12) == 1); /* VERSION_1 */
    /* Nothing is read behind the end of its configuration. */
    plug();
    space[0x88 / 4 + 3] = CONFIG_SEG_MAX;
    EXPECT(look().segments == 1 && look().blocks == BLOCKS);
}

/* Without indirect descriptors a slot is its first descriptor, and no other one. */
static void descriptors_of_the_ring(void)
{
    for (uint32_t i = 0; i < 4; i++) {
        uint8_t seen[REQUESTS] = {0};

        plug();
        set(0, OFFERED, 1 | FEATURE_SEG_MAX | FEATURE_FLUSH, 4);
        look();
        EXPECT(open_it() == VMI_OK && ring_entries() == 32 && submit(0, 2) == 2);
        EXPECT(given(0) == 0 && given(1) == SEGMENTS + 2);
        say_ended(i, 1);
        if (i) {
            is_shut_off(VMI_FAULT_IDENTIFIER, seen, 2);
        } else {
            EXPECT(vmi__block_reap(0, 0, done, 2) == 2 && look().fault == VMI_FAULT_STATUS);
        }
    }
}

/* What has ended between the last look and the asking for an event is told. */
static void ended_meanwhile(void)
{
    begin();
    EXPECT(submit(0, 2) == 2 && !devices[0].driver->ask(&devices[0], 0));
    say(given(0), SECTOR + 1, STATUS_OK);
    EXPECT(devices[0].driver->ask(&devices[0], 0));
    EXPECT(vmi__block_reap(0, 0, done, 1) == 1 && !devices[0].driver->ask(&devices[0], 0));
}

/* What DeviceOpen refuses, and that nothing comes of it. */
static void memory_that_is_none(void)
{
    struct vmi_device_setup setup = {.queues = 1, .requests = REQUESTS, .segments = SEGMENTS};

    plug();
    look();
    EXPECT(open_it() == VMI_OK && vmi__device_close(0) == VMI_OK);
    set(0, QUEUE_SIZE, 64, 2);
    for (uint32_t i = 1; i < PAGE; i *= 2) {
        setup.memory = (uintptr_t)memory_of_device + i;
        EXPECT(vmi__device_open(0, &setup) == VMI_EINVAL);
    }
    setup.memory = (uintptr_t)memory_of_device;
    setup.queues = 0;
    EXPECT(vmi__device_open(0, &setup) == VMI_EINVAL);
    setup.queues = 1;
    vmi__boot.linear_pages = (uintptr_t)memory_of_device / PAGE + 1;
    EXPECT(vmi__device_open(0, &setup) == VMI_EINVAL);
    EXPECT(look().flags != VMI_DEVICE_IS_OPEN && submit(0, 1) == VMI_EINVAL);
    EXPECT(open_it() == VMI_OK && (look().flags & VMI_DEVICE_IS_OPEN));
    EXPECT(open_it() == VMI_EBUSY && submit(0, 1) == 1);
    EXPECT(unbound == 1 && vmi__device_close(0) == VMI_EBUSY && unbound == 2);
}

/* By a device that does not come up nothing is open, and it is left reset. */
static void does_not_come_up(void)
{
    plug();
    look();
    set(0, QUEUE_SIZE, 2, 2); /* smaller than it was when it was found */
    EXPECT(open_it() == VMI_EIO && !bar[STATUS] && submit(0, 1) == VMI_EINVAL && !locks);
    set(0, QUEUE_SIZE, 64, 2);
    set(0, OFFERED, 1 | FEATURE_SEG_MAX, 4); /* other features than then, however often */
    EXPECT(open_it() == VMI_EIO && !bar[STATUS]);
    EXPECT(open_it() == VMI_EIO && !bar[STATUS]);
    set(0, OFFERED, 1 | FEATURE_SEG_MAX | FEATURE_FLUSH | FEATURE_INDIRECT, 4);
    EXPECT(open_it() == VMI_OK);
}

static void requests_that_are_none(void)
{
    const uintptr_t at = (uintptr_t)buffer;
    const struct vmi_segment two[] = {{.address = at, .length = SECTOR},
                                      {.address = at + SECTOR, .length = SECTOR},
                                      {.address = at + 2 * SECTOR, .length = SECTOR}};
    const struct vmi_segment odd = {.address = at + 4, .length = SECTOR};
    const struct vmi_segment odd_length[] = {{.address = at, .length = SECTOR - 4},
                                             {.address = at + SECTOR, .length = 4}};
    const struct vmi_segment half[] = {{.address = at, .length = SECTOR}, {.address = at + SECTOR}};
    const struct vmi_segment wraps = {.address = 0ull - SECTOR, .length = 2 * SECTOR};
    /* The last block of it is behind all memory, as linear addresses are. */
    const struct vmi_segment behind = {.address = (uintptr_t)memory_of_device +
                                                  sizeof(memory_of_device) - SECTOR,
                                       .length = 2 * SECTOR};
    const struct vmi_memory_range more = {
        .base = 0, .size = at + 0x1000000u, .kind = VMI_MEMORY_USABLE};
    const struct vmi_segment huge[] = {{.address = at, .length = 0x1000000u},
                                       {.address = at, .length = SECTOR}};
    const struct {
        const struct vmi_segment *segments;
        uint64_t block;
        uint32_t operation, blocks, count;
        int32_t result;
    } cases[] = {
        {two, BLOCKS, VMI_BLOCK_READ, 1, 1, VMI_EINVAL},
        {two, BLOCKS - 1, VMI_BLOCK_READ, 2, 2, VMI_EINVAL},
        {two, UINT64_MAX, VMI_BLOCK_WRITE, 1, 1, VMI_EINVAL},
        {two, 0, VMI_BLOCK_READ, 0, 1, VMI_EINVAL},
        {two, 0, VMI_BLOCK_READ, 0, 0, VMI_EINVAL},
        {two, 0, VMI_BLOCK_READ, 1, 0, VMI_EINVAL},
        {two, 0, VMI_BLOCK_READ, 3, 3, VMI_EINVAL}, /* more segments than the setup has */
        {two, 0, VMI_BLOCK_READ, 2, 1, VMI_EINVAL},
        {two, 0, VMI_BLOCK_READ, 1, 2, VMI_EINVAL},
        {half, 0, VMI_BLOCK_READ, 1, 2, VMI_EINVAL},
        {&odd, 0, VMI_BLOCK_READ, 1, 1, VMI_EINVAL},
        {odd_length, 0, VMI_BLOCK_READ, 1, 2, VMI_EINVAL},
        {&wraps, 0, VMI_BLOCK_READ, 2, 1, VMI_EINVAL},
        {&behind, 0, VMI_BLOCK_READ, 2, 1, VMI_EINVAL},
        {two, 0, VMI_BLOCK_FLUSH, 1, 0, VMI_EINVAL},
        {two, 1, VMI_BLOCK_FLUSH, 0, 0, VMI_EINVAL},
        {two, 0, VMI_BLOCK_DISCARD, 1, 0, VMI_ENOSYS},
        {two, 0, VMI_BLOCK_DISCARD + 1, 1, 1, VMI_EINVAL},
        {two, 0, UINT32_MAX, 1, 1, VMI_EINVAL},
        {two, BLOCKS - 1, VMI_BLOCK_READ, 1, 1, 1},
        {two, 0, VMI_BLOCK_WRITE, 2, 2, 1},
        {two, 0, VMI_BLOCK_FLUSH, 0, 0, 1},
    };
    struct vmi_block_request pair[2] = {
        {.id = 1, .segments = two, .count = 1, .blocks = 1},
        {.id = 2, .segments = two, .count = 1, .blocks = 1, .block = BLOCKS},
    };

    begin();
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        EXPECT(one_of(cases[i].operation, cases[i].block, cases[i].blocks, cases[i].count,
                      cases[i].segments) == cases[i].result);
    EXPECT(devices[0].queues[0].given == 3);
    EXPECT(vmi__block_submit(0, 0, pair, 2) == 1); /* what stands before it is taken */
    EXPECT(vmi__block_submit(0, 1, pair, 1) == VMI_EINVAL);
    EXPECT(vmi__block_submit(1, 0, pair, 1) == VMI_ENOENT);
    EXPECT(vmi__block_reap(0, 1, done, 1) == VMI_EINVAL);
    EXPECT(vmi__block_reap(1, 0, done, 1) == VMI_ENOENT);
    /* Larger than a request may be. */
    plug();
    set(3, CONFIG_SECTORS, 0x100000, 4);
    look();
    vmi__boot.memory = &more;
    vmi__boot.memory_count = 1;
    EXPECT(open_it() == VMI_OK);
    vmi__boot.memory_count = 0;
    EXPECT(one_of(VMI_BLOCK_READ, 0, look().request_blocks + 1, 2, huge) == VMI_EINVAL);
    EXPECT(one_of(VMI_BLOCK_READ, 0, look().request_blocks, 1, huge) == 1);
    /* Without a cache there is nothing to flush; what is read-only is not written to. */
    plug();
    set(0, OFFERED, 1 | FEATURE_SEG_MAX | FEATURE_INDIRECT | FEATURE_READ_ONLY | FEATURE_DISCARD,
        4);
    set(3, CONFIG_DISCARD, 8, 4);
    EXPECT(look().flags == VMI_DEVICE_IS_READ_ONLY && look().discard_blocks == 8);
    EXPECT(open_it() == VMI_OK);
    EXPECT(one_of(VMI_BLOCK_FLUSH, 0, 0, 0, 0) == VMI_ENOSYS);
    EXPECT(one_of(VMI_BLOCK_WRITE, 0, 1, 1, two) == VMI_EROFS);
    EXPECT(one_of(VMI_BLOCK_DISCARD, 0, 1, 0, 0) == VMI_EROFS);
    EXPECT(one_of(VMI_BLOCK_READ, 0, 1, 1, two) == 1);
}

/* What the device is told of a request: its header, its segments in order, its status last. */
static void what_a_request_becomes(void)
{
    const struct vmi_segment segments[] = {
        {.address = (uintptr_t)buffer, .length = 2 * SECTOR},
        {.address = (uintptr_t)buffer + 0x2000, .length = 6 * SECTOR}};
    const struct descriptor *first, *table;
    const uint32_t *header;

    plug();
    set(0, OFFERED,
        1 | FEATURE_SEG_MAX | FEATURE_FLUSH | FEATURE_INDIRECT | FEATURE_BLOCK_SIZE |
            FEATURE_DISCARD,
        4);
    set(3, CONFIG_BLOCK_SIZE, 4 * SECTOR, 4);
    set(3, CONFIG_DISCARD, 64, 4);
    EXPECT(look().blocks == BLOCKS / 4 && look().block_size == 4 * SECTOR);
    EXPECT(look().discard_blocks == 16 && look().flags == VMI_DEVICE_IS_CACHED);
    EXPECT(look().segments == SEGMENTS && open_it() == VMI_OK);
    for (uint32_t i = 0; i < 2; i++) {
        EXPECT(one_of(i ? VMI_BLOCK_WRITE : VMI_BLOCK_READ, 7, 2, 2, segments) == 1);
        first = (struct descriptor *)ring(QUEUE_DESCRIPTORS) + given(i);
        EXPECT(first->flags == 4 && first->length == 4 * sizeof(*table));
        table = (struct descriptor *)(uintptr_t)first->address;
        header = (uint32_t *)(uintptr_t)table[0].address;
        EXPECT(table[0].length == 16 && table[0].flags == 1 && table[0].next == 1);
        EXPECT(header[0] == i && header[2] == 28 && !header[3]);
        for (uint32_t j = 0; j < 2; j++) {
            EXPECT(table[1 + j].address == segments[j].address);
            EXPECT(table[1 + j].length == segments[j].length && table[1 + j].next == 2 + j);
            EXPECT(table[1 + j].flags == (i ? 1 : 3));
        }
        EXPECT(table[3].length == 1 && table[3].flags == 2 && *status_of(given(i)) == STATUS_NONE);
    }
    EXPECT(one_of(VMI_BLOCK_DISCARD, 5, 3, 0, 0) == 1);
    table =
        (struct descriptor *)(uintptr_t)((struct descriptor *)ring(QUEUE_DESCRIPTORS) + given(2))
            ->address;
    header = (uint32_t *)(uintptr_t)table[0].address;
    EXPECT(header[0] == 11 && !header[2]);
    header = (uint32_t *)(uintptr_t)table[1].address;
    EXPECT(table[1].length == 16 && header[0] == 20 && !header[1] && header[2] == 12 && !header[3]);
    EXPECT(one_of(VMI_BLOCK_DISCARD, 0, 17, 0, 0) == VMI_EINVAL);
    EXPECT(one_of(VMI_BLOCK_DISCARD, 0, 0, 0, 0) == VMI_EINVAL);
    EXPECT(one_of(VMI_BLOCK_FLUSH, 0, 0, 0, 0) == 1);
    table =
        (struct descriptor *)(uintptr_t)((struct descriptor *)ring(QUEUE_DESCRIPTORS) + given(3))
            ->address;
    EXPECT(*(uint32_t *)(uintptr_t)table[0].address == 4 && table[1].flags == 2);
    /* A slot's status is its request's, also when it is used again. */
    say(given(0), 8 * SECTOR + 1, STATUS_OK);
    EXPECT(vmi__block_reap(0, 0, done, 1) == 1 && done[0].id == 1);
    EXPECT(done[0].length == 8 * SECTOR);
    EXPECT(one_of(VMI_BLOCK_READ, 0, 1, 1,
                  &(struct vmi_segment){.address = (uintptr_t)buffer, .length = 4 * SECTOR}) == 1);
    EXPECT(given(4) == given(0) && *status_of(given(4)) == STATUS_NONE);
}

static const struct played_check all[] = {
    CHECK(name_and_event),
    CHECK(event_is_asked_for),
    CHECK(no_source_of_entropy),
    CHECK(messages),
    CHECK(notifications),
    CHECK(what_is_no_disk),
    CHECK(places),
    CHECK(features),
    CHECK(descriptors_of_the_ring),
    CHECK(ended_meanwhile),
    CHECK(memory_that_is_none),
    CHECK(does_not_come_up),
    CHECK(requests_that_are_none),
    CHECK(what_a_request_becomes),
    CHECK(numbers_of_a_setup),
    CHECK(each_ends_once_in_any_order),
    CHECK(failures_are_the_requests),
    CHECK(ended_twice),
    CHECK(never_given),
    CHECK(more_than_was_given),
    CHECK(more_bytes_than_room),
    CHECK(requests_keep_to_their_frames),
    CHECK(unknown_status),
    CHECK(closed_with_requests_in_flight),
    CHECK(any_device),
    CHECK(any_description),
    CHECK(capabilities_in_a_ring),
};

PLAY(all)
