/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Virtio devices by MMIO, which the command line tells, as a Linux process: this file is the
 * devices, which lie. Their registers are plain memory.
 */
#include "devices/played_interface.h"

#include "virtio/device.h"

extern const struct vmi__driver vmi__driver_virtio_blk, vmi__driver_virtio_rng,
    vmi__driver_virtio_mmio;

/* A driver that is none of virtio's is passed over. */
static void finds_nothing(const struct vmi__driver *driver)
{
    (void)driver;
}

static const struct vmi__driver other = {.name = "other", .find = finds_nothing};
const struct vmi__driver *const vmi__drivers[] = {
    &other, &vmi__driver_virtio_blk, &vmi__driver_virtio_rng, &vmi__driver_virtio_mmio, 0};

/* By the standard itself: VIRTIO 1.2, 4.2.2, 5.2.4. */
enum {
    MAGIC = 0x00,
    VERSION = 0x04,
    TYPE = 0x08,
    OFFERED = 0x10,
    QUEUE_MOST = 0x34,
    QUEUE_SIZE = 0x38,
    QUEUE_READY = 0x44,
    NOTIFIED = 0x50,
    CAUSES = 0x60,
    ACKNOWLEDGED = 0x64,
    STATUS = 0x70,
    QUEUE_DESCRIPTORS = 0x80,
    QUEUE_DRIVER = 0x90,
    QUEUE_DEVICE = 0xa0,
    CONFIG = 0x100,
};
#define MAGIC_VALUE 0x74726976u
#define NONE        0xffffffffu
#define FEATURES    (1u << 28) /* indirect descriptors */

#define BASE     0xfeb00000u
#define STEP     0x200u
#define SECTORS  0x40u
#define REQUESTS 8u
#define SEGMENTS 1u
#define SECTOR   512u
#define SEEDS    2000u

/* ---- the machine ---- */

static uint8_t registers[2][PAGE] __attribute__((aligned(4096)));
static uint32_t printed; /* lines */

void vmi__print(const char *text)
{
    for (; *text; text++)
        printed += *text == '\n';
}

void vmi__platform_pause(void)
{
}

void vmi__platform_delay(uint32_t microseconds)
{
    (void)microseconds;
}

uint32_t vmi__platform_pci_read(uint32_t function, uint32_t offset)
{
    (void)function;
    (void)offset;
    return ~0u;
}

void vmi__platform_pci_write(uint32_t function, uint32_t offset, uint32_t value)
{
    (void)function;
    (void)offset;
    (void)value;
    EXPECT(false);
}

volatile void *vmi__platform_map(uint64_t base, uintptr_t size)
{
    EXPECT(base % PAGE == 0 && size % PAGE == 0 && size);
    return base >= BASE && base + size <= BASE + sizeof(registers) ? registers[0] + (base - BASE)
                                                                   : 0;
}

static uint8_t *at(uint32_t number)
{
    return registers[0] + number * STEP;
}

static uint32_t get(uint32_t number, uint32_t offset)
{
    uint32_t value;

    memcpy(&value, at(number) + offset, 4);
    return value;
}

static void set(uint32_t number, uint32_t offset, uint32_t value)
{
    memcpy(at(number) + offset, &value, 4);
}

/* A sound device of that type at a place. */
static void plug_one(uint32_t number, uint32_t type)
{
    set(number, MAGIC, MAGIC_VALUE);
    set(number, VERSION, 2);
    set(number, TYPE, type);
    /* Both halves of the features read the same: bit 0 of the upper one is VERSION_1. */
    set(number, OFFERED, 1 | FEATURES);
    set(number, QUEUE_MOST, 64);
    set(number, NOTIFIED, NONE);
    set(number, CONFIG, SECTORS);
}

/* A machine that nobody has looked at, whose command line is that. */
static void begin_with(const char *line)
{
    memset(registers, 0, sizeof(registers));
    forget_devices();
    printed = 0;
    vmi__boot.command_line = line;
}

static uint32_t found_devices(void)
{
    struct vmi_device_properties info;

    vmi__device_info(0, &info);
    return count;
}

#define DISK   "virtio_mmio.device=512@0xfeb00200:7"
#define SOURCE "virtio_mmio.device=0x200@0xfeb00400:33:2"

/* Of the disk, which is the first device. */
static struct vmi_device_properties look(void)
{
    return info_of_first();
}

static int32_t open_with(struct vmi_device_setup setup)
{
    set(1, QUEUE_SIZE, 0);
    return open_first(setup);
}

static bool is_reset(void)
{
    return !get(1, STATUS);
}

static uint8_t buffer[SECTOR] __attribute__((aligned(SECTOR)));

#include "devices/played_disk.h"

/* A disk as the first device. */
static void plug(void)
{
    begin_with("quiet " DISK " \t" SOURCE " panic=1");
    plug_one(1, 2);
    plug_one(2, 4);
    EXPECT(found_devices() == 2 && !printed);
}

static struct vmi__virtqueue *rings(void)
{
    return &vmi__virtio_of(&devices[0])->queues[0];
}

/* Ends the request that was given as that one, with that status. */
static void end_given(uint32_t number, uint8_t status)
{
    struct vmi__virtio_used *used = (struct vmi__virtio_used *)(uintptr_t)rings()->used;
    uint32_t head = rings()->available->ring[number % rings()->size];
    const struct vmi__virtio_descriptor *table =
        (struct vmi__virtio_descriptor *)(uintptr_t)rings()->descriptors[head].address;

    *(uint8_t *)(uintptr_t)table[2].address = status;
    used->ring[used->index % rings()->size].id = head;
    used->ring[used->index % rings()->size].length = 513;
    used->index++;
}

/* ---- checks ---- */

static void as_the_line_tells(void)
{
    struct vmi_device_properties info;
    const char *name;

    plug();
    EXPECT(vmi__device_info(0, &info) == VMI_OK && info.kind == VMI_DEVICE_BLOCK);
    EXPECT(info.blocks == SECTORS && info.queues == 1);
    name = (const char *)info.name;
    for (const char *wanted = "mmio feb00200 virtio-blk"; *wanted; wanted++)
        EXPECT(*name++ == *wanted);
    EXPECT(!*name);
    EXPECT(!vmi__device_on_pci(&devices[0]) && devices[0].line == 7 && !devices[0].messages);
    EXPECT(vmi__device_info(1, &info) == VMI_OK && info.kind == VMI_DEVICE_ENTROPY);
    EXPECT(devices[1].line == 33 && !get(1, STATUS) && !get(2, STATUS));
}

/* In KiB, and two pages; the same one twice is one. */
static void other_words(void)
{
    begin_with("virtio_mmio.device=4K@4272947200:5 virtio_mmio.device=4k@0xfec00000:6 " DISK
               " " DISK);
    plug_one(0, 4);
    plug_one(1, 2);
    EXPECT(found_devices() == 2 && devices[0].line == 5 && devices[1].line == 7);
    EXPECT(printed == 1); /* nothing can be mapped there */
}

static void words_that_tell_no_device(void)
{
    static const char *const words[] = {
        "",
        "512",
        "512@",
        "@0xfeb00200:7",
        "512@0xfeb00200",
        "512@:7",
        "512@0xfeb00200:",
        "512@0xfeb00202:7",
        "0xff@0xfeb00200:7",
        "K@0xfeb00200:7",
        "512@0x200:7",
        "2M@0xfeb00200:7",
        "512@0xfeb00200:x",
        "0x200000@0xfeb00200:7",
        "1024K@0xfffff000:7",
        "4096K@0xfeb00200:7",
        "512@0x1feb00200:7",
        "0@0xfeb00200:7",
    };
    static char line[64];

    for (uint32_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        char *to = line;

        for (const char *from = "virtio_mmio.device="; *from; from++)
            *to++ = *from;
        for (const char *from = words[i]; *from; from++)
            *to++ = *from;
        *to = 0;
        begin_with(line);
        plug_one(1, 2);
        EXPECT(found_devices() == 0 && printed == 1);
    }
    /* Nor is there one at an odd address. */
    begin_with("virtio_mmio.device=512@0xfeb00202:7");
    plug_one(1, 2);
    memmove(at(1) + 2, at(1), STEP);
    EXPECT(found_devices() == 0 && printed == 1);
    begin_with("xvirtio_mmio.device=512@0xfeb00200:7 virtio_mmio.devices=512@0xfeb00200:7");
    plug_one(1, 2);
    EXPECT(found_devices() == 0 && !printed);
}

static void what_is_no_device(void)
{
    static const struct {
        uint32_t offset, value, printed;
    } lies[] = {
        {MAGIC, 0, 1},          {MAGIC, ~MAGIC_VALUE, 1},
        {VERSION, 1, 1},        {VERSION, 3, 1},
        {TYPE, 0, 0},           {TYPE, 63, 0},
        {QUEUE_MOST, 0, 0},     {QUEUE_MOST, 3, 0},
        {OFFERED, 1u << 28, 0}, {CONFIG, 0, 0},
        {TYPE, 1, 0},
    };

    for (uint32_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        begin_with(DISK);
        plug_one(1, 2);
        set(1, lies[i].offset, lies[i].value);
        EXPECT(found_devices() == 0 && printed == lies[i].printed);
    }
    /* What would be behind the end of its registers is not looked at: a disk of no blocks. */
    begin_with("virtio_mmio.device=256@0xfeb00200:7");
    plug_one(1, 2);
    EXPECT(found_devices() == 0 && !printed);
}

static void as_the_device_was_told(void)
{
    begin();
    EXPECT(get(1, STATUS) == 15 && get(1, QUEUE_READY) == 1);
    EXPECT(get(1, QUEUE_SIZE) == REQUESTS && get(1, QUEUE_MOST) == 64);
    EXPECT(get(1, QUEUE_DESCRIPTORS) == (uint32_t)(uintptr_t)rings()->descriptors);
    EXPECT(get(1, QUEUE_DRIVER) == (uint32_t)(uintptr_t)rings()->available);
    EXPECT(get(1, QUEUE_DEVICE) == (uint32_t)(uintptr_t)rings()->used);
    EXPECT(get(1, NOTIFIED) == NONE);
    EXPECT(submit(3, 1) == 1 && get(1, NOTIFIED) == 0);
}

static void a_line_is_lowered(void)
{
    begin();
    EXPECT(submit(3, 1) == 1 && submit(4, 1) == 1);
    end_given(0, 0);
    set(1, CAUSES, 3);
    EXPECT(devices[0].driver->acknowledge(&devices[0]) && get(1, ACKNOWLEDGED) == 3);
    EXPECT(!devices[0].driver->acknowledge(&devices[0]));
    set(1, CAUSES, 1);
    end_given(1, 0);
    EXPECT(vmi__block_reap(0, 0, done, 1) == 1 && done[0].id == 3);
    EXPECT(get(1, ACKNOWLEDGED) == 1 && vmi__block_reap(0, 0, done, 1) == 1 && done[0].id == 4);
}

static void one_that_lies_is_reset(void)
{
    uint8_t seen[REQUESTS] = {0};

    begin();
    EXPECT(submit(3, 1) == 1);
    end_given(0, 9);
    is_shut_off(VMI_FAULT_STATUS, seen, 1);
    EXPECT(seen[3]);
}

/* It has other features than when it was looked at, and is left reset. */
static void does_not_come_up(void)
{
    plug();
    set(1, OFFERED, 1);
    EXPECT(open_it() == VMI_EIO && is_reset() && !locks);
}

/* Whatever registers say, and rings: each request ends once. */
static void any_registers(void)
{
    uint32_t opened_ones = 0;

    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + SEEDS && !failed_line; seed++) {
        uint8_t pending[REQUESTS] = {0};

        state = seed;
        begin_with(DISK " " SOURCE);
        plug_one(1, 2);
        plug_one(2, 4);
        for (uint32_t i = random() % 4; i < 4; i++)
            at(1)[random() % STEP] = (uint8_t)random();
        if (!found_devices() || devices[0].info.kind != VMI_DEVICE_BLOCK ||
            devices[0].info.requests < REQUESTS || devices[0].info.block_size != 512)
            continue;
        if (open_it() != VMI_OK)
            continue;
        opened_ones++;
        for (uint32_t i = 0; i < REQUESTS; i++)
            if (submit(i, 1) == 1)
                pending[i] = 1;
        for (uint32_t i = 0; i < 4; i++) {
            struct vmi__virtio_used *used = (struct vmi__virtio_used *)(uintptr_t)rings()->used;

            used->ring[i].id = random() % 12;
            used->ring[i].length = random() % 1000;
            used->index = (uint16_t)(random() % 6);
            at(1)[random() % STEP] = (uint8_t)random();
            EXPECT(reap_pending(pending, 2) >= 0);
        }
        close_with_pending(pending);
    }
    EXPECT(opened_ones > SEEDS / 10);
}

static const struct played_check all[] = {
    CHECK(as_the_line_tells),
    CHECK(other_words),
    CHECK(words_that_tell_no_device),
    CHECK(what_is_no_device),
    CHECK(as_the_device_was_told),
    CHECK(a_line_is_lowered),
    CHECK(one_that_lies_is_reset),
    CHECK(does_not_come_up),
    CHECK(any_registers),
};

PLAY(all)
