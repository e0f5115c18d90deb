/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Disks by pvscsi as a Linux process: this file is the adapter and its one unit, which lie. What
 * the driver asks of the unit while it looks at it is answered as it is told of it; requests of the
 * kernel's end as a check says.
 */
#define BAR_SIZE 0x8000u
#define TABLE    0x6000u

#include "devices/played_registers.h"

#define SECTOR   512u
#define REQUESTS 8u
#define SEGMENTS 2u
#define SEEDS    3000u

static uint8_t buffer[4 * SECTOR] __attribute__((aligned(4096)));

#include "devices/played_disk.h"

/* Linux, drivers/scsi/vmw_pvscsi.h. */
enum {
    COMMAND = 0,
    COMMAND_DATA = 4,
    CAUSES = 0x100c,
    CAUSES_LET = 0x2010,
    KICK_OTHER = 0x3014,
    KICK_MOVES = 0x4018,
};
struct setup {
    uint32_t request_pages, ended_pages;
    uint64_t state, requests[32], ended[32];
};
struct rings_state {
    uint32_t given, fetched, request_bits, ended, taken, ended_bits;
};
struct request {
    uint64_t context, address, length, sense;
    uint32_t sense_length, flags;
    uint8_t command[16], command_length, unit[8], tag, bus, target, hint, unused[59];
};
struct ended {
    uint64_t context, length;
    uint32_t sense_length;
    uint16_t adapter, unit;
    uint32_t unused[2];
};
struct element {
    uint64_t address;
    uint32_t length, flags;
};
#define BUSY_TARGET 3u /* the one that there is */
#define CHECK_STATE 2u
#define NO_TARGET   0x11u
#define BLOCKS      0x123456789ull

extern const struct vmi__driver vmi__driver_pvscsi;
const struct vmi__driver *const vmi__drivers[] = {&vmi__driver_pvscsi, 0};

static struct setup setup;
static uint32_t words; /* of it that have come; ~0: the command is another one */
static bool is_set_up, answers;
static uint32_t fetched, others, moves, causes, resets;
static uint32_t said;      /* requests of the kernel's that have ended, to any_device */
static uint32_t news;      /* commands that still end with what has happened before */
static uint32_t bits_less; /* by which it says that its rings are shorter */

/* What the unit says of itself. */
static struct unit {
    uint64_t blocks;
    uint32_t block_size, most, discarded, ranges;
    uint8_t type, protection, cache, thin, unmaps;
} unit;

static struct rings_state *rings_state(void)
{
    return (struct rings_state *)(uintptr_t)(setup.state * 4096);
}

static struct request *request_at(uint32_t number)
{
    uint32_t at = number % (setup.request_pages * 32);

    return (struct request *)(uintptr_t)(setup.requests[at / 32] * 4096) + at % 32;
}

static struct ended *ended_at(uint32_t number)
{
    uint32_t at = number % (setup.ended_pages * 128);

    return (struct ended *)(uintptr_t)(setup.ended[at / 128] * 4096) + at % 128;
}

/* Says that a request has ended. */
static void say(uint64_t context, uint16_t adapter, uint16_t state_of_unit)
{
    *ended_at(rings_state()->ended) =
        (struct ended){.context = context, .adapter = adapter, .unit = state_of_unit};
    rings_state()->ended++;
}

static void big(uint8_t *at, uint64_t value, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

static uint64_t from_big(const uint8_t *at, uint32_t bytes)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

/* Is it the kernel's: READ, WRITE, SYNCHRONIZE CACHE, UNMAP? */
static bool is_of_the_kernel(const struct request *request)
{
    uint8_t code = request->command[0];

    return code == 0x88 || code == 0x8a || code == 0x35 || code == 0x42;
}

/* Answers a command with which the driver looks at the unit: SPC-4, SBC-3. */
static void answer(const struct request *request)
{
    const uint8_t *command = request->command;
    uint8_t *data = REACHED(request->address, 64);
    bool page = command[0] == 0x12 && command[1];

    if (request->target != BUSY_TARGET) {
        say(request->context, NO_TARGET, 0);
        return;
    }
    if (command[0] != 0x12 && news) {
        news--;
        say(request->context, 0, CHECK_STATE);
        return;
    }
    EXPECT(!request->length == !command[0]);
    if (command[0] == 0x12 && !page) {
        data[0] = unit.type;
    } else if (page && command[2] == 0xb0) {
        big(data + 8, unit.most, 4);
        big(data + 20, unit.discarded, 4);
        big(data + 24, unit.ranges, 4);
    } else if (page && command[2] == 0xb2) {
        data[5] = unit.unmaps;
    } else if (command[0] == 0x9e && command[1] == 0x10) {
        EXPECT(command[13] == 32 && request->length == 32 && request->command_length == 16);
        big(data, unit.blocks - 1, 8);
        big(data + 8, unit.block_size, 4);
        data[14] = unit.thin;
    } else if (command[0] == 0x1a && command[2] == 8) {
        data[2] = unit.protection;
        data[3] = 8; /* a descriptor before the page */
        data[12] = 8;
        data[14] = unit.cache;
    } else {
        EXPECT(!command[0]);
    }
    say(request->context, 0, 0);
}

static void is_read(uint32_t offset)
{
    (void)offset;
}

static void is_written(uint32_t offset, uint32_t value)
{
    others += offset == KICK_OTHER;
    moves += offset == KICK_MOVES;
    causes += offset == CAUSES && value == 3;
    if (offset == COMMAND) {
        resets += value == 1;
        words = value == 3 ? 0 : ~0u;
        is_set_up = false;
    }
    if (offset == COMMAND_DATA && words < sizeof(setup) / 4) {
        memcpy((uint8_t *)&setup + 4 * words++, &value, 4);
        if (words == sizeof(setup) / 4) {
            fetched = said = 0;
            is_set_up = true;
            rings_state()->request_bits = 5 - bits_less;
            rings_state()->ended_bits = 7;
            for (uint32_t pages = setup.request_pages; pages > 1; pages /= 2)
                rings_state()->request_bits++;
            for (uint32_t pages = setup.ended_pages; pages > 1; pages /= 2)
                rings_state()->ended_bits++;
        }
    }
    if ((offset == KICK_OTHER || offset == KICK_MOVES) && answers)
        while (fetched != rings_state()->given && !is_of_the_kernel(request_at(fetched)))
            answer(request_at(fetched++));
}

static void plug(void)
{
    plug_function(0x07c015adu);
    unit = (struct unit){.blocks = BLOCKS,
                         .block_size = SECTOR,
                         .most = 2000,
                         .discarded = 3000,
                         .ranges = 1,
                         .cache = 4,
                         .thin = 0x80,
                         .unmaps = 0x80};
    news = 1;
    bits_less = 0;
    answers = true;
    is_set_up = false;
    others = moves = causes = resets = 0;
}

static int32_t open_it_with(uint32_t requests)
{
    return open_with(
        (struct vmi_device_setup){.queues = 1, .requests = requests, .segments = SEGMENTS});
}

/* The request of the kernel's that was given as that one since it was opened, from 0. */
static struct request *given_of(uint32_t number)
{
    return request_at(fetched + number);
}

static bool is_reset(void)
{
    return !(space[1] & COMMAND_MASTER) && !is_set_up && !get(CAUSES_LET);
}

/* ---- checks ---- */

static void says_what_it_is(void)
{
    struct vmi_device_properties info;

    plug();
    info = look();
    EXPECT(info.kind == VMI_DEVICE_BLOCK && info.queues == 1 && info.requests == 1024);
    EXPECT(info.blocks == BLOCKS && info.block_size == SECTOR && info.request_blocks == 2000);
    EXPECT(info.segments >= SEGMENTS && info.segment_bytes >= 2000 * SECTOR);
    EXPECT(info.flags == VMI_DEVICE_IS_CACHED && info.discard_blocks == 3000);
    EXPECT(is_reset());
    plug();
    unit.protection = 0x80;
    unit.cache = 0;
    unit.thin = 0;
    unit.most = 0;
    info = look();
    EXPECT(info.flags == VMI_DEVICE_IS_READ_ONLY && !info.discard_blocks);
    EXPECT(info.request_blocks == 0x1000000 / SECTOR);
    plug();
    unit.unmaps = 0x40;
    EXPECT(!look().discard_blocks);
    plug();
    unit.ranges = 0;
    EXPECT(!look().discard_blocks);
    plug();
    unit.block_size = 4096;
    EXPECT(look().block_size == 4096);
}

static void is_none(void)
{
    struct vmi_device_properties info;

    EXPECT(vmi__device_info(0, &info) == VMI_ENOENT && is_reset());
}

static void says_what_cannot_be(void)
{
    static const uint32_t sizes[] = {0, 256, 513, 0x20000};

    for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        plug();
        unit.block_size = sizes[i];
        is_none();
    }
    plug();
    unit.blocks = 0; /* the last one is 2^64 - 1 */
    is_none();
    plug();
    unit.type = 5; /* a compact disc */
    is_none();
    plug();
    unit.type = 0x20; /* nothing is connected there */
    is_none();
    plug();
    news = 100;
    is_none();
    plug();
    answers = false;
    is_none();
    plug();
    bits_less = 1;
    is_none();
    plug();
    space[PCI_BAR0 / 4] |= 1; /* ports */
    is_none();
    plug();
    space[PCI_ID / 4]++; /* another vendor's */
    is_none();
    plug();
    space[PCI_ID / 4] += 0x10000;
    is_none();
}

static void messages(void)
{
    plug();
    plug_messages(1);
    look();
    EXPECT(devices[0].messages == 1 && !(space[MSIX / 4] >> 31));
    EXPECT(open_it() == VMI_OK && space[MSIX / 4] >> 31 && get(CAUSES_LET) == 3);
    vmi__device_close(0);
    EXPECT(!(space[MSIX / 4] >> 31) && !get(CAUSES_LET));
    begin();
    EXPECT(!devices[0].messages && get(CAUSES_LET) == 3);
}

/* As whoever binds an event does, whose lock keeps others from it. */
static void write_message(const struct vmi_message *message)
{
    locks++;
    devices[0].driver->message(&devices[0], 0, message);
    locks--;
}

/* By MSI, where there is no MSI-X: the adapter itself keeps the message back. */
static void one_message(void)
{
    static const struct vmi_message message = {.address = 0x1fee01000, .data = 0x41};

    for (uint32_t wide = 0; wide < 2; wide++) {
        const uint32_t *data = &space[MSI / 4 + (wide ? 3 : 2)];

        plug();
        plug_message(wide);
        look();
        EXPECT(devices[0].messages == 1 && !(space[MSI / 4] & MSI_ENABLE));
        EXPECT(open_it() == VMI_OK && !(space[MSI / 4] & MSI_ENABLE) && !get(CAUSES_LET));
        write_message(&message);
        write_message(&message); /* anew, as if another CPU were to have it */
        EXPECT(space[MSI / 4] == (MSI_ENABLE | (wide ? MSI_WIDE : 0) | 5));
        EXPECT(space[MSI / 4 + 1] == 0xfee01000 && *data == 0x12340041);
        EXPECT(!wide || space[MSI / 4 + 2] == 1);
        devices[0].driver->mask(&devices[0], 0, false);
        EXPECT(get(CAUSES_LET) == 3);
        devices[0].driver->mask(&devices[0], 0, true);
        EXPECT(!get(CAUSES_LET));
        write_message(0);
        EXPECT(!(space[MSI / 4] & MSI_ENABLE));
        write_message(&message);
        vmi__device_close(0);
        EXPECT(!(space[MSI / 4] & MSI_ENABLE) && !get(CAUSES_LET));
    }
    /* MSI-X comes first. */
    plug();
    plug_message(true);
    space[MSI / 4] |= MSIX << 8;
    plug_table(1);
    look();
    EXPECT(open_it() == VMI_OK && space[MSIX / 4] >> 31 && get(CAUSES_LET) == 3);
    write_message(&message);
    devices[0].driver->mask(&devices[0], 0, false);
    EXPECT(!(space[MSI / 4] & MSI_ENABLE) && get(CAUSES_LET) == 3);
    EXPECT(((const uint32_t *)(bar + TABLE))[2] == 0x41 && !((const uint32_t *)(bar + TABLE))[3]);
}

static void as_the_unit_was_told(void)
{
    const struct vmi_segment both[SEGMENTS] = {
        {.address = (uintptr_t)buffer, .length = SECTOR},
        {.address = (uintptr_t)buffer + 1024, .length = 1024},
    };
    static const uint8_t codes[] = {0x88, 0x8a, 0x35, 0x42};

    begin();
    EXPECT(space[1] & COMMAND_MASTER && resets == 3); /* to look, to leave it, to open it */
    others = moves = 0;
    EXPECT(one_of(VMI_BLOCK_READ, 0x100000002ull, 3, 2, both) == 1 && moves == 1 && !others);
    EXPECT(one_of(VMI_BLOCK_WRITE, 7, 3, 2, both) == 1 && moves == 2 && !others);
    EXPECT(one_of(VMI_BLOCK_FLUSH, 0, 0, 0, 0) == 1 && moves == 2 && others == 1);
    EXPECT(one_of(VMI_BLOCK_DISCARD, 9, 2999, 0, 0) == 1 && others == 2);
    EXPECT(one_of(VMI_BLOCK_READ, 0, 3, 2, both) == 1 && moves == 3 && others == 2);
    EXPECT(rings_state()->given == fetched + 5);
    for (uint32_t i = 0; i < 4; i++) {
        const struct request *request = given_of(i);

        EXPECT(request->context && request->context <= REQUESTS && request->target == BUSY_TARGET);
        EXPECT(request->tag == 0x20 && !request->bus && !request->sense_length);
        EXPECT(!request->sense && !request->command[15] && !request->hint);
        EXPECT(request->command[0] == codes[i]);
        EXPECT(request->command_length == (i < 2 ? 16 : 10));
    }
    for (uint32_t i = 0; i < 2; i++) {
        const struct request *request = given_of(i);
        const struct element *list = (struct element *)(uintptr_t)request->address;

        EXPECT(request->flags == (i ? 0x11 : 0x09) && request->length == 3 * SECTOR);
        EXPECT(from_big(request->command + 2, 8) == (i ? 7 : 0x100000002ull));
        EXPECT(from_big(request->command + 10, 4) == 3);
        for (uint32_t j = 0; j < SEGMENTS; j++)
            EXPECT(list[j].address == both[j].address && list[j].length == both[j].length &&
                   !list[j].flags);
        EXPECT((uintptr_t)list / 4096 == ((uintptr_t)(list + 30) - 1) / 4096);
    }
    EXPECT(given_of(2)->flags == 4 && !given_of(2)->length);
    EXPECT(given_of(3)->flags == 0x10 && given_of(3)->length == 24 &&
           given_of(3)->command[8] == 24);
    {
        const uint8_t *range = (uint8_t *)(uintptr_t)given_of(3)->address;

        EXPECT(from_big(range, 2) == 22 && from_big(range + 2, 2) == 16);
        EXPECT(from_big(range + 8, 8) == 9 && from_big(range + 16, 4) == 2999);
    }
}

/* The rings' state, the rings, and what each slot has. */
static void nothing_lies_on_another(void)
{
    uintptr_t end;

    plug();
    look();
    EXPECT(open_it_with(33) == VMI_OK && setup.request_pages == 2 && setup.ended_pages == 1);
    EXPECT(rings_state() == (void *)(uintptr_t)memory_of_device);
    end = (uintptr_t)memory_of_device + 4096;
    for (uint32_t i = 0; i < 2; i++, end += 4096)
        EXPECT(setup.requests[i] * 4096 == end);
    EXPECT(setup.ended[0] * 4096 == end);
    end += 4096;
    EXPECT(submit(0, 2 * REQUESTS) == 2 * REQUESTS);
    for (uint32_t i = 0; i < 2 * REQUESTS; i++)
        EXPECT(given_of(i)->address == end + 512 * i);
    EXPECT((uintptr_t)devices[0].queues[0].slots >= end + (uintptr_t)33 * 512);
}

static void largest_rings(void)
{
    struct vmi_device_setup most = {.queues = 1, .requests = 1024, .segments = 1};
    struct vmi_device_memory needs;

    plug();
    look();
    EXPECT(vmi__device_needs(0, &most, &needs) == VMI_OK);
    EXPECT(needs.size >= (1 + 32 + 8) * 4096 + 1024 * 512);
}

static void each_ends_once_in_any_order(void)
{
    begin();
    for (uint32_t round = 0; round < 40; round++) {
        const struct vmi_segment one = {.address = (uintptr_t)buffer, .length = SECTOR};
        uint8_t seen[REQUESTS] = {0};

        /* Where a read was, a flush is told of nothing that the read had. */
        EXPECT(one_of(VMI_BLOCK_FLUSH, 0, 0, 0, &one) == 1);
        EXPECT(!given_of(0)->address && !given_of(0)->length && !given_of(0)->command[13]);
        say(given_of(0)->context, 0, 0);
        EXPECT(vmi__block_reap(0, 0, done, 1) == 1);
        fetched++;

        EXPECT(submit(0, REQUESTS + 2) == (int32_t)REQUESTS && submit(0, 1) == 0);
        EXPECT(reap_all(seen, VMI_OK) == 0);
        for (uint32_t i = REQUESTS; i > 0; i--)
            say(given_of(i - 1)->context, 0, 0);
        fetched += REQUESTS;
        EXPECT(reap_all(seen, VMI_OK) == REQUESTS && rings_state()->taken == rings_state()->ended);
        for (uint32_t i = 0; i < REQUESTS; i++)
            EXPECT(done[i].id == REQUESTS - 1 - i && done[i].length == SECTOR);
        EXPECT(reap_all(seen, VMI_OK) == 0);
    }
}

static void what_has_failed(void)
{
    static const uint16_t how[][2] = {{0, 2}, {0, 8}, {0, 0xff}, {0x11, 0}, {0x12, 0}, {0xffff, 0}};

    for (uint32_t i = 0; i < sizeof(how) / sizeof(how[0]); i++) {
        uint8_t seen[REQUESTS] = {0};

        begin();
        EXPECT(submit(0, 1) == 1);
        say(given_of(0)->context, how[i][0], how[i][1]);
        EXPECT(reap_all(seen, VMI_EIO) == 1 && !done[0].length && !look().fault);
    }
}

static void say_second(void)
{
    say(given_of(1)->context, 0, 0);
}

static void ended_twice(void)
{
    second_ends_twice(say_second);
}

static void never_given(void)
{
    static const uint64_t contexts[] = {0, 4, REQUESTS, REQUESTS + 1, 0x100000001ull, ~0ull};

    for (uint32_t i = 0; i < sizeof(contexts) / sizeof(contexts[0]); i++) {
        uint8_t seen[REQUESTS] = {0};

        begin();
        EXPECT(submit(0, 3) == 3);
        say(contexts[i], 0, 0);
        is_shut_off(VMI_FAULT_IDENTIFIER, seen, 3);
    }
}

static void more_than_was_given(void)
{
    static const uint32_t more[] = {4, 128, 0x80000000u, ~0u};

    for (uint32_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        uint8_t seen[REQUESTS] = {0};

        begin();
        EXPECT(submit(0, 3) == 3);
        rings_state()->ended += more[i];
        is_shut_off(VMI_FAULT_COUNT, seen, 3);
    }
}

static void no_state_of_a_unit(void)
{
    uint8_t seen[REQUESTS] = {0};

    begin();
    EXPECT(submit(0, 3) == 3);
    say(given_of(0)->context, 0, 0x100);
    is_shut_off(VMI_FAULT_STATUS, seen, 3);
}

static void closed_with_requests_in_flight(void)
{
    close_in_flight();
    EXPECT(open_it() == VMI_OK && submit(0, 1) == 1);
}

static void does_not_come_up(void)
{
    plug();
    look();
    news = 100;
    EXPECT(open_it() == VMI_EIO && is_reset() && submit(0, 1) == VMI_EINVAL && !locks);
    news = 2;
    bits_less = 1;
    EXPECT(open_it() == VMI_EIO && is_reset());
    bits_less = 0;
    answers = false;
    EXPECT(open_it() == VMI_EIO && is_reset());
    answers = true;
    EXPECT(open_it() == VMI_OK && !news);
}

static void on_a_line(void)
{
    const struct vmi__driver *driver = &vmi__driver_pvscsi;
    uint8_t seen[REQUESTS] = {0};

    begin();
    EXPECT(!driver->acknowledge(&devices[0]) && causes == 1);
    EXPECT(submit(0, 2) == 2 && !driver->ask(&devices[0], 0));
    say(given_of(0)->context, 0, 0);
    EXPECT(driver->ask(&devices[0], 0));
    EXPECT(driver->acknowledge(&devices[0]));  /* nobody has looked */
    EXPECT(!driver->acknowledge(&devices[0])); /* that has been said */
    EXPECT(reap_all(seen, VMI_OK) == 1 && !driver->acknowledge(&devices[0]));
    say(given_of(1)->context, 0, 0);
    EXPECT(reap_all(seen, VMI_OK) == 1 && !driver->acknowledge(&devices[0]) && causes == 5);
}

static void lie(uint32_t what, uint32_t given)
{
    if (devices[0].state != VMI__DEVICE_OPEN)
        return;
    if (what < 20 && said < given)
        say(given_of(said++)->context, 0, random() % 8 ? 0 : CHECK_STATE);
    else if (what == 20)
        say(random() % (2 * REQUESTS), (uint16_t)random(), (uint16_t)random());
    else if (what == 21)
        rings_state()->ended += random() >> random() % 32;
}

static void any_device(void)
{
    EXPECT(any_lies(SEEDS, 32, lie) < SEEDS);
}

static const struct played_check all[] = {
    CHECK(says_what_it_is),
    CHECK(says_what_cannot_be),
    CHECK(messages),
    CHECK(one_message),
    CHECK(as_the_unit_was_told),
    CHECK(nothing_lies_on_another),
    CHECK(largest_rings),
    CHECK(each_ends_once_in_any_order),
    CHECK(what_has_failed),
    CHECK(ended_twice),
    CHECK(never_given),
    CHECK(more_than_was_given),
    CHECK(no_state_of_a_unit),
    CHECK(closed_with_requests_in_flight),
    CHECK(does_not_come_up),
    CHECK(on_a_line),
    CHECK(any_device),
};

PLAY(all)
