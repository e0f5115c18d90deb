/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Disks by NVMe as a Linux process: this file is the controller, which lies. It does the admin
 * commands while the driver waits; what becomes of requests is for each check to say.
 */
#define BAR_SIZE 0x4000u
#define TABLE    0x2000u

#include "devices/played_bar.h"

/* Of the standard itself: NVM Express Base Specification 1.4, 3.1, 4.2, 4.6, 5, 6. */
enum { CAP = 0, CAP_HIGH = 4, VS = 8, INTMS = 0xc, INTMC = 0x10, CC = 0x14, CSTS = 0x1c };
enum { AQA = 0x24, ASQ = 0x28, ACQ = 0x30, DOORBELLS = 0x1000 };
enum { CREATE_SQ = 1, CREATE_CQ = 5, IDENTIFY = 6, SET_FEATURES = 9 };
enum { FLUSH = 0, WRITE = 1, READ = 2, DATASET = 9 };
#define CC_ENABLED 0x00460001u
#define PHASE      0x10000u

struct command {
    uint32_t head, namespace;
    uint64_t reserved, metadata, pages[2];
    uint32_t words[6];
};
struct completion {
    uint32_t result, reserved, queue, end;
};

#define SECTOR   512u
#define BLOCKS   1000u
#define REQUESTS 8u
#define SEGMENTS 3u
#define SEEDS    3000u

extern const struct vmi__driver vmi__driver_nvme;
const struct vmi__driver *const vmi__drivers[] = {&vmi__driver_nvme, 0};

static uint8_t buffer[0x10000] __attribute__((aligned(4096)));

#include "devices/played_disk.h"

/* ---- the controller ---- */

static uint8_t facts_of_controller[4096], facts_of_namespace[4096];
static uint32_t namespaces[1024];

struct pair {
    uint32_t commands, completions; /* where they are, 0: they are not */
    uint32_t size, head, tail;      /* of commands, and of completions */
    uint32_t phase;
    uint32_t how; /* as the completion queue was created */
};
static struct pair admin, io;
static uint32_t administered;      /* commands since it has come up */
static uint32_t refused;           /* the admin command that fails, 0 for none */
static uint32_t failure;           /* by that end */
static bool silent, stuck, broken; /* it ends no admin command; never resets; never comes up */

static void post(struct pair *pair, uint32_t queue, uint32_t end)
{
    struct completion *at = REACHED(pair->completions + pair->tail * sizeof(*at), sizeof(*at));

    *at = (struct completion){.queue = queue << 16 | pair->head, .end = end | pair->phase};
    if (++pair->tail == pair->size) {
        pair->tail = 0;
        pair->phase ^= PHASE;
    }
}

static uint32_t identify(const struct command *command)
{
    const void *facts = command->words[0] == 0   ? (void *)facts_of_namespace
                        : command->words[0] == 1 ? (void *)facts_of_controller
                                                 : (void *)namespaces;

    EXPECT(command->words[0] <= 2);
    EXPECT(command->words[0] || command->namespace == (get(VS) < 0x00010100 ? 1 : namespaces[0]));
    memcpy(REACHED(command->pages[0], 4096), facts, 4096);
    return 0;
}

/* Does an admin command; how it ends. */
static uint32_t administer(const struct command *command)
{
    if (++administered == refused)
        return failure;
    switch (command->head & 0xff) {
    case IDENTIFY:
        return identify(command);
    case SET_FEATURES:
        EXPECT(command->words[0] == 7 && !command->words[1]);
        return 0;
    case CREATE_CQ:
        io.completions = (uint32_t)command->pages[0];
        io.size = (command->words[0] >> 16) + 1;
        io.how = command->words[1];
        EXPECT((command->words[0] & 0xffff) == 1 && io.completions % 4096 == 0);
        return 0;
    case CREATE_SQ:
        io.commands = (uint32_t)command->pages[0];
        EXPECT(command->words[0] == ((io.size - 1) << 16 | 1) && io.commands % 4096 == 0);
        EXPECT(io.completions && command->words[1] == (1 << 16 | 1));
        io.phase = PHASE;
        return 0;
    default:
        EXPECT(false);
        return 1u << 17;
    }
}

/* What it does while the driver waits for it. */
static void play_controller(void)
{
    if (!(get(CC) & 1)) {
        memset(&admin, 0, sizeof(admin));
        memset(&io, 0, sizeof(io));
        set(CSTS, stuck);
        return;
    }
    if (!admin.size) {
        EXPECT(get(CC) == CC_ENABLED && !get(CSTS));
        EXPECT(get(AQA) == 0x10001 && !get(ASQ + 4) && !get(ACQ + 4));
        EXPECT(space[1] & COMMAND_MASTER);
        admin =
            (struct pair){.commands = get(ASQ), .completions = get(ACQ), .size = 2, .phase = PHASE};
        EXPECT(admin.commands % 4096 == 0 && admin.completions % 4096 == 0);
        administered = 0;
        set(DOORBELLS, 0);
        set(CSTS, broken ? 2 : 1);
    }
    while (!silent && admin.head != get(DOORBELLS)) {
        const struct command *commands =
            REACHED(admin.commands, admin.size * (uint32_t)sizeof(*commands));
        uint32_t end = administer(&commands[admin.head]);

        admin.head = (admin.head + 1) % admin.size;
        post(&admin, 0, end | commands[admin.head ? 0 : 1].head >> 16);
    }
}

/* A sound controller that nobody has looked at: commands take up to two pages, a tick is 500 ms. */
static void plug(void)
{
    plug_function(0x00101b36);
    while_waiting = play_controller;
    space[2] = 0x01080200;
    set(CAP, 63 | 1u << 24);
    set(CAP_HIGH, 0x20);
    set(VS, 0x00010400);
    set(CC, 1); /* as firmware has left it */
    set(CSTS, 1);
    memset(facts_of_controller, 0, sizeof(facts_of_controller));
    memset(facts_of_namespace, 0, sizeof(facts_of_namespace));
    memset(namespaces, 0, sizeof(namespaces));
    memset(&admin, 0, sizeof(admin));
    memset(&io, 0, sizeof(io));
    admin.size = 2; /* it is up */
    refused = 0;
    failure = 0x281u << 17; /* with what says whether to try again, in none of the codes */
    silent = stuck = broken = false;
    namespaces[0] = 3;
    facts_of_controller[77] = 2;
    facts_of_controller[525] = 1;
    facts_of_namespace[0] = BLOCKS & 0xff;
    facts_of_namespace[1] = BLOCKS >> 8;
    facts_of_namespace[128 + 2] = 9;
}

/* A namespace of blocks of 4 KiB, in the second format. */
static void plug_large_blocks(void)
{
    facts_of_namespace[26] = 1;
    facts_of_namespace[128 + 2] = 0;
    facts_of_namespace[128 + 4 + 2] = 12;
}

static const struct command *command(uint32_t number)
{
    return REACHED(io.commands + number % io.size * sizeof(struct command), sizeof(struct command));
}

/* The identifier of the command that was given as that one, from 0. */
static uint32_t given(uint32_t number)
{
    return command(number)->head >> 16;
}

/* Says that a command has ended. */
static void say(uint32_t identifier, uint32_t status)
{
    post(&io, 1, identifier | status << 17);
}

static uint32_t tail(void)
{
    return get(DOORBELLS + 8);
}

static uint32_t head(void)
{
    return get(DOORBELLS + 12);
}

static bool is_reset(void)
{
    return !(space[1] & COMMAND_MASTER) && !get(CC);
}

/* ---- checks ---- */

static void says_what_it_is(void)
{
    static const char name[] = "pci 0000:00:03.0 nvme";
    struct vmi_device_properties info;

    plug();
    info = look();
    for (uint32_t i = 0; i < sizeof(name); i++)
        EXPECT(info.name[i] == (uint8_t)name[i]);
    EXPECT(info.kind == VMI_DEVICE_BLOCK && info.flags == VMI_DEVICE_IS_CACHED);
    EXPECT(info.blocks == BLOCKS && info.block_size == SECTOR && !info.discard_blocks);
    EXPECT(info.queues == 1 && info.requests == 63 && info.segments == 30);
    EXPECT(info.segment_bytes == 0x4000 && info.request_blocks == 32);
    EXPECT(!get(CC) && !get(CSTS) && !(space[1] & COMMAND_MASTER));
    EXPECT((space[1] & COMMAND_MEMORY) && administered == 3 && !locks);
    /* What it need not be. */
    plug();
    plug_large_blocks();
    facts_of_namespace[6] = 1;
    facts_of_namespace[99] = 1;
    facts_of_controller[77] = 0;
    facts_of_controller[525] = 0;
    facts_of_controller[520] = 4;
    set(CAP, 0xffff | 1u << 24);
    info = look();
    EXPECT(info.flags == VMI_DEVICE_IS_READ_ONLY && info.discard_blocks == UINT32_MAX);
    EXPECT(info.blocks == BLOCKS + (1ull << 48) && info.block_size == 4096);
    EXPECT(info.request_blocks == 128 && info.segment_bytes == 0x80000 && info.requests == 1024);
    plug();
    facts_of_controller[77] = 8;
    EXPECT(look().segment_bytes == 0x80000);
    plug();
    facts_of_controller[77] = 7;
    EXPECT(look().segment_bytes == 0x80000);
    plug();
    facts_of_controller[77] = 1;
    EXPECT(look().segment_bytes == 0x2000);
    /* Few entries: a request that is several commands may have no more of them. */
    plug();
    set(CAP, 2);
    EXPECT(look().requests == 2 && look().segments == 2);
    /* Before there were lists. */
    plug();
    set(VS, 0x00010000);
    namespaces[0] = 1;
    EXPECT(look().blocks == BLOCKS && administered == 2);
}

static void what_is_no_disk(void)
{
    struct vmi_device_properties info;

    for (uint32_t i = 0; i < 20; i++) {
        plug();
        switch (i) {
        case 0:
            space[2] = 0x01080300; /* another interface */
            break;
        case 1:
            set(CAP_HIGH, 0); /* no such commands */
            break;
        case 2:
            set(CAP_HIGH, 0x20 | 1u << 16); /* pages of 8 KiB at least */
            break;
        case 3:
            set(CAP_HIGH, 0x20 | 9); /* doorbells behind what is mapped */
            break;
        case 4:
            set(CAP, 1u << 24); /* queues of one entry */
            break;
        case 5:
            stuck = true;
            break;
        case 6:
            broken = true;
            break;
        case 7:
            silent = true;
            break;
        case 8:
        case 9:
        case 10:
            refused = i - 7;
            break;
        case 11: /* ends another command than was given */
            refused = 1;
            failure = 1;
            break;
        case 12:
            facts_of_namespace[128] = 8; /* metadata */
            break;
        case 13:
            facts_of_namespace[128 + 2] = 8;
            break;
        case 14:
            facts_of_namespace[128 + 2] = 17;
            break;
        case 15:
            memset(facts_of_namespace, 0, 8);
            break;
        case 16:
            namespaces[0] = 0;
            break;
        case 17:
            space[PCI_BAR0 / 4] |= 1;
            break;
        case 18: /* a block is larger than a command may be */
            facts_of_controller[77] = 1;
            facts_of_namespace[128 + 2] = 14;
            break;
        default:
            space[2] = 0x02080200; /* another class */
        }
        EXPECT(vmi__device_info(0, &info) == VMI_ENOENT);
        EXPECT(!(space[1] & COMMAND_MASTER) && !locks);
    }
}

static void comes_up(void)
{
    plug();
    look();
    EXPECT(open_it() == VMI_OK && administered == 3 && get(CC) == CC_ENABLED);
    EXPECT(io.size == REQUESTS * SEGMENTS + 1 && io.how == 3); /* it interrupts, by the line */
    EXPECT(io.commands && io.commands != admin.commands && io.completions != admin.completions);
    EXPECT(admin.commands >= (uintptr_t)memory_of_device); /* none of the library's memory */
    EXPECT(admin.commands < (uintptr_t)memory_of_device + sizeof(memory_of_device));
    EXPECT(!get(INTMS));
    plug();
    plug_messages(2);
    look();
    EXPECT(open_it() == VMI_OK && io.how == (1 << 16 | 3));
}

static void does_not_come_up(void)
{
    for (uint32_t i = 0; i < 6; i++) {
        plug();
        look();
        refused = i < 3 ? i + 1 : 0;
        stuck = i == 3;
        broken = i == 4;
        silent = i == 5;
        set(CSTS, stuck);
        EXPECT(open_it() == VMI_EIO && !get(CC) && !(space[1] & COMMAND_MASTER));
        EXPECT(submit(0, 1) == VMI_EINVAL && !locks);
        refused = 0;
        stuck = broken = silent = false;
        play_controller(); /* it sees that it is reset, if nobody has waited for that */
        EXPECT(open_it() == VMI_OK);
    }
}

static void numbers_of_a_setup(void)
{
    struct vmi_device_setup setup = {.queues = 1, .requests = 21, .segments = 3};
    struct vmi_device_memory needs;

    plug();
    look();
    EXPECT(vmi__device_needs(0, &setup, &needs) == VMI_OK);
    /* Both admin queues, 64 entries each, 21 lists of 7 entries, a page of requests, the table. */
    EXPECT(needs.size == 7 * PAGE);
    setup.requests = 22;
    EXPECT(vmi__device_needs(0, &setup, &needs) == VMI_EINVAL); /* more commands than entries */
    EXPECT(vmi__device_open(0, &setup) == VMI_EINVAL);
    setup = (struct vmi_device_setup){.queues = 1, .requests = 63, .segments = 1};
    EXPECT(vmi__device_needs(0, &setup, &needs) == VMI_OK);
}

/* The first message is the admin queue's: a queue's event has the second. */
static void messages(void)
{
    static const struct vmi_message message = {.address = 0xfee01000, .data = 0x41};
    const uint32_t *table = (uint32_t *)(bar + TABLE);

    plug();
    plug_messages(2);
    look();
    EXPECT(devices[0].messages == 1 && open_it() == VMI_OK && space[MSIX / 4] >> 31);
    EXPECT(table[3] == 1 && table[7] == 1);
    devices[0].driver->message(&devices[0], 0, &message);
    EXPECT(!table[0] && table[4] == 0xfee01000 && table[6] == 0x41 && table[7] == 1);
    devices[0].driver->mask(&devices[0], 0, false);
    EXPECT(table[3] == 1 && !table[7]);
    /* The registers for the line are not touched (3.1.3). */
    EXPECT(submit(0, 1) == 1);
    say(given(0), 0);
    EXPECT(vmi__block_reap(0, 0, done, 2) == 1 && !get(INTMC) && !get(INTMS));
    EXPECT(vmi__device_close(0) == VMI_OK && !(space[MSIX / 4] >> 31) && table[7] == 1);
    /* One message is the admin queue's alone. */
    plug();
    plug_messages(1);
    look();
    EXPECT(!devices[0].messages && open_it() == VMI_OK && io.how == 3 && !(space[MSIX / 4] >> 31));
}

/* The line is masked from its interrupt on until there is nothing more to be taken. */
static void line(void)
{
    begin();
    EXPECT(!devices[0].driver->acknowledge(&devices[0]) && !get(INTMS));
    EXPECT(submit(0, 4) == 4);
    say(given(0), 0);
    EXPECT(devices[0].driver->acknowledge(&devices[0]) && get(INTMS) == 1);
    EXPECT(!devices[0].driver->acknowledge(&devices[0]));
    say(given(1), 0);
    EXPECT(devices[0].driver->acknowledge(&devices[0]));
    EXPECT(vmi__block_reap(0, 0, done, 1) == 1 && !get(INTMC));
    EXPECT(!devices[0].driver->acknowledge(&devices[0]));
    say(given(2), 0);
    EXPECT(devices[0].driver->acknowledge(&devices[0]));
    EXPECT(vmi__block_reap(0, 0, done, 4) == 2 && get(INTMC) == 1);
    set(INTMS, 0);
    EXPECT(!devices[0].driver->acknowledge(&devices[0]) && !get(INTMS) && !locks);
    /* It is not masked for what has been taken, but told of that. */
    say(given(3), 0);
    EXPECT(vmi__block_reap(0, 0, done, 1) == 1 && head() == 3);
    EXPECT(!devices[0].driver->acknowledge(&devices[0]) && !get(INTMS) && head() == 4);
    set(INTMC, 0);
    EXPECT(vmi__block_reap(0, 0, done, 4) == 0 && !get(INTMC)); /* it is not masked */
}

/* Told are the commands of a batch at once, and what was taken when there is no more. */
static void doorbells(void)
{
    begin();
    EXPECT(submit(0, 5) == 5 && tail() == 5 && !head());
    for (uint32_t i = 0; i < 4; i++)
        say(given(i), 0);
    EXPECT(vmi__block_reap(0, 0, done, 2) == 2 && !head());
    EXPECT(vmi__block_reap(0, 0, done, 3) == 2 && head() == 4);
    EXPECT(submit(5, 1) == 1 && tail() == 6);
}

/* A queue of nine entries, in which no more ends have room than there can be. */
static void few_entries(void)
{
    plug();
    look();
    EXPECT(open_with((struct vmi_device_setup){.queues = 1, .requests = 8, .segments = 1}) ==
           VMI_OK);
}

/* All that are taken at once are told once. */
static void doorbells_of_many(void)
{
    for (uint32_t room = 8; room <= 9; room++) {
        few_entries();
        EXPECT(submit(0, 8) == 8);
        for (uint32_t i = 0; i < 8; i++)
            say(given(i), 0);
        EXPECT(vmi__block_reap(0, 0, done, room) == 8 && head() == (room == 8 ? 0 : 8));
        EXPECT(submit(0, 1) == 1 && head() == 8);
    }
}

/* Whoever never takes all tells it with a command, by the time that half of a queue was taken. */
static void doorbells_never_asked(void)
{
    few_entries();
    for (uint32_t i = 0; i < 20; i++) {
        EXPECT(submit(i % 8, 1) == 1 && head() == i / 5 * 5 % 9);
        say(given(i), 0);
        EXPECT(vmi__block_reap(0, 0, done, 1) == 1 && head() == i / 5 * 5 % 9);
    }
}

/* A controller without room for an end keeps it; none waits for ever, however few are taken. */
static void doorbells_make_room(void)
{
    for (uint32_t most = 1; most <= 8; most++) {
        uint32_t submitted = 0, said = 0, taken = 0;

        few_entries();
        while (taken < 100 && !failed_line) {
            int32_t count;

            while (submitted < taken + 8)
                EXPECT(submit(submitted++ % 8, 1) == 1);
            for (; said < submitted && (io.tail + 1) % io.size != head(); said++)
                say(given(said), 0);
            EXPECT(said > taken);
            count = vmi__block_reap(0, 0, done, most);
            EXPECT(count > 0);
            taken += (uint32_t)count;
        }
    }
}

/* Through all of the queues several times, whose entries are others' before. */
static void rounds(void)
{
    uint32_t number = 0;

    begin();
    for (uint32_t round = 0; round < 40; round++) {
        uint8_t seen[REQUESTS] = {0};
        uint32_t wanted = 1 + round % REQUESTS;

        EXPECT(submit(0, wanted) == (int32_t)wanted);
        for (uint32_t i = 0; i < wanted; i++)
            say(given(number + i), 0);
        EXPECT(reap_all(seen, VMI_OK) == wanted && reap_all(seen, VMI_OK) == 0);
        number += wanted;
        EXPECT(tail() == number % io.size && head() == number % io.size);
    }
    EXPECT(number > 3 * io.size);
}

static void each_ends_once_in_any_order(void)
{
    uint8_t seen[REQUESTS] = {0};

    begin();
    EXPECT(submit(0, REQUESTS) == (int32_t)REQUESTS);
    EXPECT(submit(0, 1) == 0);
    for (uint32_t i = REQUESTS; i > 0; i--)
        say(given(i - 1), 0);
    EXPECT(reap_all(seen, VMI_OK) == REQUESTS);
    EXPECT(done[0].id == REQUESTS - 1 && done[0].length == SECTOR);
    EXPECT(reap_all(seen, VMI_OK) == 0);
    EXPECT(submit(0, REQUESTS) == (int32_t)REQUESTS);
}

static void failures_are_the_requests(void)
{
    begin();
    EXPECT(submit(0, 4) == 4);
    say(given(0), 0x001);      /* invalid operation */
    say(given(1), 0x281);      /* unrecovered read error */
    say(given(2), 0x101);      /* of another type than an invalid operation */
    say(given(3), 0x4000 | 4); /* data transfer error, not to be tried again */
    EXPECT(vmi__block_reap(0, 0, done, 4) == 4);
    EXPECT(done[0].status == VMI_ENOSYS && done[1].status == VMI_EIO && !done[1].length);
    EXPECT(done[2].status == VMI_EIO && done[3].status == VMI_EIO);
    EXPECT(look().fault == VMI_FAULT_NONE);
}

static void say_second(void)
{
    say(given(1), 0);
}

static void ended_twice(void)
{
    second_ends_twice(say_second);
}

static void never_given(void)
{
    static const uint32_t others[] = {1, 2, SEGMENTS * 2, SEGMENTS * REQUESTS, 0x8000, 0xffff};

    for (uint32_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        uint8_t seen[REQUESTS] = {0};

        begin();
        EXPECT(submit(0, 2) == 2);
        say(others[i], 0);
        is_shut_off(VMI_FAULT_IDENTIFIER, seen, 2);
    }
}

static void of_another_queue(void)
{
    uint8_t seen[REQUESTS] = {0};

    begin();
    EXPECT(submit(0, 2) == 2);
    post(&io, 2, given(0));
    is_shut_off(VMI_FAULT_IDENTIFIER, seen, 2);
}

/* A request of several commands ends with the last of them, and fails if one of them has. */
static void several_commands(void)
{
    const struct vmi_segment apart[] = {
        {.address = (uintptr_t)buffer + 0x200, .length = SECTOR},
        {.address = (uintptr_t)buffer + 0x2400, .length = 2 * SECTOR},
        {.address = (uintptr_t)buffer + 0x5000, .length = SECTOR}};
    static const uint32_t blocks[] = {7, 8, 10};
    static const uint8_t orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2}};

    for (uint32_t i = 0; i < 9; i++) {
        const uint8_t *order = orders[i / 3];
        uint32_t failed = i % 3;

        begin();
        EXPECT(one_of(i % 2 ? VMI_BLOCK_READ : VMI_BLOCK_WRITE, 7, 4, 3, apart) == 1);
        EXPECT(tail() == 3 && given(0) != given(1) && given(1) != given(2));
        for (uint32_t j = 0; j < 3; j++) {
            EXPECT((command(j)->head & 0xffff) == (i % 2 ? READ : WRITE));
            EXPECT(command(j)->words[0] == blocks[j] && !command(j)->words[1]);
            EXPECT(command(j)->words[2] == (j == 1) && command(j)->namespace == 3);
            EXPECT(command(j)->pages[0] == apart[j].address && !command(j)->pages[1]);
            EXPECT(vmi__block_reap(0, 0, done, 1) == 0);
        }
        for (uint32_t j = 0; j < 3; j++) {
            EXPECT(vmi__block_reap(0, 0, done, 1) == 0);
            say(given(order[j]), order[j] == failed && i < 6 ? 0x281 : 0);
        }
        EXPECT(vmi__block_reap(0, 0, done, 2) == 1);
        EXPECT(done[0].status == (i < 6 ? VMI_EIO : VMI_OK));
        EXPECT(done[0].length == (i >= 6 && i % 2 ? 4 * SECTOR : 0));
        /* The next request of that slot does not have its failure. */
        EXPECT(submit(0, 1) == 1);
        say(given(3), 0);
        EXPECT(vmi__block_reap(0, 0, done, 2) == 1 && done[0].status == VMI_OK);
    }
    /* One of them twice, with the others under way. */
    begin();
    EXPECT(one_of(VMI_BLOCK_READ, 7, 4, 3, apart) == 1);
    say(given(1), 0);
    say(given(1), 0);
    EXPECT(vmi__block_reap(0, 0, done, 2) == 1 && done[0].status == VMI_EIO);
    EXPECT(look().fault == VMI_FAULT_IDENTIFIER);
}

/* What physical region pages a request's memory becomes (4.3). */
static void pages(void)
{
    const uintptr_t at = (uintptr_t)buffer;
    const struct {
        struct vmi_segment segments[3];
        uint32_t count, blocks, commands;
        uint32_t first[3]; /* page of each command, from `at` on */
        uint32_t listed;   /* further pages of the first one */
        uint32_t pages[5];
    } cases[] = {
        {{{.address = at, .length = SECTOR}}, 1, 1, 1, {0}, 0, {0}},
        {{{.address = at, .length = PAGE}}, 1, 8, 1, {0}, 0, {0}},
        {{{.address = at + 0xe00, .length = SECTOR}}, 1, 1, 1, {0xe00}, 0, {0}},
        {{{.address = at + 0xe00, .length = 2 * SECTOR}}, 1, 2, 1, {0xe00}, 1, {0x1000}},
        {{{.address = at, .length = 2 * PAGE}}, 1, 16, 1, {0}, 1, {0x1000}},
        {{{.address = at + 0x200, .length = 2 * PAGE}}, 1, 16, 1, {0x200}, 2, {0x1000, 0x2000}},
        {{{.address = at, .length = 4 * PAGE}}, 1, 32, 1, {0}, 3, {0x1000, 0x2000, 0x3000}},
        {{{.address = at + 0xe00, .length = 4 * PAGE}},
         1,
         32,
         1,
         {0xe00},
         4,
         {0x1000, 0x2000, 0x3000, 0x4000}},
        /* One that goes on where the one before has ended. */
        {{{.address = at, .length = SECTOR}, {.address = at + 0x200, .length = 0xe00}},
         2,
         8,
         1,
         {0},
         0,
         {0}},
        {{{.address = at + 0xc00, .length = SECTOR}, {.address = at + 0xe00, .length = 2 * SECTOR}},
         2,
         3,
         1,
         {0xc00},
         1,
         {0x1000}},
        /* Whole pages in any order, but for the start of the first and the end of the last. */
        {{{.address = at + 0x200, .length = 0xe00},
          {.address = at + 0x5000, .length = PAGE},
          {.address = at + 0x3000, .length = SECTOR}},
         3,
         16,
         1,
         {0x200},
         2,
         {0x5000, 0x3000}},
        {{{.address = at, .length = PAGE}, {.address = at, .length = PAGE}}, 2, 16, 1, {0}, 1, {0}},
        /* What begins or ends within a page is a command of its own. */
        {{{.address = at, .length = SECTOR}, {.address = at + 0x1000, .length = SECTOR}},
         2,
         2,
         2,
         {0, 0x1000},
         0,
         {0}},
        {{{.address = at, .length = PAGE}, {.address = at + 0x2200, .length = SECTOR}},
         2,
         9,
         2,
         {0, 0x2200},
         0,
         {0}},
        {{{.address = at, .length = PAGE},
          {.address = at + 0x2200, .length = SECTOR},
          {.address = at + 0x4000, .length = SECTOR}},
         3,
         10,
         3,
         {0, 0x2200, 0x4000},
         0,
         {0}},
        {{{.address = at + 0x1000, .length = 3 * PAGE},
          {.address = at + 0x6200, .length = SECTOR},
          {.address = at + 0x6400, .length = SECTOR}},
         3,
         26,
         2,
         {0x1000, 0x6200},
         2,
         {0x2000, 0x3000}},
    };

    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const uint64_t *listed;

        begin();
        EXPECT(submit(0, 2) == 2); /* so that its slot is not the first one */
        EXPECT(one_of(VMI_BLOCK_READ, 1, cases[i].blocks, cases[i].count, cases[i].segments) == 1);
        EXPECT(tail() == 2 + cases[i].commands);
        for (uint32_t j = 0; j < cases[i].commands; j++)
            EXPECT(command(2 + j)->pages[0] == at + cases[i].first[j]);
        EXPECT(given(2) == 2 * SEGMENTS && !command(2)->metadata);
        listed = cases[i].listed == 1 ? &command(2)->pages[1]
                                      : (uint64_t *)(uintptr_t)command(2)->pages[1];
        EXPECT(!command(2)->pages[1] == !cases[i].listed);
        for (uint32_t j = 0; j < cases[i].listed; j++)
            EXPECT(listed[j] == at + cases[i].pages[j]);
        if (cases[i].listed > 1)
            EXPECT((uintptr_t)listed / PAGE == (uintptr_t)(listed + cases[i].listed - 1) / PAGE);
    }
}

/* Lists of all slots at once: they do not lie on each other, nor across a page's end. */
static void lists(void)
{
    static const uint32_t offsets[] = {0xe00, 0x2e00, 0x4e00};
    uintptr_t seen[64][2];
    uint32_t count_of_lists = 0;

    plug();
    set(CAP, 255 | 1u << 24);
    facts_of_controller[77] = 3; /* so that 64 lists do not fill a page evenly */
    look();
    EXPECT(open_with((struct vmi_device_setup){.queues = 1, .requests = 50, .segments = 3}) ==
           VMI_OK);
    for (uint32_t i = 0; i < 50; i++) {
        struct vmi_segment segments[3];

        for (uint32_t j = 0; j < 3; j++)
            segments[j] = (struct vmi_segment){.address = (uintptr_t)buffer + offsets[j],
                                               .length = PAGE + 2 * SECTOR};
        EXPECT(one_of(VMI_BLOCK_WRITE, i, 30, 3, segments) == 1);
        for (uint32_t j = 0; j < 3; j++) {
            const struct command *one = command(3 * i + j);
            const uint64_t *list = (uint64_t *)(uintptr_t)one->pages[1];

            EXPECT(list[0] == (uintptr_t)buffer + offsets[j] + 0x200);
            EXPECT(list[1] == (uintptr_t)buffer + offsets[j] + 0x1200);
            EXPECT((uintptr_t)list / PAGE == (uintptr_t)&list[1] / PAGE);
            EXPECT((uintptr_t)list >= (uintptr_t)memory_of_device);
            if (j == 2)
                seen[count_of_lists][1] = (uintptr_t)(list + 2);
            else if (j == 0)
                seen[count_of_lists][0] = (uintptr_t)list;
        }
        for (uint32_t j = 0; j < count_of_lists; j++)
            EXPECT(seen[j][1] <= seen[i][0] || seen[i][1] <= seen[j][0]);
        count_of_lists++;
    }
}

/* A command ends where a block does. */
static void blocks_in_parts(void)
{
    const uintptr_t at = (uintptr_t)buffer;
    const struct vmi_segment on[] = {{.address = at + 0x200, .length = SECTOR},
                                     {.address = at + 0x400, .length = 7 * SECTOR}};
    const struct vmi_segment apart[] = {{.address = at + 0x200, .length = SECTOR},
                                        {.address = at + 0x2000, .length = 7 * SECTOR}};
    const struct vmi_segment of_two[] = {{.address = at + 0x200, .length = PAGE},
                                         {.address = at + 0x4400, .length = PAGE}};

    plug();
    plug_large_blocks();
    look();
    EXPECT(open_it() == VMI_OK);
    EXPECT(one_of(VMI_BLOCK_READ, 0, 1, 2, apart) == VMI_EINVAL);
    EXPECT(one_of(VMI_BLOCK_WRITE, 0, 1, 2, on) == 1 && tail() == 1);
    EXPECT(command(0)->pages[0] == on[0].address && command(0)->pages[1] == at + 0x1000);
    EXPECT(!command(0)->words[2]);
    EXPECT(one_of(VMI_BLOCK_WRITE, 5, 2, 2, of_two) == 1 && tail() == 3);
    EXPECT(command(1)->words[0] == 5 && command(2)->words[0] == 6 && !command(2)->words[2]);
}

static void what_a_request_becomes(void)
{
    const struct vmi_segment segment = {.address = (uintptr_t)buffer, .length = SECTOR};
    const struct {
        uint32_t attributes, blocks;
        uint64_t block;
    } * range;

    plug();
    facts_of_namespace[5] = 1;
    facts_of_controller[520] = 4;
    look();
    EXPECT(open_it() == VMI_OK);
    EXPECT(one_of(VMI_BLOCK_READ, 0x100000002, 1, 1, &segment) == 1);
    EXPECT(command(0)->head == READ && command(0)->namespace == 3);
    EXPECT(command(0)->words[0] == 2 && command(0)->words[1] == 1);
    EXPECT(one_of(VMI_BLOCK_FLUSH, 0, 0, 0, 0) == 1);
    EXPECT(command(1)->head == (SEGMENTS << 16 | FLUSH) && command(1)->namespace == 3);
    EXPECT(!command(1)->pages[0] && !command(1)->words[0]);
    EXPECT(one_of(VMI_BLOCK_DISCARD, 0x100000000, 0xfffffffe, 0, 0) == 1);
    EXPECT((command(2)->head & 0xffff) == DATASET && command(2)->namespace == 3);
    EXPECT(!command(2)->words[0] && command(2)->words[1] == 4 && !command(2)->pages[1]);
    range = (void *)(uintptr_t)command(2)->pages[0];
    EXPECT(!range->attributes && range->blocks == 0xfffffffe && range->block == 0x100000000);
    say(given(2), 0);
    EXPECT(vmi__block_reap(0, 0, done, 2) == 1 && done[0].status == VMI_OK && !done[0].length);
    /* What it does not have. */
    plug();
    facts_of_controller[525] = 0;
    facts_of_namespace[99] = 1;
    look();
    EXPECT(open_it() == VMI_OK && one_of(VMI_BLOCK_FLUSH, 0, 0, 0, 0) == VMI_ENOSYS);
    EXPECT(one_of(VMI_BLOCK_WRITE, 0, 1, 1, &segment) == VMI_EROFS);
    EXPECT(one_of(VMI_BLOCK_DISCARD, 0, 1, 0, 0) == VMI_EROFS);
}

static void doorbells_apart(void)
{
    plug();
    set(CAP_HIGH, 0x20 | 8);
    look();
    /* The played controller rings by 4 bytes: it sees the tail of its admin queue alone. */
    EXPECT(open_it() == VMI_OK && submit(0, 1) == 1);
    EXPECT(get(DOORBELLS + 2 * 0x400) == 1 && !tail());
    say(given(0), 0);
    EXPECT(vmi__block_reap(0, 0, done, 2) == 1 && get(DOORBELLS + 3 * 0x400) == 1);
}

static void closed_with_requests_in_flight(void)
{
    close_in_flight();
    /* One that does not reset itself reaches no memory. */
    begin();
    stuck = true;
    EXPECT(vmi__device_close(0) == VMI_OK && !(space[1] & COMMAND_MASTER));
}

static void lie(uint32_t what, uint32_t commands)
{
    (void)commands;
    if (what < 11 && io.size)
        say(random() % 4 ? given(random() % REQUESTS) : random() & 0xffff,
            random() % 8 ? 0 : random() & 0x7fff);
    else if (what == 11 && io.size)
        *(uint32_t *)REACHED(io.completions + 4 * (random() % (4 * io.size)), 4) = random();
}

static void any_device(void)
{
    any_lies(SEEDS, 16, lie);
}

static void lie_of_itself(void)
{
    static const uint16_t places[] = {26, 128, 129, 130, 131, 132, 134, 99, 0, 7};

    for (uint32_t i = random() % 4; i < 4; i++) {
        uint32_t what = random() % 4;

        if (what == 0)
            bar[random() % 12] = (uint8_t)random();
        else if (what == 1)
            facts_of_namespace[places[random() % 10]] = (uint8_t)random();
        else if (what == 2)
            facts_of_controller[random() % 2 ? 77 : 520 + random() % 6] = (uint8_t)random();
        else
            namespaces[0] = random() % 3;
    }
}

static void has_whole_segments(const struct vmi_device_properties *info)
{
    EXPECT(info->queues == 1);
    EXPECT(info->segment_bytes == info->request_blocks * info->block_size);
}

static void any_description(void)
{
    any_descriptions(lie_of_itself, has_whole_segments);
}

static const struct played_check all[] = {
    CHECK(says_what_it_is),
    CHECK(what_is_no_disk),
    CHECK(comes_up),
    CHECK(does_not_come_up),
    CHECK(numbers_of_a_setup),
    CHECK(messages),
    CHECK(line),
    CHECK(doorbells),
    CHECK(doorbells_of_many),
    CHECK(doorbells_never_asked),
    CHECK(doorbells_make_room),
    CHECK(doorbells_apart),
    CHECK(rounds),
    CHECK(each_ends_once_in_any_order),
    CHECK(failures_are_the_requests),
    CHECK(ended_twice),
    CHECK(never_given),
    CHECK(of_another_queue),
    CHECK(several_commands),
    CHECK(pages),
    CHECK(lists),
    CHECK(blocks_in_parts),
    CHECK(what_a_request_becomes),
    CHECK(closed_with_requests_in_flight),
    CHECK(any_device),
    CHECK(any_description),
};

PLAY(all)
