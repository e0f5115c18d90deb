/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Networks by vmxnet3 as a Linux process: this file is the device, which lies. BAR 1 lies behind
 * BAR 0, and the table of messages behind both.
 */
#define BAR_SIZE 0x4000u
#define TABLE    0x3000u

#include "devices/played_registers.h"

#define REQUESTS 8u
#define SEGMENTS 2u
#define MTU      1500u
#define SEEDS    3000u
#define PIECE    1520u
#define HERE     0x5544332211aaull

static int32_t open_it(void);

#include "devices/played_bounce.h"

/* Linux, drivers/net/vmxnet3/vmxnet3_defs.h. */
enum {
    MASK = 0,
    SEND_INDEX = 0x600,
    RECEIVE_INDEX = 0x800,
    BAR1 = 0x1000,
    REVISIONS = BAR1,
    UPT_REVISIONS = BAR1 + 0x08,
    SHARED_LOW = BAR1 + 0x10,
    SHARED_HIGH = BAR1 + 0x18,
    COMMAND = BAR1 + 0x20,
    STATION_LOW = BAR1 + 0x28,
    STATION_HIGH = BAR1 + 0x30,
    CAUSE = BAR1 + 0x38,
};
#define ACTIVATE   0xcafe0000u
#define RESET      0xcafe0002u
#define LINK       0xf00d0002u
#define MAGIC      3133079265u
#define LAST       0x1000u
#define REPORT     0x2000u
#define FIRST_LAST 0xc000u
#define TRUNCATED  0x4000u
#define GENERATION 0x80000000u

struct descriptor {
    uint64_t address;
    uint32_t control, flags;
};
struct completion {
    uint32_t index, hash, length, flags;
};

extern const struct vmi__driver vmi__driver_vmxnet3;
const struct vmi__driver *const vmi__drivers[] = {&vmi__driver_vmxnet3, 0};

static bool active, refuses, linked;
static uint32_t index_of[WAYS], mask_written;
static uint32_t ended_of[WAYS];

static void is_read(uint32_t offset)
{
    causes_read += offset == CAUSE;
}

static void is_written(uint32_t offset, uint32_t value)
{
    if (offset == SEND_INDEX || offset == RECEIVE_INDEX)
        index_of[offset == SEND_INDEX] = value;
    if (offset < 0x200) /* as it is active, and not before */
        mask_written |= active && !value ? 1u << offset / 8 : 0x80000000u;
    if (offset != COMMAND)
        return;
    if (value == RESET)
        active = false;
    if (value == ACTIVATE)
        active = !refuses && *(uint32_t *)REACHED(get(SHARED_LOW), 4) == MAGIC;
    set(COMMAND, value == ACTIVATE ? !active : value == LINK ? linked | 10000u << 16 : 0);
}

static void plug(void)
{
    plug_function(0x07b015adu);
    space[PCI_BAR0 / 4 + 1] = space[PCI_BAR0 / 4] + BAR1;
    refuses = active = false;
    linked = true;
    set(REVISIONS, 7);
    set(UPT_REVISIONS, 1);
    set(STATION_LOW, (uint32_t)HERE);
    set(STATION_HIGH, (uint32_t)(HERE >> 32));
}

static void plug_msix(uint32_t messages)
{
    plug();
    plug_messages(messages);
}

static int32_t open_it(void)
{
    ended_of[RECEIVE] = ended_of[SEND] = 0;
    mask_written = 0;
    index_of[RECEIVE] = index_of[SEND] = ~0u;
    return open_with(
        (struct vmi_device_setup){.queues = 1, .requests = REQUESTS, .segments = SEGMENTS});
}

static bool is_reset(void)
{
    return !(space[1] & COMMAND_MASTER) && !active && !get(SHARED_LOW);
}

/* ---- what the driver has told, by offsets in struct Vmxnet3_DriverShared and the queues' ---- */

static uint64_t address_at(const void *at)
{
    uint64_t address;

    memcpy(&address, at, 8);
    return address;
}

static uint8_t *shared(void)
{
    return REACHED(get(SHARED_LOW), 720);
}

static uint32_t word(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, 4);
    return value;
}

/* The queue's description: to send first. */
static uint8_t *queue_of(uint32_t way)
{
    return REACHED(address_at(shared() + 8 + 32) + (way == SEND ? 0 : 256), 256);
}

static uint32_t size_of(uint32_t way)
{
    return word(queue_of(way) + 16 + 40);
}

static struct descriptor *entry(uint32_t way, uint32_t number)
{
    return REACHED(address_at(queue_of(way) + 16) +
                       number % size_of(way) * sizeof(struct descriptor),
                   sizeof(struct descriptor));
}

static struct completion *completion(uint32_t way, uint32_t number)
{
    return REACHED(address_at(queue_of(way) + 16 + 16) +
                       number % size_of(way) * sizeof(struct completion),
                   sizeof(struct completion));
}

/* Says of a packet with that last entry that it has ended. */
static void say(uint32_t way, uint32_t index, uint32_t length)
{
    struct completion *at = completion(way, ended_of[way]);
    bool odd = ended_of[way] / size_of(way) % 2;

    at->index = index;
    at->length = length;
    at->flags = odd ? 0 : GENERATION;
    ended_of[way]++;
}

/* The index with which the next packet ends that has done nothing wrong. */
static uint32_t next_index(uint32_t way)
{
    if (way == RECEIVE)
        return ended_of[way] % size_of(way) | FIRST_LAST;
    return (ended_of[way] * SEGMENTS + SEGMENTS - 1) % size_of(way);
}

static void say_sound(uint32_t way)
{
    say(way, next_index(way), way == RECEIVE ? LEAST : 0);
}

static uint64_t address_given(uint32_t number)
{
    return entry(RECEIVE, number)->address;
}

static bool told_of(uint32_t buffers)
{
    return entry(RECEIVE, buffers - 1)->control == (PIECE | GENERATION);
}

static void say_length(uint32_t length)
{
    say(RECEIVE, next_index(RECEIVE), length);
}

/* ---- checks ---- */

static void says_what_it_is(void)
{
    says_what_a_network_is();
    linked = false;
    EXPECT(!(look().flags & VMI_DEVICE_IS_LINKED));
}

static void says_what_cannot_be(void)
{
    plug();
    set(STATION_LOW, 0);
    set(STATION_HIGH, 0);
    is_none();
    plug();
    set(STATION_LOW, get(STATION_LOW) | 1); /* of a group */
    is_none();
    plug();
    set(REVISIONS, 6);
    is_none();
    plug();
    set(UPT_REVISIONS, 2);
    is_none();
    plug();
    space[PCI_BAR0 / 4 + 1] |= 1; /* ports */
    is_none();
    plug();
    space[PCI_ID / 4]++; /* another vendor's */
    is_none();
    plug();
    space[PCI_ID / 4] += 0x10000;
    is_none();
}

/* A message for each way, or the line for both. */
static void messages(void)
{
    plug_msix(3);
    look();
    EXPECT(devices[0].messages == WAYS && open_it() == VMI_OK && space[MSIX / 4] >> 31);
    EXPECT(queue_of(SEND)[16 + 56] == SEND && queue_of(RECEIVE)[16 + 56] == RECEIVE);
    EXPECT(mask_written == 3);
    vmi__device_close(0);
    EXPECT(!(space[MSIX / 4] >> 31));
    plug_msix(1);
    look();
    EXPECT(!devices[0].messages && open_it() == VMI_OK && !(space[MSIX / 4] >> 31));
    EXPECT(!queue_of(SEND)[16 + 56] && !queue_of(RECEIVE)[16 + 56] && mask_written == 1);
}

static void as_the_device_was_told(void)
{
    begin_both();
    EXPECT(active && space[1] & COMMAND_MASTER && get(REVISIONS) == 1 && get(UPT_REVISIONS) == 1);
    EXPECT(get(STATION_LOW) == (uint32_t)HERE && get(STATION_HIGH) == (uint32_t)(HERE >> 32));
    EXPECT(word(shared()) == MAGIC && word(shared() + 8 + 8) == 1 && word(shared() + 8 + 12) == 1);
    EXPECT(word(shared() + 8 + 44) == 512 && word(shared() + 8 + 48) == MTU);
    EXPECT(word(shared() + 8 + 52) == 0x01010001); /* a piece for each packet, a queue each way */
    EXPECT(!shared()[8 + 72]);                     /* masks by itself: no */
    EXPECT(shared()[8 + 73] == 1 && word(shared() + 8 + 112) == 0xd);
    EXPECT(word(shared() + 8 + 112 + 16) == ~0u && word(shared() + 8 + 112 + 16 + 508) == ~0u);
    EXPECT(index_of[SEND] == 3 * SEGMENTS && index_of[RECEIVE] == ~0u);
    for (uint32_t way = 0; way < WAYS; way++) {
        EXPECT(size_of(way) % 32 == 0 && (uintptr_t)entry(way, 0) % 512 == 0);
        EXPECT((uintptr_t)completion(way, 0) % 512 == 0);
    }
    EXPECT(word(queue_of(SEND) + 16 + 48) == size_of(SEND));
    EXPECT(word(queue_of(RECEIVE) + 16 + 48) == size_of(RECEIVE));
    EXPECT(word(queue_of(RECEIVE) + 16 + 44) == 32 && address_at(queue_of(RECEIVE) + 16 + 8));
    for (uint32_t i = 0; i < 4; i++) {
        const struct descriptor *at = entry(RECEIVE, i);

        EXPECT(at->control == (i < 3 ? PIECE | GENERATION : 0));
    }
    for (uint32_t part = 0; part < SEGMENTS; part++) {
        const struct descriptor *at = entry(SEND, SEGMENTS + part);

        EXPECT(at->address == (uintptr_t)buffer + (part ? 0x1003 : 1));
        EXPECT(at->control == ((part ? BYTES - 100 : 100) | 0x4000));
        EXPECT(at->flags == (part ? LAST | REPORT : 0));
    }
    EXPECT(!entry(SEND, 3 * SEGMENTS)->control);
}

/* A device that wants to know how many buffers there are to receive in is told. */
static void index_that_is_wanted(void)
{
    begin();
    *queue_of(RECEIVE) = 1;
    EXPECT(pass_on(RECEIVE, 0, 3) == 3 && index_of[RECEIVE] == 3);
}

/* Shared memory, rings and buffers; and on other pages what the device is not to see. */
static void nothing_lies_on_another(void)
{
    uintptr_t end = (uintptr_t)shared() + 720;

    begin();
    end = (uintptr_t)shared() + 720;
    EXPECT((uintptr_t)shared() == (uintptr_t)memory_of_device && (uintptr_t)queue_of(SEND) >= end);
    EXPECT((uintptr_t)queue_of(SEND) % 128 == 0);
    end = (uintptr_t)queue_of(RECEIVE) + 256;
    EXPECT(address_at(queue_of(RECEIVE) + 16 + 8) >= end);
    end = (uintptr_t)address_at(queue_of(RECEIVE) + 16 + 8) + 512;
    for (uint32_t way = 0; way < WAYS; way++) {
        EXPECT((uintptr_t)entry(way, 0) >= end);
        end = (uintptr_t)(entry(way, 0) + size_of(way));
        EXPECT((uintptr_t)completion(way, 0) >= end);
        end = (uintptr_t)(completion(way, 0) + size_of(way));
    }
    EXPECT(pass_on(RECEIVE, 0, REQUESTS) == (int32_t)REQUESTS);
    for (uint32_t i = 0; i < REQUESTS; i++)
        EXPECT(entry(RECEIVE, i)->address == end + i * PIECE);
    end = (end + REQUESTS * PIECE + 4095) & ~(uintptr_t)4095;
    EXPECT((uintptr_t)devices[0].queues[0].slots >= end + 4096);
    for (uint32_t i = 0; i < REQUESTS; i++)
        say_sound(RECEIVE);
    memset(buffer, 0xee, sizeof(buffer));
    for (uintptr_t at = (uintptr_t)completion(SEND, size_of(SEND) - 1) + 16; at < end; at++)
        *(uint8_t *)at = 0xff;
    EXPECT(reap_some(RECEIVE, REQUESTS) == (int32_t)REQUESTS && !look().fault);
    EXPECT(buffer[1] == 0xff && buffer[LEAST] == 0xff && buffer[LEAST + 1] == 0xee);
}

/* The bits that say whose an entry is, of all of a packet's entries, follow the lap. */
static void entries_are_of_the_lap(uint32_t way, uint32_t left)
{
    uint32_t last = way == SEND ? ended_of[SEND] * SEGMENTS + 1 : ended_of[RECEIVE];
    uint32_t bit = way == SEND ? 0x4000 : GENERATION;

    for (uint32_t i = 0; left && i < (way == SEND ? SEGMENTS : 1); i++)
        EXPECT(!!(entry(way, last - i)->control & bit) != last / size_of(way) % 2);
}

static void each_ends_once_in_order(void)
{
    each_ends_once(entries_are_of_the_lap);
}

static void more_than_was_given(void)
{
    for (uint32_t way = 0; way < WAYS; way++) {
        uint8_t seen[REQUESTS] = {0};

        begin_both();
        for (uint32_t i = 0; i < 4; i++)
            say_sound(way);
        EXPECT(reap_some(way, 3) == 3);
        for (uint32_t i = 0; i < 3; i++)
            seen[i] = 1;
        is_shut_off(VMI_FAULT_COUNT, way, seen, 0);
    }
}

static void another_than_the_next(void)
{
    static const uint32_t others[] = {1, 2, 31, 32, 0xfff};

    for (uint32_t way = 0; way < WAYS; way++) {
        for (uint32_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
            uint8_t seen[REQUESTS] = {0};

            begin_both();
            say(way, next_index(way) ^ others[i], way == RECEIVE ? LEAST : 0);
            is_shut_off(VMI_FAULT_IDENTIFIER, way, seen, 3);
        }
    }
}

static void what_no_packet_has(void)
{
    static const struct {
        uint32_t index, length, fault;
    } cases[] = {
        {FIRST_LAST, PIECE + 1, VMI_FAULT_LENGTH},
        {FIRST_LAST, 0x3fff, VMI_FAULT_LENGTH},
        {0x8000, LEAST, VMI_FAULT_LENGTH},
        {0x4000, LEAST, VMI_FAULT_LENGTH},
        {FIRST_LAST | 0x10000, LEAST, VMI_FAULT_IDENTIFIER},
    };

    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t seen[REQUESTS] = {0};

        begin_both();
        say(RECEIVE, cases[i].index, cases[i].length);
        is_shut_off(cases[i].fault, RECEIVE, seen, 3);
    }
}

static void not_all_there(void)
{
    is_dropped(LEAST | TRUNCATED);
}

static void does_not_come_up(void)
{
    plug();
    look();
    refuses = true;
    EXPECT(open_it() == VMI_EIO && is_reset() && pass_on(SEND, 0, 1) == VMI_EINVAL && !locks);
    refuses = false;
    EXPECT(open_it() == VMI_OK);
}

static void lie(uint32_t what, uint32_t way, uint32_t given)
{
    if (devices[0].state != VMI__DEVICE_OPEN)
        return;
    if (what < 20 && ended_of[way] < given)
        say_sound(way);
    else if (what == 20)
        say(way, next_index(way), random());
    else if (what == 21)
        say(way, random(), random());
    else if (what == 22)
        completion(way, random())->flags ^= GENERATION;
    else if (what == 23)
        ((uint8_t *)entry(way, random()))[random() % 16] = (uint8_t)random();
}

static void any_device(void)
{
    any_lies(32, lie);
}

static const struct played_check all[] = {
    CHECK(says_what_it_is),
    CHECK(says_what_cannot_be),
    CHECK(messages),
    CHECK(as_the_device_was_told),
    CHECK(index_that_is_wanted),
    CHECK(nothing_lies_on_another),
    CHECK(too_many_descriptors),
    CHECK(copied_or_not),
    CHECK(each_to_its_own),
    CHECK(beyond_the_linear_mapping),
    CHECK(what_is_no_buffer),
    CHECK(each_ends_once_in_order),
    CHECK(more_than_was_given),
    CHECK(another_than_the_next),
    CHECK(what_no_packet_has),
    CHECK(no_room),
    CHECK(not_all_there),
    CHECK(closed_with_buffers_in_flight),
    CHECK(does_not_come_up),
    CHECK(one_line_for_both_ways),
    CHECK(asked_again),
    CHECK(any_device),
};

PLAY(all)
