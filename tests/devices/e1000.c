/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Networks by Intel's gigabit controllers as a Linux process: this file is the device, which lies.
 * What it does itself it does while the driver waits.
 */
#define BAR_SIZE 0x8000u
#define TABLE    0x7000u /* of MSI-X, in the BAR */

#include "devices/played_registers.h"

#define REQUESTS 8u
#define SEGMENTS 2u
#define MTU      1500u
#define SEEDS    3000u
#define PIECE    2048u             /* bytes that a descriptor to receive stands for */
#define HERE     0x5544332211aaull /* its address, first byte last: aa:11:22:33:44:55 */

static int32_t open_it(void);

#include "devices/played_bounce.h"

/* Intel, 8254x Software Developer's Manual, 13.4; 82574 datasheet, 10.2. */
enum {
    CONTROL = 0x0000,
    STATUS = 0x0008,
    EEPROM_CONTROL = 0x0010,
    EEPROM_READ = 0x0014,
    CONTROL_EXTENDED = 0x0018,
    CAUSES = 0x00c0,
    MASK_SET = 0x00d0,
    MASK_CLEAR = 0x00d8,
    AUTO_CLEAR = 0x00dc,
    VECTORS = 0x00e4,
    RECEIVE_CONTROL = 0x0100,
    SEND_CONTROL = 0x0400,
    RECEIVE_RING = 0x2800,
    SEND_RING = 0x3800,
    RING_LENGTH = 0x08,
    RING_TAIL = 0x18,
    STATION_LOW = 0x5400,
    STATION_HIGH = 0x5404,
};
#define RESET       0x04000000u
#define LINKED      2u
#define MASTER      0x00080000u
#define LOADED      0x200u
#define VALID       0x80000000u
#define ENABLE      2u
#define PLAIN       0x100e8086u
#define EXPRESS     0x10d38086u
#define DONE        1u
#define LAST        2u
#define REPORT      8u
#define EEPROM_HERE 0x665544332212ull

struct descriptor {
    uint64_t address;
    uint16_t length;
    uint8_t offset, command, status, errors;
    uint16_t special;
};

extern const struct vmi__driver vmi__driver_e1000;
const struct vmi__driver *const vmi__drivers[] = {&vmi__driver_e1000, 0};

static bool stuck;    /* it does not reset itself */
static bool unloaded; /* nor reads its EEPROM after that */
static uint64_t eeprom;
static uint32_t resets;
static uint32_t ended_of[WAYS];

static bool is_express(void)
{
    return space[PCI_ID / 4] == EXPRESS;
}

static void is_read(uint32_t offset)
{
    causes_read += offset == CAUSES;
}

static void is_written(uint32_t offset, uint32_t value)
{
    (void)offset;
    (void)value;
}

static void work(void)
{
    uint32_t asked = get(EEPROM_READ);

    if (get(CONTROL) & RESET && !stuck) {
        uint32_t status = get(STATUS);

        EXPECT(!(status & MASTER)); /* no transfer is under way */
        resets++;
        memset(bar, 0, 0x6000);
        set(STATUS, status);
        set(EEPROM_CONTROL, unloaded ? 0 : LOADED);
    }
    if (is_express() && get(CONTROL) & 4)
        set(STATUS, get(STATUS) & ~MASTER);
    if (asked & 1 && eeprom) {
        uint32_t word = asked >> (is_express() ? 2 : 8) & 0xff;

        set(EEPROM_READ, (uint32_t)(eeprom >> 16 * (word & 3)) << 16 | (is_express() ? 2 : 0x10));
    }
}

static void plug_model(uint32_t id)
{
    plug_function(id);
    while_waiting = work;
    stuck = unloaded = false;
    eeprom = 0;
    resets = 0;
    set(STATUS, LINKED);
    set(STATION_LOW, (uint32_t)HERE);
    set(STATION_HIGH, (uint32_t)(HERE >> 32) | VALID);
}

static void plug(void)
{
    plug_model(PLAIN);
}

static void plug_express(uint32_t messages)
{
    plug_model(EXPRESS);
    plug_messages(messages);
}

static int32_t open_it(void)
{
    ended_of[RECEIVE] = ended_of[SEND] = 0;
    if (is_express())
        set(STATUS, get(STATUS) | MASTER);
    return open_with(
        (struct vmi_device_setup){.queues = 1, .requests = REQUESTS, .segments = SEGMENTS});
}

static bool is_reset(void)
{
    return !(space[1] & COMMAND_MASTER) && !get(RECEIVE_CONTROL) && !get(SEND_CONTROL);
}

/* ---- rings ---- */

static uint32_t ring_of(uint32_t way)
{
    return way == RECEIVE ? RECEIVE_RING : SEND_RING;
}

static uint32_t entries_of(uint32_t way)
{
    return get(ring_of(way) + RING_LENGTH) / (uint32_t)sizeof(struct descriptor);
}

static uint32_t tail_of(uint32_t way)
{
    return get(ring_of(way) + RING_TAIL);
}

static struct descriptor *entry(uint32_t way, uint32_t number)
{
    struct descriptor *first = (struct descriptor *)(uintptr_t)get(ring_of(way));

    return &first[number % entries_of(way)];
}

/* Says that the next packet has been received, with its length. */
static void say_received(uint32_t length, uint8_t status, uint8_t errors)
{
    struct descriptor *at = entry(RECEIVE, ended_of[RECEIVE]++);

    at->length = (uint16_t)length;
    at->errors = errors;
    at->status = status;
}

/* Says that the next packet has been sent. */
static void say_sent(void)
{
    while (!(entry(SEND, ended_of[SEND])->command & REPORT))
        ended_of[SEND]++;
    entry(SEND, ended_of[SEND]++)->status = DONE;
}

static void say_sound(uint32_t way)
{
    if (way == RECEIVE)
        say_received(LEAST, DONE | LAST, 0);
    else
        say_sent();
}

static uint64_t address_given(uint32_t number)
{
    return entry(RECEIVE, number)->address;
}

static bool told_of(uint32_t buffers)
{
    return tail_of(RECEIVE) == buffers;
}

static void say_length(uint32_t length)
{
    say_received(length, DONE | LAST, 0);
}

/* ---- checks ---- */

static void says_what_it_is(void)
{
    says_what_a_network_is();
    set(STATUS, ~LINKED);
    EXPECT(!(look().flags & VMI_DEVICE_IS_LINKED));
    set(STATUS, LINKED);
    EXPECT(open_it() == VMI_OK && look().flags == (VMI_DEVICE_IS_LINKED | VMI_DEVICE_IS_OPEN));
}

/* Of a device that has not loaded it the address is the EEPROM's. */
static void address_of_the_eeprom(void)
{
    struct vmi_device_properties info;

    for (uint32_t i = 0; i < 2; i++) {
        plug_model(i ? EXPRESS : PLAIN);
        set(STATION_HIGH, get(STATION_HIGH) & ~VALID);
        eeprom = EEPROM_HERE;
        info = look();
        for (uint32_t byte = 0; byte < 6; byte++)
            EXPECT(info.address[byte] == (uint8_t)(EEPROM_HERE >> 8 * byte));
        EXPECT(open_it() == VMI_OK && get(STATION_LOW) == (uint32_t)EEPROM_HERE);
        EXPECT(get(STATION_HIGH) == ((uint32_t)(EEPROM_HERE >> 32) | VALID));
    }
}

static void says_what_cannot_be(void)
{
    plug();
    set(STATION_HIGH, 0); /* no address, and no EEPROM */
    is_none();
    plug();
    set(STATION_LOW, 0);
    set(STATION_HIGH, VALID);
    is_none();
    plug();
    set(STATION_LOW, get(STATION_LOW) | 1); /* of a group */
    is_none();
    plug();
    space[PCI_BAR0 / 4] |= 1; /* ports */
    is_none();
    plug_model(0x100e8087u);
    is_none();
    plug_model(0x100d8086u);
    is_none();
}

/* A message for each way, or none at all. */
static void messages(void)
{
    plug_express(5);
    look();
    EXPECT(devices[0].messages == WAYS && open_it() == VMI_OK && space[MSIX / 4] >> 31);
    /* Vectors 0 and 1, valid, and both causes, that end with their message. */
    EXPECT(get(VECTORS) == 0x908 && get(MASK_SET) == 0x500000 && get(AUTO_CLEAR) == 0x500000);
    EXPECT(get(CONTROL_EXTENDED) == 0x88000000); /* what is cleared stays enabled */
    for (uint32_t i = 0; i < 5; i++)
        set(TABLE + 16 * i + 12, 0);
    vmi__device_close(0);
    for (uint32_t i = 0; i < 5; i++)
        EXPECT(get(TABLE + 16 * i + 12) & 1);
    plug_express(1);
    look();
    EXPECT(!devices[0].messages && open_it() == VMI_OK && !(space[MSIX / 4] >> 31));
    EXPECT(!get(VECTORS) && get(MASK_SET) == 0x81);
    plug_express(5);
    space[PCI_ID / 4] = PLAIN;
    look();
    EXPECT(!devices[0].messages && open_it() == VMI_OK && !(space[MSIX / 4] >> 31));
    EXPECT(!get(VECTORS) && get(MASK_SET) == 0x81);
}

static void as_the_device_was_told(void)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (i)
            plug_express(5);
        else
            plug();
        look();
        EXPECT(open_it() == VMI_OK && resets == 1 && space[1] & COMMAND_MASTER);
        EXPECT(pass_on(RECEIVE, 0, 3) == 3 && pass_on(SEND, 0, 3) == 3);
        EXPECT(tail_of(RECEIVE) == 3 && tail_of(SEND) == 3 * SEGMENTS);
        EXPECT(entries_of(RECEIVE) > REQUESTS && entries_of(RECEIVE) % 8 == 0);
        EXPECT(entries_of(SEND) > REQUESTS * SEGMENTS && entries_of(SEND) % 8 == 0);
        EXPECT(get(STATION_LOW) == (uint32_t)HERE);
        EXPECT(get(STATION_HIGH) == ((uint32_t)(HERE >> 32) | VALID));
        /* For the station, for all and for groups, by 2 KiB, without checksum; no longer ones. */
        EXPECT(get(RECEIVE_CONTROL) == (ENABLE | 0x10 | 0x8000 | 0x04000000));
        EXPECT((get(SEND_CONTROL) & 0xfff) == (ENABLE | 8 | 0xf0));
        EXPECT(get(SEND_CONTROL) >> 28 == i);
        EXPECT(get(CONTROL) == 0x61);
        for (uint32_t part = 0; part < SEGMENTS; part++) {
            const struct descriptor *at = entry(SEND, SEGMENTS + part);

            EXPECT(at->address == (uintptr_t)buffer + (part ? 0x1003 : 1));
            EXPECT(at->length == (part ? BYTES - 100 : 100));
            EXPECT(at->command == (part ? 0x0b : 0x02) && !at->status);
        }
    }
}

/* Rings and buffers of both ways, and behind them on other pages what the device is not to see. */
static void nothing_lies_on_another(void)
{
    uintptr_t end = (uintptr_t)memory_of_device;

    begin();
    EXPECT(pass_on(RECEIVE, 0, REQUESTS) == (int32_t)REQUESTS);
    EXPECT((uintptr_t)entry(RECEIVE, 0) == end);
    end = (uintptr_t)&entry(RECEIVE, 0)[entries_of(RECEIVE)];
    EXPECT((uintptr_t)entry(SEND, 0) >= end && (uintptr_t)entry(SEND, 0) % 128 == 0);
    end = (uintptr_t)&entry(SEND, 0)[entries_of(SEND)];
    for (uint32_t i = 0; i < REQUESTS; i++)
        EXPECT(entry(RECEIVE, i)->address == end + i * PIECE);
    end += REQUESTS * PIECE;
    end = (end + 4095) & ~(uintptr_t)4095;
    EXPECT((uintptr_t)devices[0].queues[0].slots >= end + 4096);
    for (uint32_t i = 0; i < REQUESTS; i++)
        say_sound(RECEIVE);
    memset((void *)(uintptr_t)memory_of_device, 0xff, end - (uintptr_t)memory_of_device);
    for (uint32_t i = 0; i < REQUESTS; i++)
        entry(RECEIVE, i)->length = LEAST;
    for (uint32_t i = 0; i < REQUESTS; i++)
        entry(RECEIVE, i)->errors = 0;
    EXPECT(reap_some(RECEIVE, REQUESTS) == (int32_t)REQUESTS);
}

static void tail_is_ahead(uint32_t way, uint32_t left)
{
    EXPECT((tail_of(way) == ended_of[way] % entries_of(way)) == !left);
}

static void each_ends_once_in_order(void)
{
    each_ends_once(tail_is_ahead);
}

/* Of what the device says of more than it was given nothing counts, nor of parts of a packet. */
static void more_than_was_given(void)
{
    for (uint32_t way = 0; way < WAYS; way++) {
        uint8_t seen[REQUESTS] = {0};

        begin();
        for (uint32_t i = 0; i < entries_of(way); i++) {
            entry(way, i)->status = DONE | LAST;
            entry(way, i)->length = LEAST;
        }
        EXPECT(reap_all(way, seen, VMI_OK) == 0);
        EXPECT(pass_on(way, 0, 3) == 3 && reap_all(way, seen, VMI_OK) == 0);
        if (way == SEND) {
            entry(SEND, 0)->status = entry(SEND, 2)->status = DONE;
            EXPECT(reap_all(way, seen, VMI_OK) == 0);
            entry(SEND, 3)->status = DONE; /* the second packet's end, not the first one's */
            EXPECT(reap_all(way, seen, VMI_OK) == 0);
        }
        for (uint32_t i = 0; i < 3; i++)
            say_sound(way);
        EXPECT(reap_all(way, seen, VMI_OK) == 3 && reap_all(way, seen, VMI_OK) == 0);
    }
}

static void what_no_packet_has(void)
{
    static const struct {
        uint32_t length;
        uint8_t status, errors;
        uint32_t fault;
    } cases[] = {
        {PIECE + 1, DONE | LAST, 0, VMI_FAULT_LENGTH},
        {0xffff, DONE | LAST, 0, VMI_FAULT_LENGTH},
        {LEAST, DONE, 0, VMI_FAULT_LENGTH},
        {LEAST, DONE | LAST, 0x01, VMI_FAULT_STATUS},
        {LEAST, DONE | LAST, 0x02, VMI_FAULT_STATUS},
        {LEAST, DONE | LAST, 0x04, VMI_FAULT_STATUS},
        {LEAST, DONE | LAST, 0x10, VMI_FAULT_STATUS},
        {LEAST, DONE | LAST, 0x80, VMI_FAULT_STATUS},
    };
    uint8_t seen[REQUESTS] = {0};

    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(seen, 0, sizeof(seen));
        begin_both();
        say_received(cases[i].length, cases[i].status, cases[i].errors);
        is_shut_off(cases[i].fault, RECEIVE, seen, 3);
    }
    memset(seen, 0, sizeof(seen));
    begin_both();
    say_received(LEAST, DONE | LAST | 0xf8, 0x68); /* checksums of IP and TCP, which nobody uses */
    EXPECT(reap_all(RECEIVE, seen, VMI_OK) == 1);
}

/* It is left as it can be left, and nothing is open. */
static void does_not_come_up(void)
{
    plug();
    look();
    stuck = true;
    EXPECT(open_it() == VMI_EIO && is_reset() && get(MASK_CLEAR) == ~0u);
    EXPECT(pass_on(SEND, 0, 1) == VMI_EINVAL && !locks);
    stuck = false;
    EXPECT(open_it() == VMI_OK);
    plug_express(5);
    look();
    unloaded = true;
    EXPECT(open_it() == VMI_EIO && is_reset());
}

/* A reset that does not end: it reaches no memory all the same. */
static void is_not_reset(void)
{
    begin_both();
    stuck = true;
    EXPECT(vmi__device_close(0) == VMI_EBUSY && is_reset() && get(MASK_CLEAR) == ~0u);
}

static void lie(uint32_t what, uint32_t way, uint32_t given)
{
    struct descriptor *at;

    (void)given;
    if (devices[0].state != VMI__DEVICE_OPEN)
        return;
    at = entry(way, random());
    if (what < 20 && ended_of[way] % entries_of(way) != tail_of(way))
        say_sound(way);
    else if (what == 20)
        say_received(random(), (uint8_t)random(), (uint8_t)random());
    else if (what == 21)
        ((uint8_t *)at)[random() % sizeof(*at)] = (uint8_t)random();
    else if (what == 22)
        at->status = DONE | LAST;
}

static void any_device(void)
{
    any_lies(32, lie);
}

static const struct played_check all[] = {
    CHECK(says_what_it_is),
    CHECK(address_of_the_eeprom),
    CHECK(says_what_cannot_be),
    CHECK(messages),
    CHECK(as_the_device_was_told),
    CHECK(nothing_lies_on_another),
    CHECK(too_many_descriptors),
    CHECK(copied_or_not),
    CHECK(each_to_its_own),
    CHECK(beyond_the_linear_mapping),
    CHECK(what_is_no_buffer),
    CHECK(each_ends_once_in_order),
    CHECK(more_than_was_given),
    CHECK(no_room),
    CHECK(what_no_packet_has),
    CHECK(closed_with_buffers_in_flight),
    CHECK(does_not_come_up),
    CHECK(is_not_reset),
    CHECK(one_line_for_both_ways),
    CHECK(asked_again),
    CHECK(any_device),
};

PLAY(all)
