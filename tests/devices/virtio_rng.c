/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A source of entropy by virtio as a Linux process: this file is the device, which lies.
 */
#include "virtio.h"

#define FEATURE_EVENT_INDEX (1u << 29)

extern const struct vmi__driver vmi__driver_virtio_rng;

#define REQUESTS 4u
#define BYTES    256u /* of a buffer */
#define SEEDS    3000u

const struct vmi__driver *const vmi__drivers[] = {&vmi__driver_virtio_rng, 0};

/* ---- the device ---- */

static uint32_t sequence; /* of what it has given */

static void plug(void)
{
    plug_virtio(0x1044, FEATURE_EVENT_INDEX, 64);
    sequence = 1;
}

static int32_t open_it(uint32_t requests)
{
    return open_with((struct vmi_device_setup){.queues = 1, .requests = requests, .segments = 1});
}

/* A source that is open. */
static void begin(uint32_t requests)
{
    plug();
    look();
    EXPECT(open_it(requests) == VMI_OK);
}

static uint32_t offered(void)
{
    return ((struct available *)ring(QUEUE_AVAILABLE))->index;
}

static uint8_t *buffer_of(uint32_t id)
{
    const struct descriptor *one = (struct descriptor *)ring(QUEUE_DESCRIPTORS) + id;

    EXPECT(one->flags == 2 && one->length == BYTES); /* to be written, and no other behind it */
    return (uint8_t *)(uintptr_t)one->address;
}

/* The byte that the device gives as that one. */
static uint8_t byte(uint32_t number)
{
    return (uint8_t)(number * 0x9e3779b1u >> 13 ^ number * 7);
}

/* Fills the buffer that was given as that one, and says so. */
static void fill_given(uint32_t number, uint32_t length)
{
    uint32_t id = given(number);
    uint8_t *at = buffer_of(id);

    for (uint32_t i = 0; i < length; i++)
        at[i] = byte(sequence++);
    say_ended(id, length);
}

/* ---- checks ---- */

static uint8_t got[0x4000];

static int32_t fill_up(uint32_t size)
{
    return vmi__entropy_of_devices(0, got, size);
}

static bool got_is(uint32_t first, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        if (got[i] != byte(first + i))
            return false;
    return true;
}

/* Shut off for that reason: it reaches no memory, and may be opened anew. */
static void is_shut_off(uint32_t fault)
{
    EXPECT(fill_up(1) == VMI_EIO);
    EXPECT(look().fault == fault);
    EXPECT(!(space[1] & COMMAND_MASTER) && !bar[STATUS]);
    EXPECT(fill_up(1) == VMI_EIO);
    EXPECT(vmi__entropy_of_devices(VMI_ENTROPY_ANY, got, 1) == VMI_EIO);
    EXPECT(vmi__device_close(0) == VMI_OK);
    EXPECT(vmi__entropy_of_devices(VMI_ENTROPY_ANY, got, 1) == VMI_ENODEV);
    set(0, QUEUE_SIZE, 64, 2);
    ended_index = 0;
    EXPECT(open_it(REQUESTS) == VMI_OK && look().fault == VMI_FAULT_NONE);
    EXPECT(!locks);
}

static void what_it_says_of_itself(void)
{
    struct vmi_device_properties info;
    struct vmi_device_setup setup = {.queues = 1, .requests = REQUESTS, .segments = 1};
    struct vmi_device_memory memory;

    plug();
    EXPECT(!vmi__entropy_of_devices || vmi__entropy_of_devices(0, got, 1) == VMI_ENOENT);
    info = look();
    EXPECT(info.kind == VMI_DEVICE_ENTROPY && !info.flags && info.queues == 1);
    EXPECT(info.segments == 1 && info.segment_bytes == BYTES && info.requests == 64);
    EXPECT(!info.blocks && !info.block_size);
    EXPECT(fill_up(1) == VMI_EINVAL); /* not open */
    EXPECT(vmi__entropy_of_devices(1, got, 1) == VMI_ENOENT);
    EXPECT(vmi__entropy_of_devices(VMI_ENTROPY_ANY, got, 1) == VMI_ENODEV);
    EXPECT(vmi__device_needs(0, &setup, &memory) == VMI_OK);
    EXPECT(memory.size == 3 * PAGE); /* ring, buffers, and the table that it does not see */
    setup.requests = 65;
    EXPECT(vmi__device_needs(0, &setup, &memory) == VMI_EINVAL);
    setup = (struct vmi_device_setup){.queues = 2, .requests = 1, .segments = 1};
    EXPECT(vmi__device_needs(0, &setup, &memory) == VMI_EINVAL);
    setup = (struct vmi_device_setup){.requests = 1, .segments = 1};
    EXPECT(vmi__device_needs(0, &setup, &memory) == VMI_EINVAL);
    setup = (struct vmi_device_setup){.queues = 1, .requests = 1, .segments = 2};
    EXPECT(vmi__device_needs(0, &setup, &memory) == VMI_EINVAL);
    EXPECT(open_it(REQUESTS) == VMI_OK);
    EXPECT(look().flags == VMI_DEVICE_IS_OPEN);
    EXPECT(vmi__block_submit(0, 0, 0, 0) == VMI_EINVAL);
    EXPECT(vmi__block_reap(0, 0, 0, 0) == VMI_EINVAL);
    EXPECT(vmi__balloon_inflate(0, 0, 0) == VMI_EINVAL);
    /* Without a queue it is none. */
    plug();
    set(0, QUEUES, 0, 2);
    EXPECT(vmi__device_info(0, &info) == VMI_ENOENT);
    plug();
    set(0, QUEUE_SIZE, 0, 2);
    EXPECT(vmi__device_info(0, &info) == VMI_ENOENT);
}

static void each_byte_once_in_order(void)
{
    uint32_t handed = 1;

    begin(REQUESTS);
    EXPECT(offered() == REQUESTS); /* all are asked for ahead of time */
    EXPECT(fill_up(1) == VMI_EAGAIN);
    fill_given(1, BYTES);
    fill_given(0, 10);
    for (uint32_t size = 1; size <= 11; size++) {
        EXPECT(fill_up(size) == (int32_t)size && got_is(handed, size));
        handed += size;
    }
    EXPECT(offered() == REQUESTS);
    EXPECT(fill_up(1000) == 200 && got_is(handed, 200)); /* the rest of one, and the other */
    EXPECT(offered() == REQUESTS + 2);
    EXPECT(fill_up(1000) == VMI_EAGAIN);
    fill_given(2, BYTES);
    EXPECT(vmi__entropy_of_devices(VMI_ENTROPY_ANY, got, BYTES) == (int32_t)BYTES);
    EXPECT(got_is(handed + 200, BYTES));
    EXPECT(offered() == REQUESTS + 3 && !locks);
    EXPECT(look().fault == VMI_FAULT_NONE);
}

/* Whatever has been handed out is nowhere else, nor what the device wrote and did not count. */
static void nothing_stays(void)
{
    uint8_t *at;

    begin(REQUESTS);
    at = buffer_of(given(0));
    fill_given(0, 100);
    at[100] = 0x77;
    EXPECT(fill_up(60) == 60);
    for (uint32_t i = 0; i < 60; i++)
        EXPECT(!at[i]);
    EXPECT(at[60] == byte(61));
    EXPECT(fill_up(40) == 40);
    for (uint32_t i = 0; i < BYTES; i++)
        EXPECT(!at[i]);
    EXPECT(given(REQUESTS) == given(0) && buffer_of(given(REQUESTS)) == at);
    at = buffer_of(given(1));
    fill_given(1, BYTES);
    EXPECT(fill_up(1) == 1 && at[1]);
    fill_given(2, BYTES);
    EXPECT(vmi__device_close(0) == VMI_OK && !bar[STATUS]);
    for (uint32_t i = 0; i < REQUESTS * BYTES; i++)
        EXPECT(!memory_of_device[PAGE + i]);
    EXPECT(fill_up(1) == VMI_EINVAL && vmi__device_close(0) == VMI_EINVAL);
    /* What was under way before it was closed is forgotten. */
    set(0, QUEUE_SIZE, 64, 2);
    ended_index = 0;
    EXPECT(open_it(REQUESTS) == VMI_OK && offered() == REQUESTS);
    EXPECT(fill_up(1) == VMI_EAGAIN);
    sequence = 1;
    fill_given(3, BYTES);
    EXPECT(fill_up(BYTES) == (int32_t)BYTES && got_is(1, BYTES));
}

/* An event is asked for by whoever got less than it wanted, and by nobody else. */
static void event_is_asked_for(void)
{
    struct available *available;

    begin(REQUESTS);
    available = ring(QUEUE_AVAILABLE);
    fill_given(0, BYTES);
    EXPECT(fill_up(BYTES) == (int32_t)BYTES);
    EXPECT(available->ring[ring_entries()] == 0);
    EXPECT(fill_up(1) == VMI_EAGAIN);
    EXPECT(available->ring[ring_entries()] == 1);
    fill_given(1, 7);
    fill_given(2, 7);
    EXPECT(fill_up(15) == 14);
    EXPECT(available->ring[ring_entries()] == 3);
}

static void ended_twice(void)
{
    begin(REQUESTS);
    fill_given(1, BYTES);
    fill_given(1, BYTES);
    EXPECT(fill_up(2 * BYTES) == (int32_t)BYTES);
    is_shut_off(VMI_FAULT_IDENTIFIER);
    begin(REQUESTS);
    fill_given(1, BYTES);
    EXPECT(fill_up(1) == 1);
    fill_given(1, BYTES); /* while it is being used up */
    EXPECT(fill_up(BYTES) == (int32_t)BYTES - 1);
    is_shut_off(VMI_FAULT_IDENTIFIER);
}

static void never_given(void)
{
    static const uint32_t slots[] = {REQUESTS, 63, 64, 0x10000, 0x7fffffff, 0xffffffff};

    for (uint32_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        begin(REQUESTS);
        say_ended(slots[i], BYTES);
        is_shut_off(VMI_FAULT_IDENTIFIER);
    }
}

static void more_than_was_given(void)
{
    static const uint16_t ahead[] = {REQUESTS + 1, 0x40, 0x7fff, 0x8000, 0xffff};

    for (uint32_t i = 0; i < sizeof(ahead) / sizeof(ahead[0]); i++) {
        begin(REQUESTS);
        ((struct used *)ring(QUEUE_USED))->index = ahead[i];
        is_shut_off(VMI_FAULT_COUNT);
    }
}

static void another_length(void)
{
    static const uint32_t lengths[] = {0, BYTES + 1, 0x10000, 0xffffffff};

    for (uint32_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        begin(REQUESTS);
        fill_given(0, BYTES);
        say_ended(given(1), lengths[i]);
        EXPECT(fill_up(2 * BYTES) == (int32_t)BYTES); /* what came before is good */
        is_shut_off(VMI_FAULT_LENGTH);
    }
}

static void repeats_itself(void)
{
    uint8_t *at;

    begin(REQUESTS);
    say_ended(given(0), BYTES); /* and nothing was written */
    is_shut_off(VMI_FAULT_STUCK);
    for (uint32_t first = 0; first <= BYTES - 9; first += BYTES - 9) {
        begin(REQUESTS);
        at = buffer_of(given(0));
        fill_given(0, BYTES);
        for (uint32_t i = 0; i < 9; i++)
            at[first + i] = 0x3c;
        is_shut_off(VMI_FAULT_STUCK);
    }
    begin(REQUESTS);
    at = buffer_of(given(0));
    fill_given(0, BYTES);
    for (uint32_t i = 1; i < 9; i++) /* which is by chance */
        at[i] = 0x3c;
    at[0] = at[9] = 0x3d;
    EXPECT(fill_up(BYTES) == (int32_t)BYTES);
    begin(REQUESTS);
    fill_given(0, BYTES);
    sequence = 1;
    fill_given(1, BYTES); /* the same as before */
    EXPECT(fill_up(BYTES) == (int32_t)BYTES);
    is_shut_off(VMI_FAULT_STUCK);
    begin(REQUESTS);
    fill_given(0, 7);
    sequence = 1;
    fill_given(1, 7); /* too few to say */
    EXPECT(fill_up(14) == 14 && look().fault == VMI_FAULT_NONE);
    begin(REQUESTS);
    fill_given(0, 8);
    sequence = 1;
    fill_given(1, 8);
    EXPECT(fill_up(8) == 8);
    is_shut_off(VMI_FAULT_STUCK);
}

static void one_message(void)
{
    plug();
    plug_msix();
    look();
    EXPECT(devices[0].messages == 1 && open_it(REQUESTS) == VMI_OK);
    EXPECT(space[MSIX / 4] >> 31 && bar[TABLE + 12] == 1);
    plug();
    look();
    EXPECT(!devices[0].messages);
}

static void does_not_come_up(void)
{
    plug();
    look();
    set(0, QUEUE_SIZE, 2, 2); /* smaller than it was when it was found */
    EXPECT(open_with((struct vmi_device_setup){.queues = 1, .requests = 4, .segments = 1}) ==
           VMI_EIO);
    EXPECT(!(space[1] & COMMAND_MASTER) && fill_up(1) == VMI_EINVAL && !locks);
    set(0, QUEUE_SIZE, 64, 2);
    set(0, OFFERED, 1, 4); /* other features than then */
    EXPECT(open_it(REQUESTS) == VMI_EIO && fill_up(1) == VMI_EINVAL);
}

/* Whatever it says, no more is handed out than it can have given. */
static void any_device(void)
{
    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + SEEDS && !failed_line; seed++) {
        uint32_t said = 0, handed = 0;

        state = seed;
        begin(1 + random() % REQUESTS);
        for (uint32_t step = 0; step < 40; step++) {
            uint32_t what = random() % 16, size = random() % 3 ? random() % 600 + 1 : 1;
            int32_t result;

            if (what < 10 && (uint16_t)(ended_index + 1) <= offered()) {
                fill_given(ended_index, random() % BYTES + 1);
                said += BYTES;
            } else if (what == 10) {
                uint32_t length = random() % 4 ? BYTES : random();
                say_ended(given(random() % REQUESTS), length);
                said += length < BYTES ? length : BYTES;
            } else if (what == 11) {
                ((struct used *)ring(QUEUE_USED))->index =
                    (uint16_t)(random() % 4 ? ended_index : random());
            }
            memset(got, 0x5a, sizeof(got));
            result = fill_up(size);
            EXPECT(result == VMI_EAGAIN || result == VMI_EIO ||
                   (result > 0 && result <= (int32_t)size));
            EXPECT((result == VMI_EIO) == (look().fault != VMI_FAULT_NONE && result <= 0));
            for (uint32_t i = result > 0 ? (uint32_t)result : 0; i < 700; i++)
                EXPECT(got[i] == 0x5a);
            handed += result > 0 ? (uint32_t)result : 0;
        }
        EXPECT(handed <= said);
        EXPECT(vmi__device_close(0) == VMI_OK && !locks);
        EXPECT(devices[0].state == VMI__DEVICE_CLOSED);
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
        say_anything();
        if (vmi__device_info(0, &info) != VMI_OK)
            continue;
        kept++;
        EXPECT(info.requests && info.requests <= VMI__REQUESTS_MAX && info.queues == 1);
        EXPECT(info.segments == 1 && info.segment_bytes == BYTES);
    }
    EXPECT(kept > SEEDS / 10 && kept < SEEDS);
}

static const struct played_check all[] = {
    CHECK(what_it_says_of_itself),
    CHECK(each_byte_once_in_order),
    CHECK(nothing_stays),
    CHECK(event_is_asked_for),
    CHECK(ended_twice),
    CHECK(never_given),
    CHECK(more_than_was_given),
    CHECK(another_length),
    CHECK(repeats_itself),
    CHECK(does_not_come_up),
    CHECK(one_message),
    CHECK(any_device),
    CHECK(any_description),
};

PLAY(all)
