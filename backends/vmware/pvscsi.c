/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Disks by VMware's paravirtualized SCSI adapter (pvscsi): of each adapter the first disk, unit 0
 * of a target. Layouts, registers and commands of the adapter: Linux drivers/scsi/vmw_pvscsi.h; the
 * order in which they are used: vmw_pvscsi.c there. Commands of the disk: SPC-4 (INQUIRY 6.4, MODE
 * SENSE 6.11) and SBC-3 (READ, WRITE, SYNCHRONIZE CACHE, UNMAP, READ CAPACITY, clause 5; caching
 * mode page 6.4.5; block limits and logical block provisioning, 6.5.3 and 6.5.4).
 */
#include "driver.h"
#include "pci/device.h"
#include "platform.h"
#include "runtime.h"

#define ID 0x07c015adu

enum {
    COMMAND = 0x0000,
    COMMAND_DATA = 0x0004,
    CAUSES = 0x100c,     /* of the interrupt; what is written of it is cleared */
    CAUSES_LET = 0x2010, /* those that raise one */
    KICK_OTHER = 0x3014, /* there are requests, others than reads and writes among them */
    KICK_MOVES = 0x4018,
    REGISTER_BYTES = 0x5000,
};
enum { ADAPTER_RESET = 1, SETUP_RINGS = 3 };
#define CAUSES_ENDED 0x3u

/* MSI in configuration space (PCI Local Bus 3.0, 6.8.1): one message. */
#define CAPABILITY_MSI 0x05u
#define MSI_ADDRESS    0x4u
#define MSI_DATA       0x8u
#define MSI_DATA_BITS  0xffffu
#define MSI_ENABLE     0x00010000u
#define MSI_SEVERAL    0x00700000u /* how many it may tell apart, as a power of 2 */
#define MSI_WIDE       0x00800000u /* the address has 64 bits, and the data are behind those */

#define RING_PAGES_MAX 32

/* What SETUP_RINGS takes: struct PVSCSICmdDescSetupRings. */
struct setup {
    uint32_t request_pages, ended_pages;
    uint64_t state, requests[RING_PAGES_MAX], ended[RING_PAGES_MAX]; /* numbers of pages */
};

/* struct PVSCSIRingsState; indices are modulo 2^32. */
struct rings_state {
    uint32_t given, fetched, request_bits, ended, taken, ended_bits;
};

/* struct PVSCSIRingReqDesc, but for what it ends with. */
struct request {
    uint64_t context, address, length, sense;
    uint32_t sense_length, flags;
    uint8_t command[16], command_length, unit[8], tag, bus, target, hint, unused[59];
};
_Static_assert(sizeof(struct request) == 128, "struct PVSCSIRingReqDesc");

/* struct PVSCSIRingCmpDesc. */
struct ended {
    uint64_t context, length;
    uint32_t sense_length;
    uint16_t adapter, unit; /* how it has ended there */
    uint32_t unused[2];
};
_Static_assert(sizeof(struct ended) == 32, "struct PVSCSIRingCmpDesc");

/* struct PVSCSISGElement. */
struct element {
    uint64_t address;
    uint32_t length, flags;
};

#define FLAG_LIST  0x01u
#define FLAG_NONE  0x04u
#define FLAG_READ  0x08u
#define FLAG_WRITE 0x10u
#define TAG_SIMPLE 0x20u

/* How a request ends: of the unit as SAM-5, 5.3.1, has it. */
#define UNIT_GOOD      0x00u
#define UNIT_STATE_MAX 0xffu
#define ADAPTER_GOOD   0x00u

enum {
    MODE_SENSE = 0x1a,
    TEST_UNIT_READY = 0x00,
    INQUIRY = 0x12,
    SYNCHRONIZE_CACHE = 0x35,
    UNMAP = 0x42,
    READ_16 = 0x88,
    WRITE_16 = 0x8a,
    SERVICE_IN = 0x9e,
};
#define SERVICE_CAPACITY  0x10u
#define PAGE_CACHING      0x08u
#define PAGE_LIMITS       0xb0u
#define PAGE_PROVISIONING 0xb2u

#define TARGETS_MAX  16u
#define TRIES        5u /* of a command that the unit answers with what has happened before */
#define MILLISECONDS 2000u
#define TOLD_BYTES   512u /* of what it tells, at most */

#define REQUESTS_OF_PAGE 32u
#define ENDED_OF_PAGE    128u
#define PAGE             4096u
#define BLOCK_LEAST      512u
#define BLOCK_MOST       0x10000u
#define BYTES_MOST       0x1000000u /* of a request */

/* What a slot has beside its entry of the ring: none crosses a page. */
struct extra {
    struct element elements[VMI__SEGMENTS_MAX];
    uint8_t range[24]; /* of UNMAP */
    uint8_t unused[8];
};
_Static_assert(sizeof(struct extra) == 512, "an extra crosses a page");

/* Rings, as the adapter has them by now. */
struct rings {
    volatile struct rings_state *state;
    volatile struct request *requests;
    const volatile struct ended *ended;
    uint32_t request_mask, ended_mask; /* one less than there are, a power of 2 */
    uint32_t given, told, taken;
    volatile uint32_t noted; /* ends that had come when the line was lowered */
};

struct adapter {
    struct vmi__msix msix; /* first: pci/device.h */
    uint32_t msi;          /* the capability of its one message, where it has no MSI-X; 0: none */
    volatile char *registers;
    uint8_t target;
    bool others; /* what was put is not reads and writes alone */
    struct rings rings;
    struct extra *extras; /* of each slot */
};
_Static_assert(sizeof(struct adapter) <= VMI__DRIVER_BYTES, "a driver's record has no room for it");

/*
 * Memory with which a disk is looked at, for the kernel gives some only when it is opened: the
 * rings' state with what the disk tells behind it, and a page of each ring.
 */
static union {
    char rings[3 * PAGE];
    struct {
        struct rings_state state;
        uint8_t unused[PAGE - sizeof(struct rings_state) - TOLD_BYTES], data[TOLD_BYTES];
    };
} looked __attribute__((aligned(PAGE), section(".bss..bound_only")));

static struct adapter *adapter_of(struct vmi__device *device)
{
    return (struct adapter *)device->own;
}

static void write32(const struct adapter *adapter, uint32_t offset, uint32_t value)
{
    vmi__register_write(adapter->registers, offset, value);
}

static uint32_t big32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_big32(volatile uint8_t *at, uint32_t value)
{
    for (uint32_t i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void put_big64(volatile uint8_t *at, uint64_t value)
{
    put_big32(at, (uint32_t)(value >> 32));
    put_big32(at + 4, (uint32_t)value);
}

/* ---- the adapter ---- */

static VMI__RUN_ONCE void reset(const struct adapter *adapter)
{
    write32(adapter, CAUSES_LET, 0);
    write32(adapter, COMMAND, ADAPTER_RESET);
    write32(adapter, CAUSES, ~0u);
}

/* Pages of the rings for so many requests; 0: more than there can be. */
static VMI__RUN_ONCE uint32_t request_pages(uint32_t requests)
{
    uint32_t pages = 1;

    while (pages * REQUESTS_OF_PAGE < requests)
        pages *= 2;
    return pages <= RING_PAGES_MAX ? pages : 0;
}

static VMI__RUN_ONCE uint32_t ended_pages(uint32_t pages)
{
    uint32_t needed = pages * REQUESTS_OF_PAGE / ENDED_OF_PAGE;

    return needed ? needed : 1;
}

/*
 * Resets the adapter and has it use rings in memory that is zeroed: a page of their state, then
 * the rings. False if it says that they are others.
 */
static VMI__RUN_ONCE bool setup_rings(struct adapter *adapter, char *memory, uint32_t pages)
{
    struct setup setup = {.request_pages = pages, .ended_pages = ended_pages(pages)};
    uint64_t page = vmi__physical(memory) / PAGE;
    struct rings *rings = &adapter->rings;
    uint32_t words[sizeof(setup) / 4];

    *rings = (struct rings){
        .state = (struct rings_state *)memory,
        .requests = (struct request *)(memory + PAGE),
        .ended = (struct ended *)(memory + PAGE + pages * PAGE),
        .request_mask = pages * REQUESTS_OF_PAGE - 1,
        .ended_mask = setup.ended_pages * ENDED_OF_PAGE - 1,
    };
    setup.state = page++;
    for (uint32_t i = 0; i < setup.request_pages; i++)
        setup.requests[i] = page++;
    for (uint32_t i = 0; i < setup.ended_pages; i++)
        setup.ended[i] = page++;
    memcpy(words, &setup, sizeof(setup));
    reset(adapter);
    write32(adapter, COMMAND, SETUP_RINGS);
    for (uint32_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        write32(adapter, COMMAND_DATA, words[i]);
    return 1ull << (rings->state->request_bits & 63) == rings->request_mask + 1ull &&
           1ull << (rings->state->ended_bits & 63) == rings->ended_mask + 1ull;
}

/* The next entry of the ring, which has one free, for a command of the unit. */
static volatile struct request *next_request(struct adapter *adapter, uint64_t context)
{
    struct rings *rings = &adapter->rings;
    volatile struct request *request = &rings->requests[rings->given++ & rings->request_mask];

    memset((void *)(uintptr_t)request, 0, sizeof(*request));
    request->context = context;
    request->target = adapter->target;
    request->tag = TAG_SIMPLE;
    return request;
}

/* ---- looking at a disk ---- */

/*
 * Has the unit carry out a command that reads so many bytes, and waits for that; it is nobody's
 * request. False if it has failed.
 */
static VMI__RUN_ONCE bool carry_out(struct adapter *adapter, const uint8_t *command,
                                    uint32_t length, uint32_t bytes)
{
    struct rings *rings = &adapter->rings;
    volatile struct request *request = next_request(adapter, 1);
    const volatile struct ended *ended = &rings->ended[rings->taken & rings->ended_mask];

    memset(looked.data, 0, sizeof(looked.data));
    request->address = vmi__physical(looked.data);
    request->length = bytes;
    request->flags = bytes ? FLAG_READ : FLAG_NONE;
    for (uint32_t i = 0; i < length; i++)
        request->command[i] = command[i];
    request->command_length = (uint8_t)length;
    vmi__compiler_fence();
    rings->state->given = rings->told = rings->given;
    write32(adapter, KICK_OTHER, 0);
    rings->taken++;
    if (!vmi__wait_for(&rings->state->ended, ~0u, rings->taken, MILLISECONDS))
        return false;
    rings->state->taken = rings->taken;
    return ended->adapter == ADAPTER_GOOD && ended->unit == UNIT_GOOD;
}

static VMI__RUN_ONCE bool inquire(struct adapter *adapter, uint32_t page, uint32_t bytes)
{
    const uint8_t command[6] = {INQUIRY, !!page, (uint8_t)page, 0, (uint8_t)bytes};

    return carry_out(adapter, command, sizeof(command), bytes);
}

/* The first commands after a reset may end with the news of that. */
static VMI__RUN_ONCE bool is_ready(struct adapter *adapter)
{
    static const uint8_t command[6] = {TEST_UNIT_READY};

    for (uint32_t i = 0; i < TRIES; i++)
        if (carry_out(adapter, command, sizeof(command), 0))
            return true;
    return false;
}

/* Looks for the first target that is a disk. */
static VMI__RUN_ONCE bool find_target(struct adapter *adapter)
{
    for (uint32_t target = 0; target < TARGETS_MAX; target++) {
        adapter->target = (uint8_t)target;
        if (inquire(adapter, 0, 36) && !looked.data[0] && is_ready(adapter))
            return true;
    }
    return false;
}

/* How many blocks, and of which size; *thin is whether some may be without memory. */
static VMI__RUN_ONCE bool find_capacity(struct adapter *adapter, struct vmi_device_properties *info,
                                        bool *thin)
{
    const uint8_t command[16] = {SERVICE_IN, SERVICE_CAPACITY, [13] = 32};

    if (!carry_out(adapter, command, sizeof(command), 32))
        return false;
    info->blocks = ((uint64_t)big32(looked.data) << 32 | big32(looked.data + 4)) + 1;
    info->block_size = big32(looked.data + 8);
    *thin = looked.data[14] & 0x80;
    return info->blocks && info->block_size >= BLOCK_LEAST && info->block_size <= BLOCK_MOST &&
           !(info->block_size & (info->block_size - 1));
}

/* Whether it may be written to, and has a cache; what it does not tell it does not have. */
static VMI__RUN_ONCE void find_mode(struct adapter *adapter, struct vmi_device_properties *info)
{
    const uint8_t command[6] = {MODE_SENSE, 0, PAGE_CACHING, 0, 255};
    uint32_t at;

    if (!carry_out(adapter, command, sizeof(command), 255))
        return;
    if (looked.data[2] & 0x80)
        info->flags |= VMI_DEVICE_IS_READ_ONLY;
    at = 4u + looked.data[3]; /* behind the header and the descriptors of blocks */
    if ((looked.data[at] & 0x3f) == PAGE_CACHING && looked.data[at + 2] & 0x04)
        info->flags |= VMI_DEVICE_IS_CACHED;
}

/* What it takes at a time. */
static VMI__RUN_ONCE void find_limits(struct adapter *adapter, struct vmi_device_properties *info,
                                      bool thin)
{
    uint32_t most = 0, discarded = 0;

    if (inquire(adapter, PAGE_LIMITS, 64)) {
        most = big32(looked.data + 8);
        discarded = big32(looked.data + 24) ? big32(looked.data + 20) : 0;
    }
    info->request_blocks = BYTES_MOST / info->block_size;
    if (most)
        info->request_blocks = vmi__least(info->request_blocks, most);
    if (thin && discarded && inquire(adapter, PAGE_PROVISIONING, 8) && looked.data[5] & 0x80)
        info->discard_blocks = discarded;
}

static VMI__RUN_ONCE bool describe(struct vmi__device *device)
{
    struct vmi_device_properties *info = &device->info;
    struct adapter *adapter = adapter_of(device);
    bool thin;

    memset(looked.rings, 0, sizeof(looked.rings));
    if (!setup_rings(adapter, looked.rings, 1) || !find_target(adapter) ||
        !find_capacity(adapter, info, &thin))
        return false;
    info->kind = VMI_DEVICE_BLOCK;
    info->queues = 1;
    info->requests = VMI__REQUESTS_MAX;
    info->segments = VMI__SEGMENTS_MAX;
    info->segment_bytes = BYTES_MOST;
    find_mode(adapter, info);
    find_limits(adapter, info, thin);
    return true;
}

/* Sets what MSI's message writes, and has it sent; 0 has none sent. */
static VMI__RUN_ONCE void set_message(uint32_t place, uint32_t capability,
                                      const struct vmi_message *message)
{
    uint32_t head = vmi__platform_pci_read(place, capability) & ~(MSI_ENABLE | MSI_SEVERAL);
    uint32_t data = capability + MSI_DATA, others;

    /* Not sent while its parts do not belong together. */
    vmi__platform_pci_write(place, capability, head);
    if (!message)
        return;
    vmi__platform_pci_write(place, capability + MSI_ADDRESS, (uint32_t)message->address);
    if (head & MSI_WIDE) {
        vmi__platform_pci_write(place, data, (uint32_t)(message->address >> 32));
        data += 4;
    }
    others = vmi__platform_pci_read(place, data) & ~MSI_DATA_BITS;
    vmi__platform_pci_write(place, data, others | (message->data & MSI_DATA_BITS));
    vmi__platform_pci_write(place, capability, head | MSI_ENABLE);
}

static VMI__ADDRESS_TAKEN void stop(struct vmi__device *device)
{
    struct adapter *adapter = adapter_of(device);

    /* Should it not reset itself: it reaches no memory all the same. */
    reset(adapter);
    vmi__pci_enable(device->place, false);
    vmi__msix_enable(&adapter->msix, device->place, false);
    if (adapter->msi)
        set_message(device->place, adapter->msi, 0);
}

static VMI__RUN_ONCE VMI__ADDRESS_TAKEN void probe(uint32_t place, void *context)
{
    bool is = vmi__platform_pci_read(place, VMI__PCI_ID) == ID;
    struct vmi__device *device = is ? vmi__device_add(context, place) : 0;
    struct adapter *adapter;

    if (!device)
        return;
    adapter = adapter_of(device);
    adapter->registers = vmi__pci_map(place, 0, 0, REGISTER_BYTES);
    if (!adapter->registers)
        return;
    vmi__msix_find(&adapter->msix, place);
    adapter->msi = adapter->msix.entries ? 0 : vmi__pci_capability(place, CAPABILITY_MSI, 0);
    device->messages = adapter->msix.entries || adapter->msi ? 1 : 0;
    vmi__pci_enable(place, true);
    if (describe(device))
        vmi__pci_device_keep(device);
    stop(device);
}

static VMI__RUN_ONCE VMI__ADDRESS_TAKEN void find(const struct vmi__driver *driver)
{
    vmi__pci_each(probe, (void *)(uintptr_t)driver);
}

/* ---- starting ---- */

static uintptr_t rings_bytes(uint32_t pages)
{
    return (uintptr_t)(1 + pages + ended_pages(pages)) * PAGE;
}

static VMI__ADDRESS_TAKEN uintptr_t memory(struct vmi__device *device,
                                           const struct vmi_device_setup *setup)
{
    (void)device;
    return rings_bytes(request_pages(setup->requests)) +
           (uintptr_t)setup->requests * sizeof(struct extra);
}

static VMI__RUN_ONCE VMI__ADDRESS_TAKEN bool start(struct vmi__device *device, void *at)
{
    struct adapter *adapter = adapter_of(device);
    uint32_t pages = request_pages(device->setup.requests);

    adapter->extras = (struct extra *)((char *)at + rings_bytes(pages));
    adapter->others = false;
    vmi__pci_enable(device->place, true);
    if (!setup_rings(adapter, at, pages) || !is_ready(adapter))
        return false;
    vmi__msix_enable(&adapter->msix, device->place, true);
    write32(adapter, CAUSES, ~0u);
    /* The message of MSI is masked here alone, and begins so. */
    write32(adapter, CAUSES_LET, adapter->msi ? 0 : CAUSES_ENDED);
    return true;
}

/* ---- requests ---- */

/* A command for blocks: READ (16), WRITE (16). */
static void move(volatile struct request *request, struct extra *extra,
                 const struct vmi_block_request *wanted, uint32_t block_size)
{
    bool reads = wanted->operation == VMI_BLOCK_READ;

    request->command[0] = reads ? READ_16 : WRITE_16;
    put_big64(request->command + 2, wanted->block);
    put_big32(request->command + 10, wanted->blocks);
    request->command_length = 16;
    request->flags = FLAG_LIST | (reads ? FLAG_READ : FLAG_WRITE);
    request->address = vmi__physical(extra->elements);
    request->length = (uint64_t)wanted->blocks * block_size;
    for (uint32_t i = 0; i < wanted->count; i++)
        extra->elements[i] = (struct element){
            .address = wanted->segments[i].address,
            .length = wanted->segments[i].length,
        };
}

/* UNMAP, of one range. */
static void discard(volatile struct request *request, struct extra *extra,
                    const struct vmi_block_request *wanted)
{
    memset(extra->range, 0, sizeof(extra->range));
    extra->range[1] = sizeof(extra->range) - 2;
    extra->range[3] = sizeof(extra->range) - 8;
    put_big64(extra->range + 8, wanted->block);
    put_big32(extra->range + 16, wanted->blocks);
    request->command[0] = UNMAP;
    request->command[8] = sizeof(extra->range);
    request->command_length = 10;
    request->flags = FLAG_WRITE;
    request->address = vmi__physical(extra->range);
    request->length = sizeof(extra->range);
}

static VMI__ADDRESS_TAKEN void put(struct vmi__device *device, uint32_t queue, uint32_t slot,
                                   const struct vmi_block_request *wanted)
{
    struct adapter *adapter = adapter_of(device);
    volatile struct request *request = next_request(adapter, slot + 1);
    struct extra *extra = &adapter->extras[slot];

    (void)queue;
    if (wanted->operation <= VMI_BLOCK_WRITE) {
        move(request, extra, wanted, device->info.block_size);
        return;
    }
    adapter->others = true;
    if (wanted->operation == VMI_BLOCK_DISCARD) {
        discard(request, extra, wanted);
    } else {
        request->command[0] = SYNCHRONIZE_CACHE; /* of all blocks */
        request->command_length = 10;
        request->flags = FLAG_NONE;
    }
}
_Static_assert(VMI_BLOCK_READ < VMI_BLOCK_FLUSH && VMI_BLOCK_WRITE < VMI_BLOCK_FLUSH,
               "flushes are among reads and writes");

static VMI__ADDRESS_TAKEN void tell(struct vmi__device *device, uint32_t queue)
{
    struct adapter *adapter = adapter_of(device);

    (void)queue;
    vmi__compiler_fence();
    adapter->rings.state->given = adapter->rings.told = adapter->rings.given;
    write32(adapter, adapter->others ? KICK_OTHER : KICK_MOVES, 0);
    adapter->others = false;
}

static VMI__ADDRESS_TAKEN enum vmi__taken take(struct vmi__device *device, uint32_t queue,
                                               struct vmi__ended *ended)
{
    struct rings *rings = &adapter_of(device)->rings;
    const volatile struct ended *said = &rings->ended[rings->taken & rings->ended_mask];
    uint32_t waiting = rings->state->ended - rings->taken;
    bool good;
    uint64_t context;

    if (!waiting)
        return VMI__TAKEN_NONE;
    if (waiting > rings->told - rings->taken)
        return vmi__device_fault(device, VMI_FAULT_COUNT);
    vmi__compiler_fence();
    /* Read once: what is checked is what is used. */
    context = said->context;
    if (said->unit > UNIT_STATE_MAX)
        return vmi__device_fault(device, VMI_FAULT_STATUS);
    good = said->adapter == ADAPTER_GOOD && said->unit == UNIT_GOOD;
    rings->taken++;
    rings->state->taken = rings->taken;
    if (!context || context > device->setup.requests)
        return vmi__device_fault(device, VMI_FAULT_IDENTIFIER);
    /* An adapter tells no length of what went well: it is all that was asked for. */
    ended->slot = (uint32_t)context - 1;
    ended->length = good ? device->queues[queue].slots[ended->slot].room : 0;
    ended->status = good ? VMI_OK : VMI_EIO;
    return VMI__TAKEN_ONE;
}

static VMI__ADDRESS_TAKEN bool ask(struct vmi__device *device, uint32_t queue)
{
    const struct rings *rings = &adapter_of(device)->rings;

    /* Interrupts are never off. */
    (void)queue;
    return rings->state->ended != rings->taken;
}

/* ---- interrupts ---- */

static VMI__RUN_ONCE VMI__ADDRESS_TAKEN void message(struct vmi__device *device, uint32_t queue,
                                                     const struct vmi_message *message)
{
    const struct adapter *adapter = adapter_of(device);

    if (adapter->msi)
        set_message(device->place, adapter->msi, message);
    else
        vmi__pci_device_message(device, queue, message);
}

/* Causes stay set where there are messages, and so what has come meanwhile is told of. */
static VMI__RUN_ONCE VMI__ADDRESS_TAKEN void mask(struct vmi__device *device, uint32_t queue,
                                                  bool masked)
{
    struct adapter *adapter = adapter_of(device);

    if (adapter->msi)
        write32(adapter, CAUSES_LET, masked ? 0 : CAUSES_ENDED);
    else
        vmi__pci_device_mask(device, queue, masked);
}

static VMI__ADDRESS_TAKEN bool acknowledge(struct vmi__device *device)
{
    struct adapter *adapter = adapter_of(device);
    struct rings *rings = &adapter->rings;
    uint32_t noted = rings->noted, taken = rings->taken, ended;

    write32(adapter, CAUSES, CAUSES_ENDED);
    ended = rings->state->ended;
    rings->noted = ended;
    return ended != noted && ended != taken;
}

const struct vmi__driver vmi__driver_pvscsi;
const struct vmi__driver vmi__driver_pvscsi = {
    .name = "pvscsi",
    .find = find,
    .memory = memory,
    .start = start,
    .stop = stop,
    .put = put,
    .tell = tell,
    .take = take,
    .ask = ask,
    .message = message,
    .mask = mask,
    .acknowledge = acknowledge,
};
