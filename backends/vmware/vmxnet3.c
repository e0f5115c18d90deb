/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Networks by VMware's vmxnet3, revision 1: one queue each way. Layouts, registers and commands:
 * Linux drivers/net/vmxnet3/vmxnet3_defs.h and upt1_defs.h; the order in which they are used:
 * vmxnet3_drv.c there. Queue 0 of the interface's table is the ring to receive, queue 1 the ring
 * to send.
 *
 * Whose a descriptor is its generation bit says: the driver's own changes with each lap of the
 * ring. What has ended stands in a second ring, in which the device does the same. A device need
 * not take first buffers of less than 128 bytes, so all packets are received in one piece of
 * memory.
 */
#include "bounce/bounce.h"
#include "driver.h"
#include "pci/device.h"
#include "station.h"
#include "platform.h"
#include "runtime.h"

#define ID 0x07b015adu

/* Registers: of BAR 0, which are one for each interrupt or queue, and of BAR 1. */
enum { MASK = 0x000, SEND_INDEX = 0x600, RECEIVE_INDEX = 0x800, QUEUE_REGISTERS = 0x1000 };
enum {
    REVISIONS = 0x00,     /* those that there are by bit; written: the one that is used */
    UPT_REVISIONS = 0x08, /* the same, of the rings' layout */
    SHARED_LOW = 0x10,
    SHARED_HIGH = 0x18,
    COMMAND = 0x20, /* then read: its result */
    STATION_LOW = 0x28,
    STATION_HIGH = 0x30,
    CAUSE = 0x38, /* reading lowers the line */
    REGISTERS = 0x1000,
};
#define REGISTER_STEP 8u /* from one interrupt to the next */
#define REVISION_1    1u

enum {
    COMMAND_ACTIVATE = (int)0xcafe0000u,
    COMMAND_RESET = (int)0xcafe0002u,
    COMMAND_FILTER = (int)0xcafe0003u,
    COMMAND_VLANS = (int)0xcafe0005u,
    COMMAND_LINK = (int)0xf00d0002u,
};
#define LINKED 1u

/* A descriptor: to receive, to send, and of what has ended. */
struct descriptor {
    uint64_t address;
    uint32_t control; /* length in bits 0-13 */
    uint32_t flags;
};
struct completion {
    uint32_t index; /* bits 0-11: of the packet's last descriptor; what follows of one received */
    uint32_t hash;
    uint32_t length; /* bits 0-13 */
    uint32_t flags;
};

#define LENGTH             0x3fffu
#define GENERATION_RECEIVE 0x80000000u
#define GENERATION_SEND    0x00004000u
#define FLAG_LAST          0x00001000u /* to send: of its packet */
#define FLAG_REPORT        0x00002000u
#define ENDED_INDEX        0x00000fffu
#define ENDED_LAST         0x00004000u /* received: of its packet */
#define ENDED_FIRST        0x00008000u
#define ENDED_QUEUE        0x03ff0000u
#define ENDED_ERROR        0x00004000u /* beside the length: the packet is not all there */
#define ENDED_GENERATION   0x80000000u

#define INTERRUPTS_MAX 25
#define MAGIC          0xbabefee1u
#define GUEST_LINUX    (1u << 2) /* whose driver this works like */
#define GUEST_BITS     (sizeof(void *) == 8 ? 2u : 1u)

/* Packets for the station, for all and of groups. */
#define FILTER_UNICAST   0x01u
#define FILTER_BROADCAST 0x04u
#define FILTER_GROUPS    0x08u

/* What the device is told: struct Vmxnet3_DriverShared. */
struct shared {
    uint32_t magic, pad;
    struct {
        uint32_t version, guest, revisions, upt_revisions;
        uint64_t features, data, queues;
        uint32_t data_bytes, queues_bytes, mtu;
        uint16_t segments;
        uint8_t send_queues, receive_queues;
        uint32_t reserved[4];
    } misc;
    struct {
        uint8_t auto_mask, count, event, levels[INTERRUPTS_MAX];
        uint32_t control, reserved[2];
    } interrupts;
    struct {
        uint32_t mode;
        uint16_t groups_bytes, pad;
        uint64_t groups;
        uint32_t vlans[128];
    } filter;
    struct {
        uint32_t version, bytes;
        uint64_t address;
    } parts[3];
    uint32_t events, reserved;
    uint64_t command[2];
};
_Static_assert(sizeof(struct shared) == 720, "struct Vmxnet3_DriverShared");

/* Of each queue, those to send first: struct Vmxnet3_TxQueueDesc, struct Vmxnet3_RxQueueDesc. */
struct queue {
    union {
        struct {
            uint32_t deferred, threshold;
        } send;
        struct {
            uint8_t wants_index; /* of what is given to receive */
        } receive;
        uint64_t words[2];
    } control;
    union {
        struct {
            uint64_t ring, headers, completions, data, reserved;
            uint32_t ring_size, headers_size, completions_size, data_bytes;
        } send;
        struct {
            uint64_t rings[2], completions, data, headers;
            uint32_t ring_sizes[2], completions_size, data_bytes;
        } receive;
    } told;
    uint8_t interrupt, pad[7];
    uint64_t status, statistics[10];
    uint8_t rest[88];
};
_Static_assert(sizeof(struct queue) == 256, "struct Vmxnet3_TxQueueDesc");

#define MTU            1500u
#define ETHERNET_LEAST 14u
#define ETHERNET_MOST  18u
#define BUFFER_BYTES   1520u /* to receive: MTU and ETHERNET_MOST, and no more than is aligned */
#define SEGMENTS_MAX   16u
#define RING_ALIGNMENT 512u
#define RING_LEAST     32u
#define RING_MOST      4096u

/* Of an entry that is not the last one of its packet, in place of its slot. */
#define PART 0xffffu

struct ring {
    volatile struct descriptor *entries;
    const volatile struct completion *completions;
    uint16_t *slots; /* of each entry */
    uint32_t size;   /* a power of 2, of both rings */
    uint32_t generation;
    volatile uint32_t given, taken; /* modulo 2^32: entries to the device, and back */
    volatile uint32_t ended;        /* completions that were looked at */
    volatile uint32_t noted;        /* those that had come when the line was lowered */
};

struct network {
    struct vmi__msix msix; /* first: pci/device.h */
    volatile char *queue_registers, *registers;
    volatile struct queue *queues; /* those to send first */
    struct ring rings[VMI__WAYS];
    struct vmi__bounce bounce;
};
_Static_assert(sizeof(struct network) <= VMI__DRIVER_BYTES, "a driver's record has no room for it");

static struct network *network_of(struct vmi__device *device)
{
    return (struct network *)device->own;
}

static uint32_t read32(const struct network *network, uint32_t offset)
{
    return vmi__register_read(network->registers, offset);
}

static void write32(const struct network *network, uint32_t offset, uint32_t value)
{
    vmi__register_write(network->registers, offset, value);
}

/* Has the device carry out a command. */
static void command(const struct network *network, int which)
{
    write32(network, COMMAND, (uint32_t)which);
}

/* The result of a command that has one. */
static uint32_t result_of(const struct network *network, int which)
{
    command(network, which);
    return read32(network, COMMAND);
}

static void write_queue(const struct network *network, uint32_t offset, uint32_t value)
{
    vmi__register_write(network->queue_registers, offset, value);
}

/* ---- finding ---- */

/* The station's address; false if it is none. */
static VMI__RUN_ONCE bool find_address(const struct network *network, uint8_t address[6])
{
    const uint32_t words[] = {read32(network, STATION_LOW), read32(network, STATION_HIGH)};

    for (uint32_t i = 0; i < 6; i++)
        address[i] = (uint8_t)(words[i / 4] >> i % 4 * 8);
    return vmi__is_station(address);
}

static VMI__RUN_ONCE VMI__ADDRESS_TAKEN void probe(uint32_t place, void *context)
{
    bool is = vmi__platform_pci_read(place, VMI__PCI_ID) == ID;
    struct vmi__device *device = is ? vmi__device_add(context, place) : 0;
    struct vmi_device_properties *info;
    struct network *network;

    if (!device)
        return;
    network = network_of(device);
    info = &device->info;
    network->queue_registers = vmi__pci_map(place, 0, 0, QUEUE_REGISTERS);
    network->registers = vmi__pci_map(place, 1, 0, REGISTERS);
    if (!network->queue_registers || !network->registers)
        return;
    vmi__pci_enable(place, false);
    vmi__msix_find(&network->msix, place);
    vmi__pci_device_messages(device, VMI__WAYS);
    info->kind = VMI_DEVICE_NETWORK;
    info->mtu = MTU;
    info->queues = 1;
    info->requests = VMI__REQUESTS_MAX;
    info->segments = SEGMENTS_MAX;
    info->segment_bytes = LENGTH;
    if (read32(network, REVISIONS) & REVISION_1 && read32(network, UPT_REVISIONS) & REVISION_1 &&
        find_address(network, info->address))
        vmi__pci_device_keep(device);
}

static VMI__RUN_ONCE VMI__ADDRESS_TAKEN void find(const struct vmi__driver *driver)
{
    vmi__pci_each(probe, (void *)(uintptr_t)driver);
}

static VMI__ADDRESS_TAKEN bool linked(struct vmi__device *device)
{
    return result_of(network_of(device), COMMAND_LINK) & LINKED;
}

/* ---- starting and stopping ---- */

/* Where in a device's memory is what: the device sees all but pages from `hidden` on. */
struct layout {
    uint32_t sizes[VMI__WAYS]; /* of the rings */
    uintptr_t queues, unused, rings[VMI__WAYS], ended[VMI__WAYS];
    uintptr_t shown, hidden, slots[VMI__WAYS], end;
};

static VMI__RUN_ONCE struct layout layout_of(const struct vmi_device_setup *setup)
{
    struct layout at = {.queues = 1024, .unused = 1024 + VMI__WAYS * sizeof(struct queue)};
    uintptr_t next = at.unused + RING_LEAST * sizeof(struct descriptor);

    at.sizes[VMI__RECEIVE] = vmi__ring_size(setup->requests, RING_LEAST);
    at.sizes[VMI__SEND] = vmi__ring_size(setup->requests * setup->segments, RING_LEAST);
    for (uint32_t way = 0; way < VMI__WAYS; way++) {
        at.rings[way] = next;
        at.ended[way] = next + at.sizes[way] * sizeof(struct descriptor);
        next = at.ended[way] + at.sizes[way] * sizeof(struct completion);
    }
    at.shown = next;
    at.hidden = vmi__bounce_hidden_from(at.shown + vmi__bounce_shown(setup, BUFFER_BYTES));
    next = at.hidden + vmi__bounce_hidden(setup);
    for (uint32_t way = 0; way < VMI__WAYS; way++) {
        at.slots[way] = next;
        next += at.sizes[way] * sizeof(uint16_t);
    }
    at.end = next;
    return at;
}
_Static_assert(RING_LEAST * sizeof(struct descriptor) % RING_ALIGNMENT == 0 &&
                   sizeof(struct descriptor) == sizeof(struct completion) &&
                   VMI__WAYS * sizeof(struct queue) % RING_ALIGNMENT == 0,
               "a ring is not aligned");

static VMI__ADDRESS_TAKEN uintptr_t memory(struct vmi__device *device,
                                           const struct vmi_device_setup *setup)
{
    struct layout at = layout_of(setup);

    (void)device;
    return at.sizes[VMI__SEND] <= RING_MOST ? at.end : 0;
}

static uint64_t address_of(const volatile void *linear)
{
    return vmi__physical((const void *)(uintptr_t)linear);
}

/* Tells the device of the rings. Each way's interrupt is the message of that number, or the line.
 */
static VMI__RUN_ONCE void tell_rings(const struct network *network, const char *at,
                                     const struct layout *layout)
{
    volatile struct queue *send = &network->queues[0], *receive = &network->queues[1];
    const struct ring *rings = network->rings;

    send->told.send.ring = address_of(rings[VMI__SEND].entries);
    send->told.send.ring_size = rings[VMI__SEND].size;
    send->told.send.completions = address_of(rings[VMI__SEND].completions);
    send->told.send.completions_size = rings[VMI__SEND].size;
    send->interrupt = network->msix.entries ? VMI__SEND : 0;
    receive->told.receive.rings[0] = address_of(rings[VMI__RECEIVE].entries);
    receive->told.receive.ring_sizes[0] = rings[VMI__RECEIVE].size;
    /* For what continues in further buffers: there is none. */
    receive->told.receive.rings[1] = address_of(at + layout->unused);
    receive->told.receive.ring_sizes[1] = RING_LEAST;
    receive->told.receive.completions = address_of(rings[VMI__RECEIVE].completions);
    receive->told.receive.completions_size = rings[VMI__RECEIVE].size;
    receive->interrupt = VMI__RECEIVE;
}

/* Fills in what the device is told before it is active, in zeroed memory. */
static VMI__RUN_ONCE void tell_all(const struct network *network, volatile struct shared *shared)
{
    shared->magic = MAGIC;
    shared->misc.version = 1;
    shared->misc.guest = GUEST_LINUX | GUEST_BITS;
    shared->misc.revisions = REVISION_1;
    shared->misc.upt_revisions = REVISION_1;
    shared->misc.queues = address_of(network->queues);
    shared->misc.queues_bytes = VMI__WAYS * sizeof(struct queue);
    shared->misc.mtu = MTU;
    shared->misc.segments = 1;
    shared->misc.send_queues = 1;
    shared->misc.receive_queues = 1;
    shared->interrupts.count = network->msix.entries ? VMI__WAYS : 1;
    shared->filter.mode = FILTER_UNICAST | FILTER_BROADCAST | FILTER_GROUPS;
    for (uint32_t i = 0; i < sizeof(shared->filter.vlans) / sizeof(shared->filter.vlans[0]); i++)
        shared->filter.vlans[i] = ~0u;
}

static VMI__RUN_ONCE VMI__ADDRESS_TAKEN bool start(struct vmi__device *device, void *memory)
{
    struct network *network = network_of(device);
    struct layout layout = layout_of(&device->setup);
    const uint8_t *address = device->info.address;
    char *at = memory;
    uint64_t shared = vmi__physical(at);

    command(network, COMMAND_RESET);
    write32(network, REVISIONS, REVISION_1);
    write32(network, UPT_REVISIONS, REVISION_1);
    network->queues = (struct queue *)(at + layout.queues);
    vmi__bounce_begin(&network->bounce, device, BUFFER_BYTES, at + layout.shown,
                      at + layout.hidden);
    for (uint32_t way = 0; way < VMI__WAYS; way++)
        network->rings[way] = (struct ring){
            .entries = (struct descriptor *)(at + layout.rings[way]),
            .completions = (struct completion *)(at + layout.ended[way]),
            .slots = (uint16_t *)(at + layout.slots[way]),
            .size = layout.sizes[way],
            .generation = way == VMI__RECEIVE ? GENERATION_RECEIVE : GENERATION_SEND,
        };
    tell_rings(network, at, &layout);
    tell_all(network, memory);
    vmi__msix_enable(&network->msix, device->place, true);
    vmi__pci_enable(device->place, true);
    write32(network, SHARED_LOW, (uint32_t)shared);
    write32(network, SHARED_HIGH, (uint32_t)(shared >> 32));
    if (result_of(network, COMMAND_ACTIVATE))
        return false;
    write32(network, STATION_LOW, vmi__station_low(address));
    write32(network, STATION_HIGH, vmi__station_high(address));
    command(network, COMMAND_VLANS);
    command(network, COMMAND_FILTER);
    for (uint32_t way = 0; way < (network->msix.entries ? VMI__WAYS : 1u); way++)
        write_queue(network, MASK + REGISTER_STEP * way, 0);
    return true;
}

static VMI__ADDRESS_TAKEN void stop(struct vmi__device *device)
{
    struct network *network = network_of(device);

    /* Should it not reset itself: it reaches no memory all the same. */
    command(network, COMMAND_RESET);
    write32(network, SHARED_LOW, 0);
    write32(network, SHARED_HIGH, 0);
    vmi__pci_enable(device->place, false);
    vmi__msix_enable(&network->msix, device->place, false);
}

/* ---- packets ---- */

/* The generation bit of an entry of either ring, by the lap: set on the first one. */
static bool generation(const struct ring *ring, uint32_t number)
{
    return !(number & ring->size);
}

/* Fills the next entry of a ring, which has one free; the device's, unless it is not `to_device`.
 */
static void give(struct ring *ring, uint16_t slot, uint64_t address, uint32_t length,
                 uint32_t flags, bool to_device)
{
    uint32_t at = ring->given & (ring->size - 1);
    volatile struct descriptor *entry = &ring->entries[at];
    bool bit = generation(ring, ring->given) == to_device;

    entry->address = address;
    entry->flags = flags;
    ring->slots[at] = slot;
    vmi__compiler_fence();
    entry->control = length | (bit ? ring->generation : 0);
    ring->given++;
}

static void post(struct vmi__device *device, uint32_t slot)
{
    struct network *network = network_of(device);

    give(&network->rings[VMI__RECEIVE], (uint16_t)slot, vmi__bounce_address(&network->bounce, slot),
         BUFFER_BYTES, 0, true);
}

static VMI__ADDRESS_TAKEN void pass(struct vmi__device *device, uint32_t way, uint32_t slot,
                                    const struct vmi_net_buffer *buffer)
{
    struct network *network = network_of(device);
    struct ring *ring = &network->rings[way];
    uint32_t first = ring->given & (ring->size - 1);

    if (way == VMI__RECEIVE) {
        vmi__bounce_keep(&network->bounce, slot, buffer);
        post(device, slot);
        return;
    }
    /* The first entry becomes the device's last. */
    for (uint32_t i = 0; i < buffer->count; i++) {
        bool last = i + 1 == buffer->count;

        give(ring, last ? (uint16_t)slot : PART, buffer->segments[i].address,
             buffer->segments[i].length, last ? FLAG_LAST | FLAG_REPORT : 0, i > 0);
    }
    vmi__compiler_fence();
    ring->entries[first].control ^= GENERATION_SEND;
}

static VMI__ADDRESS_TAKEN void tell(struct vmi__device *device, uint32_t way)
{
    const struct network *network = network_of(device);
    const struct ring *ring = &network->rings[way];
    uint32_t index = ring->given & (ring->size - 1);

    vmi__compiler_fence();
    if (way == VMI__SEND)
        write_queue(network, SEND_INDEX, index);
    else if (network->queues[1].control.receive.wants_index)
        write_queue(network, RECEIVE_INDEX, index);
}

/* Has the device said of one more that it has ended? */
static bool has_come(const struct ring *ring, uint32_t number)
{
    uint32_t flags = ring->completions[number & (ring->size - 1)].flags;

    return !!(flags & ENDED_GENERATION) == generation(ring, number);
}

/* The last entry of the packet that begins where entries were last taken. */
static uint32_t last_of(const struct ring *ring)
{
    uint32_t last = ring->taken;

    while (ring->slots[last & (ring->size - 1)] == PART)
        last++;
    return last;
}

static VMI__ADDRESS_TAKEN enum vmi__taken take(struct vmi__device *device, uint32_t way,
                                               struct vmi__ended *ended)
{
    struct network *network = network_of(device);
    struct ring *ring = &network->rings[way];

    for (;;) {
        const volatile struct completion *said = &ring->completions[ring->ended & (ring->size - 1)];
        uint32_t last, index, length;

        if (!has_come(ring, ring->ended))
            return VMI__TAKEN_NONE;
        vmi__compiler_fence();
        /* Read once: what is checked is what is used. */
        index = said->index;
        length = said->length;
        ring->ended++;
        if (ring->taken == ring->given)
            return vmi__device_fault(device, VMI_FAULT_COUNT);
        /* Packets end in their order. */
        last = last_of(ring);
        if ((index & ENDED_INDEX) != (last & (ring->size - 1)))
            return vmi__device_fault(device, VMI_FAULT_IDENTIFIER);
        ring->taken = last + 1;
        *ended = (struct vmi__ended){
            .slot = ring->slots[last & (ring->size - 1)],
            .status = VMI_OK,
        };
        if (way == VMI__SEND)
            return VMI__TAKEN_ONE;
        if (index & ENDED_QUEUE)
            return vmi__device_fault(device, VMI_FAULT_IDENTIFIER);
        /* One entry has room for all that is received. */
        ended->length = length & LENGTH;
        if (!(index & ENDED_FIRST) || !(index & ENDED_LAST) || ended->length > BUFFER_BYTES)
            return vmi__device_fault(device, VMI_FAULT_LENGTH);
        /* One that has no place in its buffer is lost, and the buffer stays with the device. */
        if (length & ENDED_ERROR || ended->length < ETHERNET_LEAST ||
            ended->length > device->queues[way].slots[ended->slot].room) {
            post(device, ended->slot);
            tell(device, way);
            continue;
        }
        vmi__bounce_deliver(&network->bounce, ended->slot, ended->length);
        return VMI__TAKEN_ONE;
    }
}

static VMI__ADDRESS_TAKEN bool ask(struct vmi__device *device, uint32_t way)
{
    const struct ring *ring = &network_of(device)->rings[way];

    /* Interrupts are never off. */
    return has_come(ring, ring->ended);
}

/* ---- interrupts ---- */

static VMI__ADDRESS_TAKEN bool acknowledge(struct vmi__device *device)
{
    struct network *network = network_of(device);
    bool again = false;

    (void)read32(network, CAUSE);
    for (uint32_t way = 0; way < VMI__WAYS; way++) {
        struct ring *ring = &network->rings[way];
        uint32_t at = ring->noted, ended = ring->ended;

        if ((int32_t)(ended - at) > 0)
            at = ended;
        while (at - ended < ring->size && has_come(ring, at)) {
            again = true;
            at++;
        }
        ring->noted = at;
    }
    return again;
}

const struct vmi__driver vmi__driver_vmxnet3;
const struct vmi__driver vmi__driver_vmxnet3 = {
    .name = "vmxnet3",
    .find = find,
    .memory = memory,
    .start = start,
    .stop = stop,
    .pass = pass,
    .linked = linked,
    .tell = tell,
    .take = take,
    .ask = ask,
    .message = vmi__pci_device_message,
    .mask = vmi__pci_device_mask,
    .acknowledge = acknowledge,
};
