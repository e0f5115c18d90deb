/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Disks by AHCI: the first disk at the ports of a controller. Sources: Serial ATA AHCI 1.3.1
 * (sections are its own), ACS-3 for the disk's commands.
 *
 * A disk does one command at a time where there is no native queuing, and so does the driver: what
 * waits is in a queue of its own. Reads, or writes, of blocks that follow each other become one
 * command. An error is always that of the one command under way; if that is several requests, each
 * of them is done again by itself.
 */
#include "driver.h"
#include "pci/device.h"
#include "platform.h"
#include "runtime.h"

#define PAGE 4096u

#define CLASS 0x010601u /* mass storage, serial ATA, AHCI; above the revision (2.1.5) */
#define BAR   5u        /* 2.1.11 */

/* Registers of the controller (3.1), and of its ports (3.3). */
enum {
    CAPABILITIES = 0x00,
    CONTROL = 0x04,
    INTERRUPTS = 0x08, /* a bit of each port, cleared by writing 1 */
    PORTS = 0x0c,      /* a bit of each that there is */
    CAPABILITIES_2 = 0x24,
    HANDOFF = 0x28,
    CONTROLLER_BYTES = 0x100, /* and behind them the ports' */
    PORT_BYTES = 0x80,
};
enum {
    PORT_LIST = 0x00,
    PORT_RECEIVED = 0x08,
    PORT_INTERRUPTS = 0x10, /* cleared by writing 1 */
    PORT_ENABLED = 0x14,    /* which of them interrupt */
    PORT_COMMAND = 0x18,
    PORT_STATUS = 0x20, /* the disk's: status, and error above */
    PORT_SIGNATURE = 0x24,
    PORT_LINK = 0x28,
    PORT_ERRORS = 0x30, /* cleared by writing 1 */
    PORT_ISSUE = 0x38,  /* a bit of each command under way */
};

#define CAPABILITIES_64    0x80000000u /* it reaches memory above 4 GiB */
#define CONTROL_RESET      0x1u
#define CONTROL_INTERRUPTS 0x2u
#define CONTROL_AHCI       0x80000000u
#define HAS_HANDOFF        0x1u
#define HANDOFF_FIRMWARE   0x1u /* it owns the controller (3.1.11) */
#define HANDOFF_OURS       0x2u
#define PORTS_MAX          32u

#define COMMAND_START   0x1u
#define COMMAND_UP      0x6u /* spin up, power on */
#define COMMAND_RECEIVE 0x10u
#define COMMAND_RUNS    0x8000u

#define LINK_STATE     0xfu
#define LINK_UP        3u
#define SIGNATURE_DISK 0x00000101u

#define STATUS_ERROR   0x01u
#define STATUS_REQUEST 0x08u
#define STATUS_FAULT   0x20u
#define STATUS_BUSY    0x80u

/* What ends a command: the disk has sent its registers, or an error of it or on the way (3.3.5). */
#define INTERRUPT_REGISTERS 0x00000001u
#define INTERRUPT_ERRORS    0x78000000u

#define MILLISECONDS_RESET   1000u  /* 10.4.3 */
#define MILLISECONDS_STOP    500u   /* 10.3.1 */
#define MILLISECONDS_LINK    100u   /* 10.1.2 */
#define MILLISECONDS_READY   30000u /* until a disk has spun up */
#define MILLISECONDS_COMMAND 10000u
#define MILLISECONDS_HANDOFF 2000u /* 10.6.3 */

/* Commands (ACS-3, 7), with 48 bits of a sector's number but for the first one. */
enum {
    IDENTIFY = 0xec,
    READ = 0x25,
    WRITE = 0x35,
    FLUSH = 0xea,
    DATASET = 0x06,
};
#define FEATURE_TRIM 0x1u
#define DEVICE_LBA   0x40u

/* Words of what a disk says of itself (ACS-3, 7.12.7). */
enum {
    WORD_COMMANDS = 83,
    WORD_ENABLED = 85,
    WORD_SECTORS = 100,
    WORD_SECTOR_SIZE = 106,
    WORD_SECTOR_WORDS = 117,
    WORD_DATASET = 169,
};
#define COMMANDS_LBA48       0x0400u
#define ENABLED_CACHE        0x0020u
#define SECTOR_SIZE_VALID    0xc000u
#define SECTOR_SIZE_IS_VALID 0x4000u
#define SECTOR_SIZE_LARGER   0x1000u /* than 512 bytes: by words 117 and 118 */
#define DATASET_TRIM         0x0001u

#define SECTOR      512u
#define BLOCK_MOST  0x10000u
#define BYTES_MAX   0x1000000u /* of a request, at most 65536 sectors */
#define SEGMENT_MAX 0x400000u  /* of an entry of a table (4.2.3.3) */
#define RANGE_MAX   0xffffu    /* sectors of a range to be trimmed */
#define RANGES      (SECTOR / (uint32_t)sizeof(uint64_t))

/* A header in the list of commands (4.2.2). */
struct header {
    uint32_t how; /* words of the command, direction, entries of its table */
    uint32_t transferred;
    uint32_t table, table_high;
    uint32_t reserved[4];
};
#define HOW_WORDS   5u
#define HOW_WRITE   0x40u
#define HOW_ENTRIES 16

/* What is sent to the disk, and which memory it is about (4.2.3; SATA 3, 10.5.5). */
struct table {
    uint8_t command[64];
    uint8_t packet[16], reserved[48];
    struct {
        uint64_t address;
        uint32_t reserved, last; /* byte of it */
    } entries[];
};
#define TABLE_BYTES     128u /* without entries, and what tables are aligned to */
#define FIS_TO_DEVICE   0x27u
#define FIS_IS_COMMAND  0x80u
#define RECEIVED_OFFSET 1024u /* behind the list; 256 bytes */
#define RECEIVED_BYTES  256u
#define RECEIVED_ENDED  0x40u /* in it what a disk sends when a command has ended (4.2.1) */
#define FIS_FROM_DEVICE 0x34u
#define FIS_STATUS      2u /* in it, as the register (SATA 3, 10.5.6) */

/* Behind them, in the same page, the table of a command that is several requests. */
#define JOINED_OFFSET  (RECEIVED_OFFSET + RECEIVED_BYTES)
#define JOINED_ENTRIES ((PAGE - JOINED_OFFSET - TABLE_BYTES) / 16u)

/* So many looks at memory for one at registers, which tell of what never gets to memory. */
#define LOOKS 65536u

/* What there is of each request beside its table. */
struct request {
    uint64_t block;
    uint32_t blocks; /* 0 for what is neither read nor written */
    uint32_t how;    /* of its header */
    uint32_t next;   /* slot of the one behind it */
};

#define NO_SLOT 0xffffffffu

struct ahci {
    volatile char *registers;
    uint32_t port;
    bool wide;
    volatile struct header *header; /* the first one of the list: no other is used */
    volatile uint8_t *received; /* begins with FIS_FROM_DEVICE when the disk has ended something */
    uint32_t looks;
    char *tables;
    struct request *requests;
    uint32_t table_bytes;
    struct table *joined;
    uint32_t current;     /* first slot whose command is under way, NO_SLOT for none */
    uint32_t count;       /* slots that it is the command of */
    uint32_t first, last; /* of those that wait, NO_SLOT for none */
    uint32_t apart;       /* so many of these have failed together: each is to be done by itself */
    uint32_t ended;       /* first slot that has ended well and is not taken yet */
    uint32_t left;        /* how many these are */
    uint32_t transferred; /* bytes for them */
    uint32_t errors;      /* interrupts that tell of one, seen and cleared */
    bool told;            /* an interrupt, which is cleared, has told of the end of `current` */
};
_Static_assert(sizeof(struct ahci) <= VMI__DRIVER_BYTES, "a driver's record has no room for it");

/*
 * What a disk that is looked at has in place of a kernel's memory, and what it says of itself.
 * Images have it where clients of the published API, who use no devices, have no memory for it.
 */
static struct {
    char list[RECEIVED_OFFSET];
    char received[RECEIVED_BYTES];
    char table[TABLE_BYTES + 16];
    uint16_t facts[SECTOR / 2];
} looked __attribute__((aligned(PAGE), section(".bss..bound_only")));

static struct ahci *ahci_of(struct vmi__device *device)
{
    return (struct ahci *)device->own;
}

/* ---- registers ---- */

static volatile uint32_t *at(const struct ahci *ahci, uint32_t offset)
{
    return (volatile uint32_t *)(ahci->registers + offset);
}

static volatile uint32_t *port(const struct ahci *ahci, uint32_t offset)
{
    return at(ahci, CONTROLLER_BYTES + ahci->port * PORT_BYTES + offset);
}

static void write_address(volatile uint32_t *to, const void *linear)
{
    uint64_t address = vmi__physical(linear);

    to[0] = (uint32_t)address;
    to[1] = (uint32_t)(address >> 32);
}

/* ---- the controller and its port ---- */

/* Resets all of it (10.4.3): it reaches no memory from then on. */
static bool reset(const struct ahci *ahci)
{
    *at(ahci, CONTROL) = CONTROL_AHCI;
    *at(ahci, CONTROL) = CONTROL_AHCI | CONTROL_RESET;
    if (!vmi__wait_for(at(ahci, CONTROL), CONTROL_RESET, 0, MILLISECONDS_RESET))
        return false;
    *at(ahci, CONTROL) = CONTROL_AHCI;
    return true;
}

/* Is the disk neither busy nor in the middle of something? */
static bool is_ready(const struct ahci *ahci, uint32_t milliseconds)
{
    return vmi__wait_for(port(ahci, PORT_STATUS), STATUS_BUSY | STATUS_REQUEST, 0, milliseconds);
}

/* Is something at the port that is to come up (10.1.2)? */
VMI__RUN_ONCE static bool is_linked(const struct ahci *ahci, uint32_t milliseconds)
{
    return vmi__wait_for(port(ahci, PORT_LINK), LINK_STATE, LINK_UP, milliseconds);
}

/*
 * Brings the port up (10.1.2), with a list of commands at memory that is zeroed; false if no disk
 * comes up.
 */
VMI__RUN_ONCE static bool bring_up(struct ahci *ahci, char *list)
{
    ahci->header = (volatile struct header *)list;
    ahci->received = (volatile uint8_t *)list + RECEIVED_OFFSET + RECEIVED_ENDED;
    write_address(port(ahci, PORT_LIST), list);
    write_address(port(ahci, PORT_RECEIVED), list + RECEIVED_OFFSET);
    *port(ahci, PORT_COMMAND) = COMMAND_UP | COMMAND_RECEIVE;
    *port(ahci, PORT_ERRORS) = ~0u;
    *port(ahci, PORT_INTERRUPTS) = *port(ahci, PORT_INTERRUPTS);
    if (!is_ready(ahci, MILLISECONDS_READY) || *port(ahci, PORT_SIGNATURE) != SIGNATURE_DISK)
        return false;
    *port(ahci, PORT_COMMAND) |= COMMAND_START;
    return true;
}

static VMI__ADDRESS_TAKEN void stop(struct vmi__device *device)
{
    /* Should it not reset itself: it reaches no memory all the same. */
    reset(ahci_of(device));
    vmi__pci_enable(device->place, false);
}

/* Lowers the line if the port has raised it; errors are kept. */
static bool lower(struct ahci *ahci)
{
    uint32_t seen = *port(ahci, PORT_INTERRUPTS);

    if (!seen)
        return false;
    ahci->errors |= seen & INTERRUPT_ERRORS;
    *port(ahci, PORT_INTERRUPTS) = seen;
    *at(ahci, INTERRUPTS) = 1u << ahci->port;
    return true;
}

/* The disk's status at the end of a command: from memory, where it has sent it there. */
static uint32_t status(const struct ahci *ahci)
{
    return *ahci->received == FIS_FROM_DEVICE ? ahci->received[FIS_STATUS]
                                              : *port(ahci, PORT_STATUS);
}

/* Has the command failed that has ended, or has stopped the port? Lowers the line. */
static bool has_failed(struct ahci *ahci)
{
    if (!ahci->told)
        lower(ahci);
    return ahci->errors || status(ahci) & (STATUS_ERROR | STATUS_FAULT);
}

/* Has the port go on after a command that has failed (6.2.2.1); false if it does not. */
VMI__RUN_ONCE static bool recover(struct ahci *ahci)
{
    *port(ahci, PORT_COMMAND) &= ~COMMAND_START;
    if (!vmi__wait_for(port(ahci, PORT_COMMAND), COMMAND_RUNS, 0, MILLISECONDS_STOP))
        return false;
    *port(ahci, PORT_ERRORS) = ~0u;
    *port(ahci, PORT_INTERRUPTS) = ~0u;
    ahci->errors = 0;
    /* A disk that hangs in the command could be reset, and would have lost what it had in mind. */
    if (!is_ready(ahci, MILLISECONDS_STOP))
        return false;
    *port(ahci, PORT_COMMAND) |= COMMAND_START;
    return true;
}

/* ---- commands ---- */

/* Writes a command to a table that is zeroed (SATA 3, 10.5.5). */
static void write_command(struct table *table, uint32_t command, uint32_t features, uint64_t sector,
                          uint32_t count)
{
    uint8_t *fis = table->command;

    fis[0] = FIS_TO_DEVICE;
    fis[1] = FIS_IS_COMMAND;
    fis[2] = (uint8_t)command;
    fis[3] = (uint8_t)features;
    for (uint32_t i = 0; i < 3; i++) {
        fis[4 + i] = (uint8_t)(sector >> 8 * i);
        fis[8 + i] = (uint8_t)(sector >> 8 * (i + 3));
    }
    fis[7] = DEVICE_LBA;
    fis[12] = (uint8_t)count;
    fis[13] = (uint8_t)(count >> 8);
}

static void set_entry(struct table *table, uint32_t number, uint64_t address, uint32_t bytes)
{
    table->entries[number].address = address;
    table->entries[number].reserved = 0;
    table->entries[number].last = bytes - 1;
}

/* Has the disk do what is in a table. */
static void issue(struct ahci *ahci, const struct table *table, uint32_t how)
{
    uint64_t address = vmi__physical(table);

    *ahci->received = 0;
    ahci->header->how = how;
    ahci->header->transferred = 0;
    ahci->header->table = (uint32_t)address;
    ahci->header->table_high = (uint32_t)(address >> 32);
    vmi__compiler_fence();
    *port(ahci, PORT_ISSUE) = 1;
}

/* ---- finding ---- */

/* What the disk says of itself; false if it says nothing. */
VMI__RUN_ONCE static bool identify(struct ahci *ahci)
{
    struct table *table = (struct table *)looked.table;

    memset(&looked, 0, sizeof(looked));
    if (!bring_up(ahci, looked.list))
        return false;
    write_command(table, IDENTIFY, 0, 0, 0);
    set_entry(table, 0, vmi__physical(looked.facts), sizeof(looked.facts));
    issue(ahci, table, HOW_WORDS | 1u << HOW_ENTRIES);
    return vmi__wait_for(port(ahci, PORT_ISSUE), 1, 0, MILLISECONDS_COMMAND) && !has_failed(ahci) &&
           ahci->header->transferred == sizeof(looked.facts);
}

static uint32_t word(uint32_t number)
{
    return *(const volatile uint16_t *)&looked.facts[number];
}

/* Takes what the disk has said; false if that cannot be. */
VMI__RUN_ONCE static bool describe(struct vmi__device *device)
{
    struct vmi_device_properties *info = &device->info;
    uint32_t size = word(WORD_SECTOR_SIZE);

    *info = (struct vmi_device_properties){.kind = VMI_DEVICE_BLOCK};
    if (!(word(WORD_COMMANDS) & COMMANDS_LBA48))
        return false;
    info->flags = word(WORD_ENABLED) & ENABLED_CACHE ? VMI_DEVICE_IS_CACHED : 0;
    info->block_size = SECTOR;
    if ((size & SECTOR_SIZE_VALID) == SECTOR_SIZE_IS_VALID && size & SECTOR_SIZE_LARGER)
        info->block_size = 2 * (word(WORD_SECTOR_WORDS) | word(WORD_SECTOR_WORDS + 1) << 16);
    if (info->block_size < SECTOR || info->block_size > BLOCK_MOST ||
        info->block_size & (info->block_size - 1))
        return false;
    for (uint32_t i = 0; i < 3; i++)
        info->blocks |= (uint64_t)word(WORD_SECTORS + i) << 16 * i;
    info->queues = 1;
    info->requests = VMI__REQUESTS_MAX;
    info->segments = VMI__SEGMENTS_MAX;
    info->segment_bytes = SEGMENT_MAX;
    info->request_blocks = BYTES_MAX / info->block_size;
    if (word(WORD_DATASET) & DATASET_TRIM)
        info->discard_blocks = RANGES * RANGE_MAX;
    return info->blocks;
}

/* Takes the controller over from the firmware, where that gives it up (10.6.3). */
VMI__RUN_ONCE static void take_over(const struct ahci *ahci)
{
    if (!(*at(ahci, CAPABILITIES_2) & HAS_HANDOFF))
        return;
    *at(ahci, HANDOFF) |= HANDOFF_OURS;
    vmi__wait_for(at(ahci, HANDOFF), HANDOFF_FIRMWARE, 0, MILLISECONDS_HANDOFF);
}

/* Maps the registers of a controller with all of its ports; those, a bit of each. */
VMI__RUN_ONCE static uint32_t find_parts(struct ahci *ahci, uint32_t place)
{
    uint32_t ports, most = PORTS_MAX;

    vmi__pci_enable(place, false);
    ahci->registers = vmi__pci_map(place, BAR, 0, CONTROLLER_BYTES);
    if (!ahci->registers)
        return 0;
    ports = *at(ahci, PORTS);
    while (most && !(ports >> (most - 1) & 1))
        most--;
    ahci->wide = *at(ahci, CAPABILITIES) & CAPABILITIES_64;
    ahci->registers = vmi__pci_map(place, BAR, 0, CONTROLLER_BYTES + most * PORT_BYTES);
    return ahci->registers ? ports : 0;
}

VMI__RUN_ONCE static VMI__ADDRESS_TAKEN void probe(uint32_t place, void *context)
{
    struct vmi__device *device;
    struct ahci *ahci;
    uint32_t ports, patience = MILLISECONDS_LINK;
    bool found = false;

    if (vmi__platform_pci_read(place, VMI__PCI_CLASS) >> 8 != CLASS)
        return;
    device = vmi__device_add(context, place);
    if (!device)
        return;
    ahci = ahci_of(device);
    ports = find_parts(ahci, place);
    if (!ports)
        return;
    take_over(ahci);
    if (reset(ahci))
        vmi__pci_enable(place, true);
    else
        ports = 0;
    /* All ports come up at the same time. */
    for (ahci->port = 0; ahci->port < PORTS_MAX; ahci->port++)
        if (ports >> ahci->port & 1)
            *port(ahci, PORT_COMMAND) = COMMAND_UP;
    for (uint32_t i = 0; i < PORTS_MAX && !found; i++) {
        ahci->port = i;
        if (!(ports >> i & 1))
            continue;
        if (is_linked(ahci, patience))
            found = identify(ahci) && describe(device);
        else
            patience = 0;
        if (!found)
            *port(ahci, PORT_COMMAND) = 0;
    }
    stop(device);
    if (found)
        vmi__pci_device_keep(device);
}

static VMI__ADDRESS_TAKEN void find(const struct vmi__driver *driver)
{
    vmi__pci_each(probe, (void *)(uintptr_t)driver);
}

/* ---- opening ---- */

static uintptr_t whole_pages(uintptr_t bytes)
{
    return (bytes + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
}

/* Bytes of a slot's table, and behind them those of what is to be trimmed. */
static uint32_t table_bytes(const struct vmi_device_setup *setup)
{
    return ((TABLE_BYTES + 16 * setup->segments + TABLE_BYTES - 1) & ~(TABLE_BYTES - 1)) + SECTOR;
}

/* The list, the tables, and what there is of requests: in pages of their own. */
static VMI__ADDRESS_TAKEN uintptr_t memory(struct vmi__device *device,
                                           const struct vmi_device_setup *setup)
{
    (void)device;
    return PAGE + whole_pages((uintptr_t)setup->requests * table_bytes(setup)) +
           whole_pages(setup->requests * (uintptr_t)sizeof(struct request));
}

VMI__RUN_ONCE static VMI__ADDRESS_TAKEN bool start(struct vmi__device *device, void *pages)
{
    const struct vmi_device_setup *setup = &device->setup;
    struct ahci *ahci = ahci_of(device);
    uintptr_t tables = whole_pages((uintptr_t)setup->requests * table_bytes(setup));
    char *linear = pages;

    ahci->tables = linear + PAGE;
    ahci->table_bytes = table_bytes(setup);
    ahci->requests = (struct request *)(linear + PAGE + tables);
    ahci->joined = (struct table *)(linear + JOINED_OFFSET);
    ahci->current = ahci->first = ahci->last = NO_SLOT;
    ahci->apart = ahci->left = ahci->errors = 0;
    ahci->told = false;
    if (!ahci->wide) {
        if ((uint64_t)vmi__physical(pages) + memory(device, setup) > 1ull << 32)
            return false;
        if (device->memory_end > 1ull << 32)
            device->memory_end = 1ull << 32;
    }
    if (!reset(ahci))
        return false;
    vmi__pci_enable(device->place, true);
    *port(ahci, PORT_COMMAND) = COMMAND_UP;
    if (!is_linked(ahci, MILLISECONDS_LINK) || !bring_up(ahci, linear))
        return false;
    *port(ahci, PORT_ENABLED) = INTERRUPT_REGISTERS | INTERRUPT_ERRORS;
    *at(ahci, CONTROL) = CONTROL_AHCI | CONTROL_INTERRUPTS;
    return true;
}

/* ---- requests ---- */

static struct table *table_of(const struct ahci *ahci, uint32_t slot)
{
    return (struct table *)(ahci->tables + (uintptr_t)slot * ahci->table_bytes);
}

/* Writes the ranges of a discard behind a slot's table: 48 bits of a sector's number, 16 of a
 * count. */
static uint64_t *write_ranges(const struct ahci *ahci, uint32_t slot,
                              const struct vmi_block_request *wanted)
{
    uint64_t *ranges = (uint64_t *)((char *)table_of(ahci, slot + 1) - SECTOR);
    uint64_t sector = wanted->block;
    uint32_t left = wanted->blocks;

    memset(ranges, 0, SECTOR);
    for (uint32_t i = 0; left; i++) {
        uint32_t part = vmi__least(left, RANGE_MAX);

        ranges[i] = (uint64_t)part << 48 | sector;
        sector += part;
        left -= part;
    }
    return ranges;
}

static VMI__ADDRESS_TAKEN void put(struct vmi__device *device, uint32_t number, uint32_t slot,
                                   const struct vmi_block_request *wanted)
{
    struct ahci *ahci = ahci_of(device);
    struct table *table = table_of(ahci, slot);
    struct request *request = &ahci->requests[slot];

    (void)number;
    *request = (struct request){.how = HOW_WORDS, .next = NO_SLOT};
    if (wanted->operation <= VMI_BLOCK_WRITE) {
        bool writes = wanted->operation == VMI_BLOCK_WRITE;

        write_command(table, writes ? WRITE : READ, 0, wanted->block, wanted->blocks);
        for (uint32_t i = 0; i < wanted->count; i++)
            set_entry(table, i, wanted->segments[i].address, wanted->segments[i].length);
        request->how |= wanted->count << HOW_ENTRIES | (writes ? HOW_WRITE : 0);
        request->block = wanted->block;
        request->blocks = wanted->blocks;
    } else if (wanted->operation == VMI_BLOCK_FLUSH) {
        write_command(table, FLUSH, 0, 0, 0);
    } else {
        write_command(table, DATASET, FEATURE_TRIM, 0, 1);
        set_entry(table, 0, vmi__physical(write_ranges(ahci, slot, wanted)), SECTOR);
        request->how |= 1u << HOW_ENTRIES | HOW_WRITE;
    }
    if (ahci->first == NO_SLOT)
        ahci->first = slot;
    else
        ahci->requests[ahci->last].next = slot;
    ahci->last = slot;
}

/* How many that wait, from the first one on, can be one command, and what that one is. */
static uint32_t join(struct vmi__device *device, struct request *whole)
{
    const struct ahci *ahci = ahci_of(device);
    uint32_t count = 1;

    *whole = ahci->requests[ahci->first];
    for (; whole->blocks && !ahci->apart && whole->next != NO_SLOT; count++) {
        const struct request *next = &ahci->requests[whole->next];
        uint32_t entries = (whole->how + next->how) >> HOW_ENTRIES;

        if (!next->blocks || (whole->how ^ next->how) & HOW_WRITE ||
            next->block != whole->block + whole->blocks ||
            next->blocks > device->info.request_blocks - whole->blocks || entries > JOINED_ENTRIES)
            break;
        whole->blocks += next->blocks;
        whole->how += next->how >> HOW_ENTRIES << HOW_ENTRIES;
        whole->next = next->next;
    }
    return count;
}

/* Writes the command that does so many requests from the current one on. */
static struct table *write_joined(struct ahci *ahci, const struct request *whole)
{
    struct table *table = ahci->joined;
    uint32_t slot = ahci->current, entries = 0;

    write_command(table, whole->how & HOW_WRITE ? WRITE : READ, 0, whole->block, whole->blocks);
    for (uint32_t i = 0; i < ahci->count; i++, slot = ahci->requests[slot].next) {
        const struct table *part = table_of(ahci, slot);

        for (uint32_t j = 0; j < ahci->requests[slot].how >> HOW_ENTRIES; j++)
            table->entries[entries++] = part->entries[j];
    }
    return table;
}

static VMI__ADDRESS_TAKEN void tell(struct vmi__device *device, uint32_t number)
{
    struct ahci *ahci = ahci_of(device);
    struct request whole;

    (void)number;
    if (ahci->current != NO_SLOT || ahci->first == NO_SLOT)
        return;
    ahci->count = join(device, &whole);
    ahci->current = ahci->first;
    ahci->first = whole.next;
    ahci->apart -= ahci->apart ? 1 : 0;
    ahci->told = false;
    issue(ahci, ahci->count > 1 ? write_joined(ahci, &whole) : table_of(ahci, ahci->current),
          whole.how);
}

/* Has the command under way ended, or stopped the port? Memory tells that at less cost. */
static bool has_ended(struct ahci *ahci)
{
    if (ahci->current == NO_SLOT)
        return false;
    if (ahci->told || ahci->errors)
        return true;
    if (*ahci->received != FIS_FROM_DEVICE && ++ahci->looks % LOOKS)
        return false;
    if (!(*port(ahci, PORT_ISSUE) & 1))
        return true;
    ahci->errors |= *port(ahci, PORT_INTERRUPTS) & INTERRUPT_ERRORS;
    return ahci->errors;
}

/* What was one command waits anew, before all else, to be done one by one. */
VMI__RUN_ONCE static void wait_apart(struct ahci *ahci)
{
    uint32_t last = ahci->current;

    for (uint32_t i = 1; i < ahci->count; i++)
        last = ahci->requests[last].next;
    ahci->requests[last].next = ahci->first;
    if (ahci->first == NO_SLOT)
        ahci->last = last;
    ahci->first = ahci->current;
    ahci->apart = ahci->count;
}

/*
 * Ends the command under way: what it has done is to be taken from then on, what has failed with
 * others is done anew, and what has failed alone is taken at once.
 */
static enum vmi__taken end_command(struct vmi__device *device, struct vmi__ended *ended)
{
    struct ahci *ahci = ahci_of(device);
    enum vmi__taken taken = VMI__TAKEN_NONE;

    if (!has_failed(ahci)) {
        ahci->ended = ahci->current;
        ahci->left = ahci->count;
        ahci->transferred = ahci->header->transferred;
    } else if (!recover(ahci)) {
        return vmi__device_fault(device, VMI_FAULT_STATUS);
    } else if (ahci->count > 1) {
        wait_apart(ahci);
    } else {
        *ended = (struct vmi__ended){.slot = ahci->current, .status = VMI_EIO};
        taken = VMI__TAKEN_ONE;
    }
    ahci->current = NO_SLOT;
    tell(device, 0);
    return taken;
}

static VMI__ADDRESS_TAKEN enum vmi__taken take(struct vmi__device *device, uint32_t number,
                                               struct vmi__ended *ended)
{
    struct ahci *ahci = ahci_of(device);
    uint32_t room;

    if (!ahci->left && has_ended(ahci)) {
        enum vmi__taken taken = end_command(device, ended);

        if (taken != VMI__TAKEN_NONE)
            return taken;
    }
    if (!ahci->left)
        return VMI__TAKEN_NONE;
    *ended = (struct vmi__ended){.slot = ahci->ended, .status = VMI_OK};
    room = device->queues[number].slots[ahci->ended].room;
    if (room) {
        ended->length = ahci->left > 1 ? vmi__least(ahci->transferred, room) : ahci->transferred;
        ahci->transferred -= ended->length;
    }
    ahci->ended = ahci->requests[ahci->ended].next;
    ahci->left--;
    return VMI__TAKEN_ONE;
}

static VMI__ADDRESS_TAKEN bool ask(struct vmi__device *device, uint32_t number)
{
    (void)number;
    return has_ended(ahci_of(device));
}

/* Under the queue's lock: errors are kept in memory, and who takes them looks there. */
static VMI__ADDRESS_TAKEN bool acknowledge(struct vmi__device *device)
{
    struct ahci *ahci = ahci_of(device);
    uint32_t flags = vmi__platform_enter(&device->queues[0].lock);
    bool again = false;

    if (device->state == VMI__DEVICE_OPEN && lower(ahci)) {
        bool over = !(*port(ahci, PORT_ISSUE) & 1); /* and what was written has got there */

        again = ahci->current != NO_SLOT && (over || ahci->errors) && !ahci->told;
        ahci->told |= again;
    }
    vmi__platform_leave(&device->queues[0].lock, flags);
    return again;
}

const struct vmi__driver vmi__driver_ahci;
const struct vmi__driver vmi__driver_ahci = {
    .name = "ahci",
    .find = find,
    .memory = memory,
    .start = start,
    .stop = stop,
    .put = put,
    .tell = tell,
    .take = take,
    .ask = ask,
    .acknowledge = acknowledge,
};
