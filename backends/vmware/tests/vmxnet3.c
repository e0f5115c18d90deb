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

static int32_t open_it(void);

#include "devices/played_network.h"

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
#define ONE_BUFFER 1520u
#define SEEDS      3000u
#define HERE       0x5544332211aaull

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
static uint32_t index_of[WAYS], causes_read, mask_written;
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
        active = !refuses && *(uint32_t *)(uintptr_t)get(SHARED_LOW) == MAGIC;
    set(COMMAND, value == ACTIVATE ? !active : value == LINK ? linked | 10000u << 16 : 0);
}

static void plug(void)
{
    plug_function(0x07b015adu);
    space[PCI_BAR0 / 4 + 1] = space[PCI_BAR0 / 4] + BAR1;
    refuses = active = false;
    linked = true;
    causes_read = 0;
    set(REVISIONS, 7);
    set(UPT_REVISIONS, 1);
    set(STATION_LOW, (uint32_t)HERE);
    set(STATION_HIGH, (uint32_t)(HERE >> 32));
}

static void plug_msix(uint32_t messages)
{
    plug();
    space[PCI_COMMAND / 4] = STATUS_LIST;
    space[PCI_CAPABILITIES / 4] = MSIX;
    plug_table(messages);
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

static void *linear(const void *at)
{
    uint64_t address;

    memcpy(&address, at, 8);
    return (void *)(uintptr_t)address;
}

static uint8_t *shared(void)
{
    return linear(bar + SHARED_LOW) /* and the next register's part is 0 */;
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
    return (uint8_t *)linear(shared() + 8 + 32) + (way == SEND ? 0 : 256);
}

static uint32_t size_of(uint32_t way)
{
    return word(queue_of(way) + 16 + 40);
}

static struct descriptor *entry(uint32_t way, uint32_t number)
{
    return (struct descriptor *)linear(queue_of(way) + 16) + number % size_of(way);
}

static struct completion *completion(uint32_t way, uint32_t number)
{
    return (struct completion *)linear(queue_of(way) + 16 + 16) + number % size_of(way);
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

/* ---- checks ---- */

static void says_what_it_is(void)
{
    struct vmi_device_properties info;

    plug();
    info = look();
    EXPECT(info.kind == VMI_DEVICE_NETWORK && info.mtu == MTU && info.queues == 1);
    for (uint32_t i = 0; i < 6; i++)
        EXPECT(info.address[i] == (uint8_t)(HERE >> 8 * i));
    EXPECT(info.requests == VMI__REQUESTS_MAX && info.segments >= SEGMENTS);
    EXPECT(info.segment_bytes >= BYTES + 4 && info.flags == VMI_DEVICE_IS_LINKED);
    EXPECT(!(space[1] & COMMAND_MASTER) && space[1] & COMMAND_MEMORY);
    linked = false;
    EXPECT(!(look().flags & VMI_DEVICE_IS_LINKED));
}

static void is_none(void)
{
    struct vmi_device_properties info;

    EXPECT(vmi__device_info(0, &info) == VMI_ENOENT);
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
    EXPECT(word(queue_of(RECEIVE) + 16 + 44) == 32 && linear(queue_of(RECEIVE) + 16 + 8));
    for (uint32_t i = 0; i < 4; i++) {
        const struct descriptor *at = entry(RECEIVE, i);

        EXPECT(at->control == (i < 3 ? ONE_BUFFER | GENERATION : 0));
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
    EXPECT((uintptr_t)linear(queue_of(RECEIVE) + 16 + 8) >= end);
    end = (uintptr_t)linear(queue_of(RECEIVE) + 16 + 8) + 512;
    for (uint32_t way = 0; way < WAYS; way++) {
        EXPECT((uintptr_t)entry(way, 0) >= end);
        end = (uintptr_t)(entry(way, 0) + size_of(way));
        EXPECT((uintptr_t)completion(way, 0) >= end);
        end = (uintptr_t)(completion(way, 0) + size_of(way));
    }
    EXPECT(pass_on(RECEIVE, 0, REQUESTS) == (int32_t)REQUESTS);
    for (uint32_t i = 0; i < REQUESTS; i++)
        EXPECT(entry(RECEIVE, i)->address == end + i * ONE_BUFFER);
    end = (end + REQUESTS * ONE_BUFFER + 4095) & ~(uintptr_t)4095;
    EXPECT((uintptr_t)devices[0].queues[0].slots >= end + 4096);
    for (uint32_t i = 0; i < REQUESTS; i++)
        say_sound(RECEIVE);
    memset(buffer, 0xee, sizeof(buffer));
    for (uintptr_t at = (uintptr_t)completion(SEND, size_of(SEND) - 1) + 16; at < end; at++)
        *(uint8_t *)at = 0xff;
    EXPECT(reap_some(RECEIVE, REQUESTS) == (int32_t)REQUESTS && !look().fault);
    EXPECT(buffer[1] == 0xff && buffer[LEAST] == 0xff && buffer[LEAST + 1] == 0xee);
}

static void too_many_descriptors(void)
{
    struct vmi_device_setup setup = {.queues = 1, .requests = 1024, .segments = 3};
    struct vmi_device_memory needs;

    plug();
    look();
    EXPECT(vmi__device_needs(0, &setup, &needs) == VMI_OK);
    setup.segments = 4;
    EXPECT(vmi__device_needs(0, &setup, &needs) == VMI_EINVAL);
}

/* What is received goes through a buffer between, if the first segment has no room for any. */
static void copied_or_not(void)
{
    struct vmi_segment segments[SEGMENTS] = {{.address = (uintptr_t)buffer, .length = ONE_BUFFER},
                                             {.address = (uintptr_t)buffer + 8192, .length = 1}};
    const struct vmi_net_buffer one = {.id = 1, .segments = segments, .count = SEGMENTS};
    uint8_t *between;

    begin();
    EXPECT(vmi__net_post(0, 0, &one, 1) == 1);
    EXPECT(entry(RECEIVE, 0)->address == (uintptr_t)buffer);
    say(RECEIVE, next_index(RECEIVE), ONE_BUFFER);
    EXPECT(reap_some(RECEIVE, 1) == 1 && done[0].length == ONE_BUFFER);
    segments[0].length = 101;
    segments[1] = (struct vmi_segment){.address = (uintptr_t)buffer + 8192, .length = ONE_BUFFER};
    EXPECT(vmi__net_post(0, 0, &one, 1) == 1);
    between = (uint8_t *)(uintptr_t)entry(RECEIVE, 1)->address;
    EXPECT(between > memory_of_device && between < memory_of_device + sizeof(memory_of_device));
    for (uint32_t i = 0; i < BYTES; i++)
        between[i] = (uint8_t)(i * 3);
    memset(buffer, 0xee, sizeof(buffer));
    say(RECEIVE, next_index(RECEIVE), BYTES);
    EXPECT(reap_some(RECEIVE, 1) == 1 && done[0].length == BYTES);
    for (uint32_t i = 0; i < BYTES; i++)
        EXPECT(buffer[i < 101 ? i : 8192 + i - 101] == (uint8_t)(i * 3));
    EXPECT(buffer[101] == 0xee && buffer[8192 + BYTES - 101] == 0xee);
}

static void each_ends_once_in_order(void)
{
    for (uint32_t way = 0; way < WAYS; way++) {
        begin();
        /* Several laps of both rings. */
        for (uint32_t round = 0; round < 17; round++) {
            uint8_t seen[REQUESTS] = {0};

            EXPECT(pass_on(way, 0, REQUESTS + 2) == (int32_t)REQUESTS);
            EXPECT(pass_on(way, 0, 1) == 0 && reap_some(way, 1) == 0);
            for (uint32_t i = 0; i < REQUESTS; i++) {
                uint32_t last = way == SEND ? ended_of[SEND] * SEGMENTS + 1 : ended_of[RECEIVE];
                uint32_t bit = way == SEND ? 0x4000 : GENERATION;

                for (uint32_t j = 0; j < (way == SEND ? SEGMENTS : 1); j++) {
                    bool set = entry(way, last - j)->control & bit;

                    EXPECT(set == !(last / size_of(way) % 2));
                }
                say_sound(way);
                if (i == REQUESTS / 2) {
                    EXPECT(reap_all(way, seen, VMI_OK) == i + 1);
                    for (uint32_t j = 0; j <= i; j++)
                        EXPECT(done[j].id == j && done[j].length == (way == RECEIVE ? LEAST : 0));
                }
            }
            EXPECT(reap_all(way, seen, VMI_OK) == REQUESTS / 2 - 1);
        }
    }
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
        {FIRST_LAST, ONE_BUFFER + 1, VMI_FAULT_LENGTH},
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

/* What is longer than its buffer, or no packet, is dropped; its buffer waits for the next one. */
static void no_room(void)
{
    static const uint32_t lengths[] = {0, LEAST - 1, BYTES + 1, ONE_BUFFER, LEAST | TRUNCATED};

    for (uint32_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint8_t seen[REQUESTS] = {0};

        begin_both();
        memset(buffer, 0xee, sizeof(buffer));
        say(RECEIVE, next_index(RECEIVE), lengths[i]);
        EXPECT(reap_all(RECEIVE, seen, VMI_OK) == 0);
        EXPECT(entry(RECEIVE, 3)->control == (ONE_BUFFER | GENERATION));
        EXPECT(entry(RECEIVE, 3)->address == entry(RECEIVE, 0)->address);
        EXPECT(buffer[1] == 0xee && !look().fault);
        for (uint32_t j = 0; j < 3; j++)
            say(RECEIVE, next_index(RECEIVE), BYTES);
        EXPECT(reap_all(RECEIVE, seen, VMI_OK) == 3 && done[2].id == 0);
        EXPECT(done[2].length == BYTES && done[0].id == 1);
    }
}

static void closed_with_buffers_in_flight(void)
{
    uint8_t received[REQUESTS] = {0}, sent[REQUESTS] = {0};

    begin_both();
    EXPECT(vmi__device_close(0) == VMI_EBUSY && is_reset());
    EXPECT(pass_on(RECEIVE, 3, 1) == VMI_EINVAL && pass_on(SEND, 3, 1) == VMI_EINVAL);
    EXPECT(reap_all(SEND, sent, VMI_ECANCELED) == 3 && vmi__device_close(0) == VMI_EBUSY);
    EXPECT(reap_all(RECEIVE, received, VMI_ECANCELED) == 3);
    EXPECT(vmi__device_close(0) == VMI_OK && vmi__device_close(0) == VMI_EINVAL);
    EXPECT(open_it() == VMI_OK && active && pass_on(SEND, 0, 1) == 1 && reap_some(SEND, 1) == 0);
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

static void one_line_for_both_ways(void)
{
    const struct vmi__driver *driver = &vmi__driver_vmxnet3;

    begin_both();
    EXPECT(!driver->acknowledge(&devices[0]) && causes_read == 1);
    say_sound(SEND);
    say_sound(RECEIVE);
    EXPECT(driver->ask(&devices[0], SEND) && reap_some(RECEIVE, REQUESTS) == 1);
    EXPECT(!driver->ask(&devices[0], RECEIVE));
    EXPECT(driver->acknowledge(&devices[0]));  /* sent, and nobody has looked */
    EXPECT(!driver->acknowledge(&devices[0])); /* that has been said */
    EXPECT(reap_some(SEND, REQUESTS) == 1);
    say_sound(RECEIVE);
    EXPECT(reap_some(RECEIVE, REQUESTS) == 1 && !driver->acknowledge(&devices[0]));
    say_sound(RECEIVE);
    EXPECT(driver->acknowledge(&devices[0]) && causes_read == 5);
}

/* Whatever it says, each buffer ends once. */
static void any_device(void)
{
    uint32_t faults = 0;

    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + SEEDS && !failed_line; seed++) {
        uint8_t pending[WAYS][REQUESTS] = {{0}};
        uint32_t next[WAYS] = {0};

        state = seed;
        begin();
        for (uint32_t step = 0; step < 60 && devices[0].state == VMI__DEVICE_OPEN; step++) {
            uint32_t what = random() % 32, way = random() % WAYS, id = next[way] % REQUESTS;

            if (what < 12 && !pending[way][id] && pass_on(way, id, 1) == 1)
                pending[way][next[way]++ % REQUESTS] = 1;
            else if (what < 20 && ended_of[way] < next[way])
                say_sound(way);
            else if (what == 20)
                say(way, next_index(way), random());
            else if (what == 21)
                say(way, random(), random());
            else if (what == 22)
                completion(way, random())->flags ^= GENERATION;
            else if (what == 23)
                ((uint8_t *)entry(way, random()))[random() % 16] = (uint8_t)random();
            EXPECT(reap_pending(way, pending[way], random() % 3) >= 0);
        }
        faults += !!look().fault;
        close_with_pending(pending);
    }
    EXPECT(faults > SEEDS / 10 && faults < SEEDS);
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
    CHECK(what_is_no_buffer),
    CHECK(each_ends_once_in_order),
    CHECK(more_than_was_given),
    CHECK(another_than_the_next),
    CHECK(what_no_packet_has),
    CHECK(no_room),
    CHECK(closed_with_buffers_in_flight),
    CHECK(does_not_come_up),
    CHECK(one_line_for_both_ways),
    CHECK(any_device),
};

PLAY(all)
