/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Disks by AHCI as a Linux process: this file is the controller with a disk at its third port,
 * which lies. It resets itself, and says what it is, while the driver waits; what becomes of
 * requests is for each check to say.
 */
#define BAR_SIZE 0x1000u
#define TABLE    0u
#define BAR      5u

#include "devices/played_bar.h"

/* Of the standards themselves: AHCI 1.3.1, 3 and 4.2; ACS-3, 7.12. */
enum { CAP = 0, GHC = 4, IS = 8, PI = 0xc, CAP2 = 0x24, BOHC = 0x28, PORTS = 0x100, PORT = 0x80 };
enum { CLB = 0, FB = 8, PIS = 0x10, PIE = 0x14, CMD = 0x18, TFD = 0x20, SIG = 0x24, SSTS = 0x28 };
enum { SERR = 0x30, CI = 0x38 };
#define GHC_AE 0x80000000u
#define TFES   0x40000000u
#define IFS    0x08000000u
#define CR     0x8000u
#define ST     1u
#define DONE   0x50u /* of the status: ready, and nothing else */
#define FAILED 0x451u
#define BUSY   0xd0u

#define SECTOR   512u
#define BLOCKS   1000u
#define REQUESTS 8u
#define SEGMENTS 3u
#define SEEDS    3000u
#define STEP     2u /* requests of submit() are not joined */

extern const struct vmi__driver vmi__driver_ahci;
const struct vmi__driver *const vmi__drivers[] = {&vmi__driver_ahci, 0};

static uint8_t buffer[0x10000] __attribute__((aligned(4096)));

#include "devices/played_disk.h"

/* ---- the controller ---- */

struct header {
    uint32_t how, transferred, table, table_high, reserved[4];
};
struct table {
    uint8_t fis[64], packet[16], reserved[48];
    struct {
        uint64_t address;
        uint32_t reserved, last;
    } entries[];
};

static uint16_t facts[256];
static uint32_t disk_at;   /* its port */
static bool stuck, hangs;  /* it never resets itself; its port stops by that only */
static bool silent;        /* the disk ends nothing */
static bool refuses;       /* it fails when it is to say what it is */
static bool linked;        /* its port is, without having been asked to */
static uint32_t signature; /* what is at the port */
static uint32_t told;      /* bytes that it says it has said of itself */
static uint32_t resets;

static uint32_t of_port(uint32_t offset)
{
    return PORTS + disk_at * PORT + offset;
}

static struct header *header(void)
{
    return REACHED(get(of_port(CLB)), sizeof(struct header));
}

static const struct table *table(void)
{
    return REACHED(header()->table, sizeof(struct table) + 16);
}

/* What the disk sends when a command has ended gets there. */
static void send(void)
{
    uint8_t *fis = REACHED(get(of_port(FB)) + 0x40, 4);

    fis[0] = 0x34;
    fis[2] = (uint8_t)get(of_port(TFD));
    fis[3] = (uint8_t)(get(of_port(TFD)) >> 8);
}

/* Says what it is, to where it is asked to. */
static void identify(void)
{
    EXPECT(header()->how == (5 | 1u << 16) && !header()->table_high);
    EXPECT(table()->fis[0] == 0x27 && table()->fis[1] == 0x80);
    EXPECT(table()->entries[0].last == sizeof(facts) - 1);
    memcpy(REACHED(table()->entries[0].address, sizeof(facts)), facts, sizeof(facts));
    header()->transferred = told;
    set(of_port(TFD), refuses ? FAILED : DONE);
    set(of_port(CI), 0);
}

/* What it does while the driver waits for it. */
static void play_controller(void)
{
    uint32_t command;

    if (get(GHC) & 1 && !stuck) {
        resets++;
        hangs = false;
        memset(bar + PORTS, 0, BAR_SIZE - PORTS);
        for (uint32_t i = 0; i < 8; i++)
            set(PORTS + i * PORT + TFD, 0x7f);
        set(GHC, GHC_AE);
    }
    command = get(of_port(CMD));
    if (command & 2 || linked) /* spun up */
        set(of_port(SSTS), 0x113);
    if (command & 0x10 && get(of_port(TFD)) == 0x7f) {
        EXPECT(get(of_port(CLB)) % 1024 == 0 && get(of_port(FB)) % 256 == 0);
        EXPECT(get(of_port(FB)) && space[1] & COMMAND_MASTER);
        set(of_port(TFD), DONE);
        set(of_port(SIG), signature);
    }
    if (!(command & ST) && command & CR && !hangs)
        set(of_port(CMD), command & ~CR);
    if (get(of_port(CI)) & 1 && !silent && get(of_port(CLB)) && header()->table &&
        table()->fis[2] == 0xec)
        identify();
}

/* A sound controller that nobody has looked at. */
static void plug(void)
{
    plug_function(0x29228086);
    while_waiting = play_controller;
    space[2] = 0x01060100;
    set(CAP, 0x80000000u);
    set(GHC, GHC_AE | 2); /* as firmware has left it */
    set(PI, 0x15);
    disk_at = 2;
    stuck = hangs = silent = refuses = linked = false;
    signature = 0x101;
    told = sizeof(facts);
    resets = 0;
    memset(facts, 0, sizeof(facts));
    facts[83] = 0x400;
    facts[85] = 0x20;
    facts[100] = BLOCKS;
}

/* Says that the command under way has ended. */
static void say(uint32_t status, uint32_t transferred)
{
    header()->transferred = transferred;
    set(of_port(TFD), status);
    set(of_port(CI), 0);
    set(of_port(PIS), 1);
    send();
}

/* The port has stopped by an error, and its command list runs still. */
static void fail(uint32_t status, uint32_t interrupts, bool under_way)
{
    set(of_port(TFD), status);
    set(of_port(CI), under_way);
    set(of_port(PIS), interrupts);
    set(of_port(CMD), get(of_port(CMD)) | CR);
    if (interrupts & (TFES | 1))
        send();
}

static uint64_t sector(void)
{
    const uint8_t *fis = table()->fis;

    return fis[4] | (uint32_t)fis[5] << 8 | (uint32_t)fis[6] << 16 | (uint64_t)fis[8] << 24 |
           (uint64_t)fis[9] << 32 | (uint64_t)fis[10] << 40;
}

static bool is_reset(void)
{
    return !(space[1] & COMMAND_MASTER) && !get(of_port(CMD));
}

/* ---- checks ---- */

static void says_what_it_is(void)
{
    static const char name[] = "pci 0000:00:03.0 ahci";
    struct vmi_device_properties info;

    plug();
    info = look();
    for (uint32_t i = 0; i < sizeof(name); i++)
        EXPECT(info.name[i] == (uint8_t)name[i]);
    EXPECT(info.kind == VMI_DEVICE_BLOCK && info.flags == VMI_DEVICE_IS_CACHED);
    EXPECT(info.blocks == BLOCKS && info.block_size == SECTOR && !info.discard_blocks);
    EXPECT(info.queues == 1 && info.requests == 1024 && info.segments == 30);
    EXPECT(info.segment_bytes == 0x400000 && info.request_blocks == 0x8000);
    EXPECT(resets == 2 && !(space[1] & COMMAND_MASTER) && (space[1] & COMMAND_MEMORY) && !locks);
    EXPECT(!devices[0].messages);
    /* What it need not be. */
    plug();
    disk_at = 4;
    facts[85] = 0;
    facts[101] = 2;
    facts[102] = 3;
    facts[106] = 0x5000;
    facts[117] = 2048;
    facts[169] = 1;
    info = look();
    EXPECT(!info.flags && info.block_size == 4096 && info.request_blocks == 0x1000);
    EXPECT(info.blocks == (BLOCKS | 2ull << 16 | 3ull << 32));
    EXPECT(info.discard_blocks == 64 * 65535);
    /* A size that is not valid, or that is the usual one. */
    for (uint32_t i = 0; i < 3; i++) {
        static const uint16_t words[] = {0x1000, 0xd000, 0x4000};

        plug();
        facts[106] = words[i];
        facts[117] = 2048;
        EXPECT(look().block_size == SECTOR);
    }
}

static void what_is_no_disk(void)
{
    struct vmi_device_properties info;

    for (uint32_t i = 0; i < 15; i++) {
        plug();
        switch (i) {
        case 0:
            space[2] = 0x01060000; /* another interface */
            break;
        case 1:
            space[2] = 0x01010100; /* another class */
            break;
        case 2:
            set(PI, 0);
            break;
        case 3:
            disk_at = 3; /* where there is no port */
            linked = true;
            break;
        case 4:
            stuck = true;
            set(of_port(TFD), 0x7f); /* a port that would come up */
            break;
        case 5:
            silent = true;
            break;
        case 6:
            refuses = true;
            break;
        case 7:
            facts[83] = 0;
            break;
        case 8:
            facts[100] = 0;
            break;
        case 9:
            facts[106] = 0x5000;
            facts[117] = 128; /* words: less than a sector */
            break;
        case 10:
            facts[106] = 0x5000;
            facts[117] = 3 * 256;
            break;
        case 11:
            facts[106] = 0x5000;
            facts[117] = 256; /* a sector's, but for the upper word */
            facts[118] = 1;
            break;
        case 12:
            signature = 0xeb140101; /* a drive for discs */
            break;
        case 13:
            told = sizeof(facts) / 2;
            break;
        default:
            space[PCI_BAR / 4] |= 1;
        }
        EXPECT(vmi__device_info(0, &info) == VMI_ENOENT);
        EXPECT(!(space[1] & COMMAND_MASTER) && !locks);
    }
}

/* The firmware is asked to let go, where it can be. */
static void handed_over(void)
{
    plug();
    set(BOHC, 1);
    look();
    EXPECT(get(BOHC) == 1);
    plug();
    set(CAP2, 1);
    set(BOHC, 1);
    look();
    EXPECT(get(BOHC) == 3);
}

static void comes_up(void)
{
    plug();
    look();
    resets = 0;
    EXPECT(open_it() == VMI_OK && resets == 1);
    EXPECT(get(GHC) == (GHC_AE | 2) && get(of_port(PIE)) == 0x78000001);
    EXPECT(get(of_port(CMD)) == 0x17 && !get(of_port(CLB) + 4) && !get(of_port(CI)));
    EXPECT(get(of_port(CLB)) == (uintptr_t)memory_of_device); /* none of the library's memory */
    EXPECT(get(of_port(FB)) == (uintptr_t)memory_of_device + 1024);
}

static void does_not_come_up(void)
{
    for (uint32_t i = 0; i < 3; i++) {
        plug();
        look();
        stuck = i == 0;
        disk_at = i == 1 ? 3 : 2; /* nothing is linked */
        if (i == 2)
            while_waiting = 0; /* does nothing any more */
        EXPECT(open_it() == VMI_EIO && !(space[1] & COMMAND_MASTER));
        EXPECT(submit(0, 1) == VMI_EINVAL && !locks);
        stuck = false;
        disk_at = 2;
        while_waiting = play_controller;
        EXPECT(open_it() == VMI_OK);
    }
}

/* What reaches no memory above 4 GiB is given none. */
static void narrow(void)
{
    const struct vmi_memory_range more = {.base = 0, .size = 1ull << 33, .kind = VMI_MEMORY_USABLE};
    const struct vmi_segment behind = {.address = 1ull << 32, .length = SECTOR};
    const struct vmi_segment last = {.address = (1ull << 32) - SECTOR, .length = SECTOR};

    for (uint32_t wide = 0; wide < 2; wide++) {
        plug();
        set(CAP, wide << 31);
        look();
        vmi__boot.memory = &more;
        vmi__boot.memory_count = 1;
        EXPECT(open_it() == VMI_OK);
        vmi__boot.memory_count = 0;
        EXPECT(one_of(VMI_BLOCK_READ, 0, 1, 1, &behind) == (wide ? 1 : VMI_EINVAL));
        EXPECT(one_of(VMI_BLOCK_READ, 0, 1, 1, &last) == 1);
    }
}

static void numbers_of_a_setup(void)
{
    struct vmi_device_setup setup = {.queues = 1, .requests = 7, .segments = 3};
    struct vmi_device_memory needs;

    plug();
    look();
    /* The list, 7 tables of 768 bytes, a page of requests, the table of the interface. */
    EXPECT(vmi__device_needs(0, &setup, &needs) == VMI_OK && needs.size == 5 * PAGE);
    setup = (struct vmi_device_setup){.queues = 1, .requests = 8, .segments = 30};
    EXPECT(vmi__device_needs(0, &setup, &needs) == VMI_OK && needs.size == 6 * PAGE);
}

/* One after the other, in the order in which they were given, each when the one before has ended.
 */
static void one_by_one(void)
{
    begin();
    EXPECT(submit(0, 3) == 3 && get(of_port(CI)) == 1 && sector() == 0);
    set(of_port(CI), 0x11); /* which would show what is written there */
    EXPECT(submit(3, 1) == 1 && get(of_port(CI)) == 0x11 && sector() == 0);
    EXPECT(vmi__block_reap(0, 0, done, 8) == 0);
    for (uint32_t i = 0; i < 4; i++) {
        EXPECT(sector() == (i < 3 ? STEP * i : 0)); /* submit() begins at 0 */
        say(DONE, SECTOR);
        EXPECT(vmi__block_reap(0, 0, done, 8) == 1 && done[0].id == i);
        EXPECT(done[0].status == VMI_OK && done[0].length == SECTOR);
        EXPECT(get(of_port(CI)) == (i < 3));
    }
    EXPECT(vmi__block_reap(0, 0, done, 8) == 0);
    EXPECT(submit(4, 1) == 1 && get(of_port(CI)) == 1);
    say(DONE, SECTOR);
    EXPECT(vmi__block_reap(0, 0, done, 8) == 1 && done[0].id == 4);
}

static void each_ends_once(void)
{
    uint8_t seen[REQUESTS] = {0};

    begin();
    EXPECT(submit(0, REQUESTS) == (int32_t)REQUESTS);
    EXPECT(submit(0, 1) == 0);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        say(DONE, SECTOR);
        EXPECT(reap_all(seen, VMI_OK) == 1);
    }
    EXPECT(reap_all(seen, VMI_OK) == 0);
    EXPECT(submit(0, REQUESTS) == (int32_t)REQUESTS);
}

/* The line is lowered when a request is reaped or its interrupt ends, and tells of each end once.
 */
static void line(void)
{
    begin();
    EXPECT(!devices[0].driver->acknowledge(&devices[0]) && !get(IS));
    EXPECT(submit(0, 3) == 3);
    EXPECT(!devices[0].driver->acknowledge(&devices[0]) && !get(IS));
    /* One that tells of something else than the end. */
    set(of_port(PIS), 2);
    EXPECT(!devices[0].driver->acknowledge(&devices[0]) && get(IS) == 4 && get(of_port(PIS)) == 2);
    set(IS, 0);
    say(DONE, SECTOR);
    EXPECT(devices[0].driver->acknowledge(&devices[0]) && get(IS) == 4 && get(of_port(PIS)) == 1);
    EXPECT(!devices[0].driver->acknowledge(&devices[0]));
    /* What an interrupt has told of is taken without one. */
    set(IS, 0);
    set(of_port(CI), 1);
    EXPECT(vmi__block_reap(0, 0, done, 8) == 1 && !get(IS));
    /* Who asks in vain costs no register. */
    EXPECT(vmi__block_reap(0, 0, done, 8) == 0 && !get(IS));
    say(DONE, SECTOR);
    EXPECT(vmi__block_reap(0, 0, done, 8) == 1 && get(IS) == 4);
    say(DONE, SECTOR);
    EXPECT(devices[0].driver->acknowledge(&devices[0]) && !locks);
    EXPECT(!devices[0].driver->acknowledge(&devices[0]));
    EXPECT(vmi__block_reap(0, 0, done, 8) == 1);
    EXPECT(!devices[0].driver->acknowledge(&devices[0]));
}

/* An error is that of the command under way, whether that is shown as ended or not. */
static void errors(void)
{
    static const struct {
        uint32_t status, interrupts;
        bool under_way, acknowledged;
    } cases[] = {
        {FAILED, TFES, true, false}, {FAILED, TFES, false, false}, {FAILED, TFES, true, true},
        {FAILED, 1, false, false},   {0x70, 1, false, false},      {DONE, IFS, true, false},
        {DONE, IFS, true, true},     {FAILED, 1, false, true},     {0x70, 1, false, true},
    };

    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int32_t reaped = 0;

        begin();
        EXPECT(submit(0, 2) == 2);
        fail(cases[i].status, cases[i].interrupts, cases[i].under_way);
        if (cases[i].acknowledged) { /* which clears what tells of it */
            EXPECT(devices[0].driver->acknowledge(&devices[0]));
            set(of_port(PIS), 0);
        }
        set(of_port(SERR), 0);
        /* What memory does not tell of is seen, too, if not at once. */
        for (uint32_t look = 0; look < 65536 && !(reaped = vmi__block_reap(0, 0, done, 1)); look++)
            EXPECT(cases[i].interrupts == IFS && !cases[i].acknowledged);
        EXPECT(reaped == 1);
        EXPECT(done[0].id == 0 && done[0].status == VMI_EIO && !done[0].length);
        EXPECT(get(of_port(CMD)) == 0x17 && get(of_port(SERR)) == ~0u && get(of_port(PIS)) == ~0u);
        /* The next one is under way, and does not have its failure. */
        set(of_port(PIS), 0);
        EXPECT(get(of_port(CI)) == 1 && sector() == STEP);
        EXPECT(vmi__block_reap(0, 0, done, 8) == 0);
        say(DONE, SECTOR);
        EXPECT(vmi__block_reap(0, 0, done, 8) == 1 && done[0].status == VMI_OK);
        EXPECT(look().fault == VMI_FAULT_NONE);
    }
}

/* So many reads or writes of blocks that follow each other, of which one has its memory in parts.
 */
static int32_t submit_on(uint32_t operation, uint64_t first, uint64_t block, uint32_t wanted)
{
    const struct vmi_segment segments[] = {
        {.address = (uintptr_t)buffer, .length = SECTOR},
        {.address = (uintptr_t)buffer + 0x1000, .length = SECTOR},
        {.address = (uintptr_t)buffer + 0x3000, .length = SECTOR}};
    struct vmi_block_request requests[REQUESTS];

    for (uint32_t i = 0; i < wanted; i++)
        requests[i] = (struct vmi_block_request){
            .id = first + i,
            .operation = operation,
            .block = block + i + (i > 1 ? 1 : 0),
            .blocks = i == 1 ? 2 : 1,
            .count = i == 1 ? 2 : 1,
            .segments = i == 1 ? segments + 1 : segments,
        };
    return vmi__block_submit(0, 0, requests, wanted);
}

/* Of what follows each other there is one command, of which each has its own end. */
static void joined(void)
{
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t operation = i ? VMI_BLOCK_WRITE : VMI_BLOCK_READ;

        begin();
        EXPECT(submit_on(operation, 0, 0x12, 4) == 4 && get(of_port(CI)) == 1);
        EXPECT(header()->how == (5 | 5u << 16 | (i ? 0x40 : 0)) && !header()->table_high);
        EXPECT(table()->fis[2] == (i ? 0x35 : 0x25) && sector() == 0x12 && table()->fis[12] == 5);
        EXPECT((uintptr_t)table() % 128 == 0 && !header()->transferred);
        for (uint32_t j = 0; j < 5; j++) {
            EXPECT(table()->entries[j].last == SECTOR - 1);
            EXPECT(table()->entries[j].address == (uintptr_t)buffer + (j == 1   ? 0x1000
                                                                       : j == 2 ? 0x3000
                                                                                : 0));
        }
        /* What is given meanwhile waits. */
        EXPECT(submit_on(operation, 4, 0x17, 1) == 1 && header()->how >> 16 == 5);
        say(DONE, 5 * SECTOR);
        EXPECT(vmi__block_reap(0, 0, done, 1) == 1 && done[0].id == 0);
        EXPECT(get(of_port(CI)) == 1 && sector() == 0x17 && header()->how >> 16 == 1);
        EXPECT(vmi__block_reap(0, 0, done + 1, 8) == 3);
        for (uint32_t j = 0; j < 4; j++) {
            EXPECT(done[j].id == j && done[j].status == VMI_OK);
            EXPECT(done[j].length == (i ? 0 : j == 1 ? 2 * SECTOR : SECTOR));
        }
        say(DONE, SECTOR);
        EXPECT(vmi__block_reap(0, 0, done, 8) == 1 && done[0].id == 4);
    }
    /* A command that has moved less. */
    begin();
    EXPECT(submit_on(VMI_BLOCK_READ, 0, 0, 4) == 4);
    say(DONE, 2 * SECTOR + 10);
    EXPECT(vmi__block_reap(0, 0, done, 8) == 4 && done[0].length == SECTOR);
    EXPECT(done[1].length == SECTOR + 10 && !done[2].length && !done[3].length);
}

/* And one that says that it has moved more. */
static void joined_has_more_bytes(void)
{
    uint8_t seen[REQUESTS] = {0};

    begin();
    EXPECT(submit_on(VMI_BLOCK_READ, 0, 0, 3) == 3);
    say(DONE, 4 * SECTOR + 2);
    EXPECT(vmi__block_reap(0, 0, done, 2) == 2);
    seen[0] = seen[1] = 1;
    is_shut_off(VMI_FAULT_LENGTH, seen, 1);
}

/* What cannot be one command is several. */
static void not_joined(void)
{
    static uint8_t large[PAGE] __attribute__((aligned(4096)));
    struct vmi_segment segments[30];
    uint32_t entries = 0;

    /* A gap, the other way, and what has no blocks between. */
    begin();
    EXPECT(submit(0, 1) == 1);
    EXPECT(submit_on(VMI_BLOCK_READ, 1, 10, 1) == 1 && submit_on(VMI_BLOCK_READ, 2, 12, 1) == 1);
    EXPECT(submit_on(VMI_BLOCK_WRITE, 3, 13, 1) == 1);
    EXPECT(one_of(VMI_BLOCK_FLUSH, 0, 0, 0, 0) == 1);
    EXPECT(submit_on(VMI_BLOCK_WRITE, 5, 14, 1) == 1);
    for (uint32_t i = 0; i < 6; i++) {
        static const uint8_t sectors[] = {0, 10, 12, 13, 0, 14};

        EXPECT(sector() == sectors[i] && header()->how >> 16 == (i == 4 ? 0 : 1));
        say(DONE, SECTOR);
        EXPECT(vmi__block_reap(0, 0, done, 8) == 1);
    }
    /* More blocks than a command may have. */
    plug();
    facts[101] = 0x10;
    look();
    EXPECT(open_it() == VMI_OK && submit(0, 1) == 1);
    segments[0] = (struct vmi_segment){.address = 0, .length = 0x400000};
    segments[1] = segments[2] = segments[0];
    devices[0].memory_end = 0x2000000;
    for (uint32_t i = 0; i < 3; i++)
        EXPECT(one_of(VMI_BLOCK_READ, 0x6000 * i, 0x6000, 3, segments) == 1);
    say(DONE, SECTOR);
    EXPECT(vmi__block_reap(0, 0, done, 8) == 1 && sector() == 0 && header()->how >> 16 == 3);
    /* More entries than the table has. */
    plug();
    look();
    EXPECT(open_with((struct vmi_device_setup){.queues = 1, .requests = 8, .segments = 30}) ==
           VMI_OK);
    EXPECT(submit(0, 1) == 1);
    for (uint32_t i = 0; i < 30; i++)
        segments[i] = (struct vmi_segment){.address = (uintptr_t)large, .length = SECTOR};
    for (uint32_t i = 0; i < 7; i++)
        EXPECT(one_of(VMI_BLOCK_READ, 100 + 30 * i, 30, 30, segments) == 1);
    say(DONE, SECTOR);
    EXPECT(vmi__block_reap(0, 0, done, 8) == 1);
    entries = header()->how >> 16;
    EXPECT(entries == 150 && table()->fis[12] == 150);
    EXPECT(header()->table + sizeof(struct table) + 16 * entries <=
           (uintptr_t)memory_of_device + PAGE);
    say(DONE, 150 * SECTOR);
    EXPECT(vmi__block_reap(0, 0, done, 8) == 5 && header()->how >> 16 == 60 && sector() == 250);
}

/* Of several that fail together each is done by itself, before what has come meanwhile. */
static void failed_together(void)
{
    for (uint32_t i = 0; i < 2; i++) {
        begin();
        EXPECT(submit_on(VMI_BLOCK_READ, 0, 20, 3) == 3);
        if (i)
            EXPECT(submit_on(VMI_BLOCK_READ, 3, 24, 3) == 3);
        fail(FAILED, TFES, true);
        EXPECT(vmi__block_reap(0, 0, done, 8) == 0 && look().fault == VMI_FAULT_NONE);
        if (!i)
            EXPECT(submit_on(VMI_BLOCK_READ, 3, 24, 3) == 3);
        for (uint32_t j = 0; j < 3; j++) {
            static const uint8_t sectors[] = {20, 21, 23};

            set(of_port(PIS), 0);
            EXPECT(get(of_port(CI)) == 1 && sector() == sectors[j]);
            EXPECT(header()->how >> 16 == (j == 1 ? 2 : 1));
            if (j == 1)
                fail(FAILED, TFES, true);
            else
                say(DONE, SECTOR);
            EXPECT(vmi__block_reap(0, 0, done, 8) == 1 && done[0].id == j);
            EXPECT(done[0].status == (j == 1 ? VMI_EIO : VMI_OK));
        }
        set(of_port(PIS), 0);
        EXPECT(sector() == 24 && header()->how >> 16 == 4);
        say(DONE, 4 * SECTOR);
        EXPECT(vmi__block_reap(0, 0, done, 8) == 3 && done[2].id == 5);
        EXPECT(vmi__block_reap(0, 0, done, 8) == 0 && !get(of_port(CI)));
    }
}

/* A port that does not stop, or a disk that is busy for good, is shut off. */
static void does_not_go_on(void)
{
    for (uint32_t i = 0; i < 3; i++) {
        uint8_t seen[REQUESTS] = {0};

        begin();
        EXPECT(submit(0, 3) == 3);
        hangs = i == 0;
        fail(i == 1 ? BUSY : i == 2 ? 0x58 : FAILED, TFES, true);
        is_shut_off(VMI_FAULT_STATUS, seen, 3);
    }
}

static void say_first(uint32_t bytes)
{
    say(DONE, bytes);
}

static void more_bytes_than_room(void)
{
    first_has_more_bytes(say_first);
}

static void what_a_request_becomes(void)
{
    const struct vmi_segment segments[] = {
        {.address = (uintptr_t)buffer + 0x200, .length = 2 * SECTOR},
        {.address = (uintptr_t)buffer + 0x2e00, .length = 5 * SECTOR},
        {.address = (uintptr_t)buffer, .length = SECTOR}};
    const uint64_t *ranges;

    plug();
    facts[102] = 2;
    facts[169] = 1;
    look();
    EXPECT(open_it() == VMI_OK);
    for (uint32_t i = 0; i < 2; i++) {
        EXPECT(one_of(i ? VMI_BLOCK_WRITE : VMI_BLOCK_READ, 0x123456789, 8, 3, segments) == 1);
        EXPECT(header()->how == (5 | 3u << 16 | (i ? 0x40 : 0)) && !header()->transferred);
        EXPECT((uintptr_t)table() % 128 == 0 && !header()->table_high);
        EXPECT(table()->fis[0] == 0x27 && table()->fis[1] == 0x80 && table()->fis[7] == 0x40);
        EXPECT(table()->fis[2] == (i ? 0x35 : 0x25) && !table()->fis[3] && !table()->fis[11]);
        EXPECT(sector() == 0x123456789 && table()->fis[12] == 8 && !table()->fis[13]);
        for (uint32_t j = 0; j < 3; j++) {
            EXPECT(table()->entries[j].address == segments[j].address);
            EXPECT(table()->entries[j].last == segments[j].length - 1);
        }
        say(DONE, 8 * SECTOR);
        EXPECT(vmi__block_reap(0, 0, done, 2) == 1 && done[0].length == (i ? 0 : 8 * SECTOR));
    }
    EXPECT(one_of(VMI_BLOCK_FLUSH, 0, 0, 0, 0) == 1);
    EXPECT(header()->how == 5 && table()->fis[2] == 0xea && !sector() && !table()->fis[12]);
    say(DONE, 0);
    EXPECT(vmi__block_reap(0, 0, done, 2) == 1 && done[0].status == VMI_OK);
    EXPECT(one_of(VMI_BLOCK_DISCARD, 0x111111111, 65535 * 2 + 3, 0, 0) == 1);
    EXPECT(header()->how == (5 | 1u << 16 | 0x40) && table()->fis[2] == 0x06);
    EXPECT(table()->fis[3] == 1 && !sector() && table()->fis[12] == 1 && !table()->fis[13]);
    EXPECT(table()->entries[0].last == SECTOR - 1);
    ranges = (uint64_t *)(uintptr_t)table()->entries[0].address;
    EXPECT(ranges[0] == (0xffffull << 48 | 0x111111111));
    EXPECT(ranges[1] == (0xffffull << 48 | (0x111111111 + 65535)));
    EXPECT(ranges[2] == (3ull << 48 | (0x111111111 + 2 * 65535)) && !ranges[3]);
    say(DONE, 0);
    EXPECT(vmi__block_reap(0, 0, done, 2) == 1 && done[0].status == VMI_OK);
    /* None of it stays in what the slot is used for next. */
    EXPECT(one_of(VMI_BLOCK_DISCARD, 7, 1, 0, 0) == 1);
    ranges = (uint64_t *)(uintptr_t)table()->entries[0].address;
    EXPECT(ranges[0] == (1ull << 48 | 7) && !ranges[1]);
    say(DONE, 0);
    EXPECT(vmi__block_reap(0, 0, done, 2) == 1);
    EXPECT(one_of(VMI_BLOCK_READ, 0, 1, 1, &segments[2]) == 1);
    EXPECT(!table()->fis[3] && table()->fis[12] == 1 && table()->fis[2] == 0x25);
}

/* Tables of all slots at once do not lie on each other, nor on what is to be trimmed. */
static void tables(void)
{
    uintptr_t before = 0;

    plug();
    facts[169] = 1;
    look();
    EXPECT(open_it() == VMI_OK);
    for (uint32_t i = 0; i < REQUESTS; i++)
        EXPECT(one_of(VMI_BLOCK_DISCARD, i, 1, 0, 0) == 1);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        const uint64_t *range = (uint64_t *)(uintptr_t)table()->entries[0].address;

        EXPECT(*range == (1ull << 48 | i));
        EXPECT((uintptr_t)table() >= before);
        EXPECT((uintptr_t)range >= (uintptr_t)&table()->entries[SEGMENTS]);
        before = (uintptr_t)range + SECTOR;
        say(DONE, 0);
        EXPECT(vmi__block_reap(0, 0, done, 2) == 1);
    }
    EXPECT(before <= (uintptr_t)memory_of_device + 3 * PAGE);
}

static void closed_with_requests_in_flight(void)
{
    close_in_flight();
    /* One that does not reset itself reaches no memory. */
    begin();
    stuck = true;
    EXPECT(vmi__device_close(0) == VMI_OK && !(space[1] & COMMAND_MASTER));
}

static void lie(uint32_t what, uint32_t given)
{
    static const uint8_t places[] = {PIS, TFD, CI, CMD, SSTS, SERR};

    (void)given;
    if (!get(of_port(CLB)))
        return;
    if (what < 10)
        say(random() % 8 ? DONE : random() & 0xffff, random() % 8 ? SECTOR : random());
    else if (what == 10)
        fail(random() & 0xffff, random(), random() % 2);
    else if (what == 11)
        set(of_port(places[random() % 6]), random());
}

static void any_device(void)
{
    any_lies(SEEDS / 10, 16, lie);
}

static void lie_of_itself(void)
{
    static const uint8_t places[] = {83, 85, 100, 101, 102, 106, 117, 118, 169};

    for (uint32_t i = random() % 4; i < 4; i++)
        facts[places[random() % 9]] = (uint16_t)random();
    set(PI, random() % 2 ? random() & 0xff : 0x15);
}

static void has_one_queue(const struct vmi_device_properties *info)
{
    EXPECT(info->queues == 1);
}

static void any_description(void)
{
    any_descriptions(lie_of_itself, has_one_queue);
}

static const struct played_check all[] = {
    CHECK(says_what_it_is),
    CHECK(what_is_no_disk),
    CHECK(handed_over),
    CHECK(comes_up),
    CHECK(does_not_come_up),
    CHECK(narrow),
    CHECK(numbers_of_a_setup),
    CHECK(one_by_one),
    CHECK(each_ends_once),
    CHECK(line),
    CHECK(errors),
    CHECK(joined),
    CHECK(joined_has_more_bytes),
    CHECK(not_joined),
    CHECK(failed_together),
    CHECK(does_not_go_on),
    CHECK(more_bytes_than_room),
    CHECK(what_a_request_becomes),
    CHECK(tables),
    CHECK(closed_with_requests_in_flight),
    CHECK(any_device),
    CHECK(any_description),
};

PLAY(all)
