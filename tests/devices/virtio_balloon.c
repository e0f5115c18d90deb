/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A memory balloon by virtio as a Linux process: this file is the device, which lies.
 */
#include "virtio.h"

#include "virtio/device.h"

#define FEATURE_STATISTICS  (1u << 1)
#define FEATURE_EVENT_INDEX (1u << 29)

extern const struct vmi__driver vmi__driver_virtio_balloon;

#define SEEDS 300u
#define MOST  256u /* frames of a call */

const struct vmi__driver *const vmi__drivers[] = {&vmi__driver_virtio_balloon, 0};

/* VIRTIO 1.2, 5.5.2: where in the device's memory each ring is, for the registers name the last. */
enum { INFLATE, DEFLATE, STATISTICS };
enum { CONFIG_MESSAGE = 16, QUEUE_SELECT = 22 };
enum { CONFIG_TARGET = 0, CONFIG_ACTUAL = 4 };

/* ---- the device ---- */

static struct {
    volatile struct vmi__virtqueue *queue;
    uint16_t ended;
} queues[3];

static uint32_t told[3][MOST], counts[3], answers;

/* How it lies in its answers. */
static struct {
    uint32_t id, length, more;
    bool silent;
} lie;

static struct descriptor *buffer_of(uint32_t number)
{
    volatile struct vmi__virtqueue *queue = queues[number].queue;
    uint16_t at = queue->available->ring[(queue->available->index - 1) & (queue->size - 1)];

    return (struct descriptor *)(uintptr_t)queue->descriptors + at;
}

/* Gives back what there is in a queue. */
static void answer(uint32_t number)
{
    struct used *used = (struct used *)(uintptr_t)queues[number].queue->used;
    uint32_t size = queues[number].queue->size;

    used->ring[queues[number].ended % size].id = lie.id;
    used->ring[queues[number].ended % size].length = lie.length;
    used->index = (uint16_t)(++queues[number].ended + lie.more);
}

/* Looks at the lists of frames while the driver waits. */
static void work(void)
{
    for (uint32_t i = INFLATE; i <= DEFLATE; i++) {
        const struct descriptor *list;

        if (lie.silent || queues[i].queue->available->index == queues[i].ended)
            continue;
        list = buffer_of(i);
        EXPECT(list->flags == 0 && list->length % 4 == 0 && list->length <= 4 * MOST);
        counts[i] = list->length / 4;
        memcpy(told[i], (const void *)(uintptr_t)list->address, list->length);
        answers++;
        answer(i);
    }
}

static void plug(uint32_t features)
{
    plug_virtio(0x1045, features, 64);
    set(0, QUEUES, 3, 2);
    memset(&lie, 0, sizeof(lie));
    memset(counts, 0, sizeof(counts));
    answers = 0;
    while_waiting = work;
}

#define FRAMES 0x1000u /* of usable memory, from 1 MiB on */
#define FIRST  0x100u

static void boot(void)
{
    static const struct vmi_memory_range ranges[] = {
        {.base = 0, .size = 0x1000, .kind = VMI_MEMORY_RESERVED},
        {.base = FIRST * PAGE, .size = FRAMES * PAGE + 0x800, .kind = VMI_MEMORY_USABLE},
        {.base = 0x40000000, .size = 0x800, .kind = VMI_MEMORY_USABLE},
    };

    vmi__boot.memory = ranges;
    vmi__boot.memory_count = 3;
}

static int32_t open_it(void)
{
    int32_t result;

    boot();
    result = open_with((struct vmi_device_setup){.queues = 1, .requests = 1, .segments = 1});
    for (uint32_t i = INFLATE; i <= STATISTICS; i++) {
        queues[i].queue = &((struct vmi__virtio *)devices[0].own)->queues[i];
        queues[i].ended = 0;
    }
    return result;
}

static void begin(uint32_t features)
{
    plug(features);
    look();
    EXPECT(open_it() == VMI_OK);
}

static uint32_t actual(void)
{
    return register_of((CONFIG - 1) * PART + CONFIG_ACTUAL);
}

/* ---- checks ---- */

static uint32_t frames[2 * MOST];

static void number_frames(uint32_t first)
{
    for (uint32_t i = 0; i < 2 * MOST; i++)
        frames[i] = first + 3 * i;
}

/* Shut off for that reason: it reaches no memory, and may be opened anew. */
static void is_shut_off(uint32_t fault)
{
    EXPECT(look().fault == fault);
    EXPECT(!(space[1] & COMMAND_MASTER) && !bar[STATUS]);
    EXPECT(vmi__balloon_inflate(0, frames, 1) == VMI_EIO);
    EXPECT(vmi__balloon_deflate(0, frames, 1) == VMI_EIO);
    EXPECT(vmi__device_close(0) == VMI_OK);
    set(0, QUEUE_SIZE, 64, 2);
    memset(&lie, 0, sizeof(lie));
    EXPECT(open_it() == VMI_OK && look().fault == VMI_FAULT_NONE);
    EXPECT(vmi__balloon_inflate(0, frames, 1) == 1);
    EXPECT(!locks);
}

static void what_it_says_of_itself(void)
{
    struct vmi_device_properties info;
    struct vmi_device_setup setup = {.queues = 2, .requests = 1, .segments = 1};
    struct vmi_device_memory memory;

    number_frames(FIRST);
    plug(FEATURE_STATISTICS);
    set(CONFIG - 1, CONFIG_TARGET, 0x12345, 4);
    info = look();
    EXPECT(info.kind == VMI_DEVICE_BALLOON && !info.flags && info.queues == 1);
    EXPECT(info.segments == 1 && !info.blocks && info.target == 0x12345);
    EXPECT(vmi__balloon_inflate(1, frames, 1) == VMI_ENOENT);
    EXPECT(vmi__balloon_inflate(0, frames, 1) == VMI_EINVAL); /* not open */
    EXPECT(vmi__balloon_deflate(0, frames, 1) == VMI_EINVAL);
    EXPECT(vmi__device_needs(0, &setup, &memory) == VMI_EINVAL);
    EXPECT(open_it() == VMI_OK);
    set(CONFIG - 1, CONFIG_TARGET, 7, 4);
    EXPECT(look().target == 7 && look().flags == VMI_DEVICE_IS_OPEN);
    EXPECT(vmi__block_submit(0, 0, 0, 0) == VMI_EINVAL);
    /* Without the queue of statistics that it offers it is none. */
    plug(FEATURE_STATISTICS);
    set(0, QUEUES, 2, 2);
    EXPECT(vmi__device_info(0, &info) == VMI_ENOENT);
    plug(0);
    set(0, QUEUES, 2, 2);
    EXPECT(vmi__device_info(0, &info) == VMI_OK);
    plug(0);
    set(0, QUEUES, 1, 2);
    EXPECT(vmi__device_info(0, &info) == VMI_ENOENT);
}

static void frames_go_and_come(void)
{
    static const uint32_t features[] = {0, FEATURE_EVENT_INDEX | FEATURE_STATISTICS};

    for (uint32_t i = 0; i < 2; i++) {
        number_frames(FIRST + 1);
        begin(features[i]);
        EXPECT(vmi__balloon_inflate(0, frames, 0) == 0 && !answers);
        EXPECT(vmi__balloon_deflate(0, frames, 1) == VMI_EINVAL && !answers);
        EXPECT(vmi__balloon_inflate(0, frames, 3) == 3 && counts[INFLATE] == 3);
        EXPECT(!memcmp(told[INFLATE], frames, 12) && actual() == 3);
        EXPECT(vmi__balloon_inflate(0, frames + 3, 2 * MOST - 3) == (int32_t)MOST);
        EXPECT(!memcmp(told[INFLATE], frames + 3, 4 * MOST) && actual() == MOST + 3);
        EXPECT(vmi__balloon_deflate(0, frames + 1, 2) == 2 && counts[DEFLATE] == 2);
        EXPECT(!memcmp(told[DEFLATE], frames + 1, 8) && actual() == MOST + 1);
        /* What is in the balloon stays there while it is closed. */
        EXPECT(vmi__device_close(0) == VMI_OK);
        set(0, QUEUE_SIZE, 64, 2);
        EXPECT(open_it() == VMI_OK);
        EXPECT(vmi__balloon_deflate(0, frames, MOST) == (int32_t)MOST && actual() == 1);
        EXPECT(vmi__balloon_deflate(0, frames, 2) == VMI_EINVAL);
        EXPECT(vmi__balloon_deflate(0, frames, 1) == 1 && actual() == 0);
        EXPECT(look().fault == VMI_FAULT_NONE && !locks);
    }
}

/* An answer is waited for, and no interrupt for it asked for. */
static void no_event_of_an_answer(void)
{
    volatile struct vmi__virtqueue *queue;

    number_frames(FIRST);
    begin(0);
    EXPECT(vmi__balloon_inflate(0, frames, 1) == 1);
    EXPECT(queues[INFLATE].queue->available->flags == 1);
    begin(FEATURE_EVENT_INDEX);
    for (uint16_t round = 1; round < 9; round++) {
        EXPECT(vmi__balloon_inflate(0, frames, 1) == 1);
        queue = queues[INFLATE].queue;
        /* Behind that index nobody has come: VIRTIO 1.2, 2.7.7.2. */
        EXPECT((uint16_t)(round - queue->available->ring[queue->size] - 1) >= 1);
        EXPECT(!queue->available->flags);
    }
}

static void frames_that_are_none(void)
{
    static const uint32_t wrong[] = {0,        FIRST - 1,        FIRST + FRAMES,
                                     0x100000, 0x100000 + FIRST, 0xffffffff};

    begin(0);
    for (uint32_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        number_frames(FIRST);
        frames[2] = wrong[i];
        EXPECT(vmi__balloon_inflate(0, frames + 2, 2) == VMI_EINVAL);
        EXPECT(vmi__balloon_inflate(0, frames, 9) == 2 && counts[INFLATE] == 2);
        EXPECT(vmi__balloon_deflate(0, frames + 2, 2) == VMI_EINVAL);
        EXPECT(vmi__balloon_deflate(0, frames, 9) == 2 && counts[DEFLATE] == 2);
    }
    frames[0] = FIRST + FRAMES - 1;
    EXPECT(vmi__balloon_inflate(0, frames, 1) == 1 && !locks);
}

static void statistics_when_asked(void)
{
    const struct vmi_balloon_statistics said = {
        .total = 0x1122334455, .free = 2, .available = 3, .faults = 4};
    static const uint8_t tags[] = {3, 4, 5, 6};
    const uint64_t values[] = {4, 2, 0x1122334455, 3};
    const uint8_t *at;

    begin(FEATURE_EVENT_INDEX);
    EXPECT(vmi__balloon_report(0, &said) == VMI_ENOSYS);
    for (uint32_t i = 0; i < 2; i++) {
        begin(i ? FEATURE_STATISTICS | FEATURE_EVENT_INDEX : FEATURE_STATISTICS);
        EXPECT(queues[STATISTICS].queue->available->index == 1); /* one is always there */
        EXPECT(buffer_of(STATISTICS)->length == 10 && !buffer_of(STATISTICS)->flags);
        EXPECT(vmi__balloon_report(0, &said) == VMI_EAGAIN);
        for (uint16_t round = 1; round < 70; round++) {
            answer(STATISTICS);
            EXPECT(vmi__balloon_report(0, &said) == VMI_OK);
            EXPECT(queues[STATISTICS].queue->available->index == round + 1);
            EXPECT(buffer_of(STATISTICS)->length == 40);
            at = (const uint8_t *)(uintptr_t)buffer_of(STATISTICS)->address;
            for (uint32_t tag = 0; tag < 4; tag++)
                EXPECT(at[10 * tag] == tags[tag] && !at[10 * tag + 1] &&
                       !memcmp(at + 10 * tag + 2, &values[tag], 8));
            if (i)
                EXPECT(queues[STATISTICS].queue->available->ring[queues[STATISTICS].queue->size] ==
                       round);
            EXPECT(vmi__balloon_report(0, &said) == VMI_EAGAIN);
        }
        answer(STATISTICS);
        lie.id = 1;
        EXPECT(vmi__balloon_report(0, &said) == VMI_OK);
        answer(STATISTICS);
        EXPECT(vmi__balloon_report(0, &said) == VMI_EIO);
        EXPECT(vmi__balloon_report(0, &said) == VMI_EIO);
        is_shut_off(VMI_FAULT_IDENTIFIER);
    }
}

static void does_not_answer(void)
{
    number_frames(FIRST);
    begin(0);
    lie.silent = true;
    EXPECT(vmi__balloon_inflate(0, frames, 1) == VMI_EIO);
    is_shut_off(VMI_FAULT_SILENT);
}

static void another_answer(void)
{
    static const uint32_t ids[] = {1, 63, 64, 0x10000, 0xffffffff};
    static const uint32_t ahead[] = {1, 0x7fff, 0xfffe};

    number_frames(FIRST);
    for (uint32_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        begin(0);
        lie.id = ids[i];
        EXPECT(vmi__balloon_inflate(0, frames, 2) == VMI_EIO);
        is_shut_off(VMI_FAULT_IDENTIFIER);
    }
    for (uint32_t i = 0; i < sizeof(ahead) / sizeof(ahead[0]); i++) {
        begin(0);
        EXPECT(vmi__balloon_inflate(0, frames, 2) == 2);
        lie.more = ahead[i];
        EXPECT(vmi__balloon_deflate(0, frames, 2) == VMI_EIO);
        is_shut_off(VMI_FAULT_COUNT);
    }
    begin(0);
    lie.length = 1;
    EXPECT(vmi__balloon_inflate(0, frames, 2) == VMI_EIO);
    is_shut_off(VMI_FAULT_LENGTH);
}

static void one_message(void)
{
    plug(FEATURE_STATISTICS);
    plug_msix();
    look();
    set(0, CONFIG_MESSAGE, 0xffff, 2);
    EXPECT(devices[0].messages == 1 && open_it() == VMI_OK);
    EXPECT(space[MSIX / 4] >> 31 && !(register_of(CONFIG_MESSAGE) & 0xffff));
    EXPECT(queues[DEFLATE].queue->message == 0xffff && !queues[STATISTICS].queue->message);
}

/* What comes between a handler's look and the end of its interrupt is told once more. */
static void told_at_the_end(void)
{
    number_frames(FIRST);
    begin(FEATURE_STATISTICS);
    EXPECT(!vmi__driver_virtio_balloon.acknowledge(&devices[0]));
    set(CONFIG - 1, CONFIG_TARGET, 9, 4);
    EXPECT(vmi__driver_virtio_balloon.acknowledge(&devices[0]));
    EXPECT(!vmi__driver_virtio_balloon.acknowledge(&devices[0]));
    answer(STATISTICS);
    EXPECT(vmi__driver_virtio_balloon.acknowledge(&devices[0]));
    EXPECT(!vmi__driver_virtio_balloon.acknowledge(&devices[0]));
    EXPECT(vmi__balloon_inflate(0, frames, 1) == 1);
    EXPECT(!vmi__driver_virtio_balloon.acknowledge(&devices[0]));
}

static void does_not_come_up(void)
{
    plug(FEATURE_STATISTICS);
    look();
    set(0, QUEUE_SIZE, 1, 2); /* smaller than it was when it was found */
    EXPECT(open_it() == VMI_EIO);
    EXPECT(!(space[1] & COMMAND_MASTER) && vmi__balloon_inflate(0, frames, 1) == VMI_EINVAL);
    set(0, QUEUE_SIZE, 64, 2);
    set(0, OFFERED, 1, 4); /* other features than then */
    EXPECT(open_it() == VMI_EIO && !locks);
}

/* Whatever it answers, the kernel's count of frames is that of its calls that went well. */
static void any_device(void)
{
    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + SEEDS && !failed_line; seed++) {
        uint32_t held = 0;

        state = seed;
        number_frames(FIRST);
        begin(random() % 2 ? FEATURE_EVENT_INDEX : FEATURE_STATISTICS);
        for (uint32_t step = 0; step < 12; step++) {
            bool inflate = random() % 2;
            uint32_t wanted = random() % (MOST + 10);
            int32_t result;

            memset(&lie, 0, sizeof(lie));
            if (random() % 8 == 0) {
                lie.id = random() % 3;
                lie.length = random() % 3;
                lie.more = random() % 3;
            }
            result = inflate ? vmi__balloon_inflate(0, frames, wanted)
                             : vmi__balloon_deflate(0, frames, wanted);
            EXPECT(result <= (int32_t)wanted && result <= (int32_t)MOST);
            EXPECT((result == VMI_EIO) == (look().fault != VMI_FAULT_NONE));
            if (result > 0)
                held += inflate ? (uint32_t)result : -(uint32_t)result;
            EXPECT(devices[0].held == held);
        }
        EXPECT(vmi__device_close(0) == VMI_OK && !locks);
    }
}

/* Whatever it says of itself: it is left alone, or has numbers that can be. */
static void any_description(void)
{
    uint32_t kept = 0;

    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + SEEDS && !failed_line; seed++) {
        struct vmi_device_properties info;

        state = seed;
        plug(FEATURE_STATISTICS);
        say_anything();
        if (vmi__device_info(0, &info) != VMI_OK)
            continue;
        kept++;
        EXPECT(info.requests && info.requests <= VMI__REQUESTS_MAX && info.queues == 1);
    }
    EXPECT(kept > SEEDS / 10 && kept < SEEDS);
}

static const struct played_check all[] = {
    CHECK(what_it_says_of_itself),
    CHECK(frames_go_and_come),
    CHECK(no_event_of_an_answer),
    CHECK(frames_that_are_none),
    CHECK(statistics_when_asked),
    CHECK(does_not_answer),
    CHECK(another_answer),
    CHECK(one_message),
    CHECK(told_at_the_end),
    CHECK(does_not_come_up),
    CHECK(any_device),
    CHECK(any_description),
};

PLAY(all)
