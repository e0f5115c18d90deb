/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Networks by Intel's gigabit controllers: 82540EM (QEMU's e1000), 82545EM and 82574L (e1000e).
 * Sources: "8254x" is the PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's
 * Manual (Intel, 317453), "82574" the 82574 GbE Controller Family Datasheet (Intel, 317694). All
 * three have the older form of descriptors (8254x 3.2.3 and 3.3.3; 82574 7.1 and 7.2). Queue 0 of
 * the interface's table is the ring to receive, queue 1 the ring to send.
 *
 * A descriptor to receive has no length of its own: up to BUFFER_BYTES are written wherever it
 * points, and a packet may have more than the kernel's buffer has room for (a VLAN's tag beyond the
 * MTU).
 */
#include "bounce/bounce.h"
#include "driver.h"
#include "pci/device.h"
#include "station.h"
#include "platform.h"
#include "runtime.h"

#define VENDOR 0x8086u

/* Registers (8254x 13.4; 82574 10.2), which are in the first BAR. */
enum {
    CONTROL = 0x0000,
    STATUS = 0x0008,
    EEPROM_CONTROL = 0x0010,
    EEPROM_READ = 0x0014,
    CONTROL_EXTENDED = 0x0018,
    CAUSES = 0x00c0, /* of the interrupt; reading clears it, and lowers the line */
    MASK_SET = 0x00d0,
    MASK_CLEAR = 0x00d8,
    AUTO_CLEAR = 0x00dc, /* 82574: causes that end with their message */
    VECTORS = 0x00e4,    /* 82574 */
    RECEIVE_CONTROL = 0x0100,
    SEND_CONTROL = 0x0400,
    SEND_GAP = 0x0410,
    RECEIVE_RING = 0x2800,
    SEND_RING = 0x3800,
    STATION_LOW = 0x5400, /* of the station: RAL 0 and RAH 0 */
    STATION_HIGH = 0x5404,
    REGISTER_BYTES = 0x6000,
};

#define CONTROL_DUPLEX     0x00000001u
#define CONTROL_NO_MASTER  0x00000004u /* 82574: begins no more transfers */
#define CONTROL_AUTO_SPEED 0x00000020u
#define CONTROL_LINK       0x00000040u /* the link may come up */
#define CONTROL_RESET      0x04000000u

#define STATUS_LINKED 0x00000002u
#define STATUS_MASTER 0x00080000u /* 82574: transfers are under way */

#define EXTENDED_PENDING    0x80000000u /* 82574: as messages of MSI-X want it */
#define EXTENDED_KEEPS_MASK 0x08000000u /* 82574: what is cleared automatically stays enabled */

/* Causes: sent and received as one, and by their queues where there are messages (82574 7.4). */
#define CAUSE_SENT     0x00000001u
#define CAUSE_RECEIVED 0x00000080u
#define CAUSE_QUEUES   0x00500000u

/* The vector of queue 0 to receive is 0, that of queue 0 to send is 1 (82574 10.2.4). */
#define VECTORS_BOTH 0x00000908u

/* Broadcasts, multicasts and what is for the station, by buffers of 2 KiB, less the checksum. */
#define RECEIVE_ENABLE   0x00000002u
#define RECEIVE_MULTI    0x00000010u
#define RECEIVE_BROAD    0x00008000u
#define RECEIVE_STRIP    0x04000000u
#define RECEIVE_SETTINGS (RECEIVE_ENABLE | RECEIVE_MULTI | RECEIVE_BROAD | RECEIVE_STRIP)

/* Short packets are padded; collisions as 8254x 14.5 has them for full duplex. */
#define SEND_ENABLE    0x00000002u
#define SEND_PAD       0x00000008u
#define SEND_SETTINGS  (SEND_ENABLE | SEND_PAD | 0x0fu << 4 | 0x40u << 12)
#define SEND_MULTIPLE  0x10000000u /* 82574: several reads at a time, its initial value */
#define SEND_GAP_USUAL (10u | 8u << 10 | 6u << 20)

/* Registers of a ring, from its first one on. */
enum {
    RING_BASE = 0x00,
    RING_BASE_HIGH = 0x04,
    RING_LENGTH = 0x08,
    RING_HEAD = 0x10,
    RING_TAIL = 0x18,
    RING_CONTROL = 0x28,
};
#define RING_CONTROL_SET 0x00400000u /* 82574: bit 22 of TXDCTL is to be set (10.2.6) */

#define ADDRESS_VALID 0x80000000u

#define EEPROM_START  0x00000001u
#define EEPROM_LOADED 0x00000200u /* 82574: what it sets is set again after a reset */

#define RESET_MILLISECONDS  100u
#define RESET_MICROSECONDS  10u /* in which no register is to be touched (8254x 13.4.1) */
#define EEPROM_MILLISECONDS 10u
/* What the others take to read it after a reset; so long Linux waits (e1000_hw.c). */
#define LOADED_MICROSECONDS 5000u

/* A descriptor: to receive (8254x 3.2.3) and to send (3.3.3) alike, but for what has two names. */
struct descriptor {
    uint64_t address;
    uint16_t length;
    uint8_t offset;  /* of a checksum */
    uint8_t command; /* to send */
    uint8_t status;
    uint8_t errors; /* of what was received */
    uint16_t special;
};

#define ENTRY_DONE     0x01u
#define ENTRY_LAST     0x02u /* received: of its packet */
#define COMMAND_LAST   0x01u
#define COMMAND_CHECK  0x02u /* the frame's checksum is to be added */
#define COMMAND_REPORT 0x08u /* ENTRY_DONE is wanted */

/* Errors that a packet has that is no good; the others are of IP and TCP, nobody asks for them. */
#define ERRORS_OF_FRAME 0x97u

#define MTU            1500u
#define ETHERNET_LEAST 14u
#define BUFFER_BYTES   2048u  /* to receive */
#define SEGMENT_MOST   16288u /* 8254x 3.3.3 */
#define RING_LEAST     8u     /* descriptors: the length is a multiple of 128 bytes */
#define RING_MOST      4096u

/* Of an entry that is not the last one of its packet, in place of its slot. */
#define PART 0xffffu

struct model {
    uint16_t identifier;
    bool express;       /* 82574: on PCI Express, with messages */
    uint8_t eeprom_at;  /* how the word of an EEPROM is named (8254x 13.4.4; 82574 10.2) */
    uint8_t eeprom_end; /* the bit that says that it has been read */
};

static const struct model models[] = {
    {0x100e, false, 8, 0x10},
    {0x100f, false, 8, 0x10},
    {0x10d3, true, 2, 0x02},
};

struct ring {
    volatile struct descriptor *entries;
    uint16_t *slots; /* of each entry */
    uint32_t mask;   /* one less than there are, a power of 2 */
    uint32_t registers;
    volatile uint32_t given, taken; /* modulo 2^32: entries to the device, and back */
    volatile uint32_t noted;        /* as far as was looked when the line was lowered */
};

struct card {
    struct vmi__msix msix; /* first: pci/device.h */
    const struct model *model;
    volatile char *registers;
    struct ring rings[VMI__WAYS];
    struct vmi__bounce bounce;
};
_Static_assert(sizeof(struct card) <= VMI__DRIVER_BYTES, "a driver's record has no room for it");

static struct card *card_of(struct vmi__device *device)
{
    return (struct card *)device->own;
}

static uint32_t read32(const struct card *card, uint32_t offset)
{
    return vmi__register_read(card->registers, offset);
}

static void write32(const struct card *card, uint32_t offset, uint32_t value)
{
    vmi__register_write(card->registers, offset, value);
}

static bool wait_for(const struct card *card, uint32_t offset, uint32_t mask, uint32_t value,
                     uint32_t milliseconds)
{
    return vmi__wait_for((volatile uint32_t *)(card->registers + offset), mask, value,
                         milliseconds);
}

/* ---- finding ---- */

static VMI__RUN_ONCE const struct model *model_of(uint32_t id)
{
    for (uint32_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
        if (id == (VENDOR | (uint32_t)models[i].identifier << 16))
            return &models[i];
    return 0;
}

/*
 * Resets it (8254x 14.3): no ring is looked at and no interrupt raised from then on, nor would be
 * by one that does not reset itself. On PCI Express transfers have to have ended before
 * (82574, 10.2.2, GIO Master Disable).
 */
static VMI__RUN_ONCE bool reset(const struct card *card)
{
    write32(card, MASK_CLEAR, ~0u);
    write32(card, RECEIVE_CONTROL, 0);
    write32(card, SEND_CONTROL, 0);
    if (card->model->express) {
        write32(card, CONTROL, read32(card, CONTROL) | CONTROL_NO_MASTER);
        wait_for(card, STATUS, STATUS_MASTER, 0, RESET_MILLISECONDS);
    }
    write32(card, CONTROL, read32(card, CONTROL) | CONTROL_RESET);
    vmi__platform_delay(RESET_MICROSECONDS);
    if (!wait_for(card, CONTROL, CONTROL_RESET, 0, RESET_MILLISECONDS))
        return false;
    write32(card, MASK_CLEAR, ~0u);
    (void)read32(card, CAUSES);
    return true;
}

/* Waits until what the EEPROM sets is set again after a reset. */
static VMI__RUN_ONCE bool wait_for_eeprom(const struct card *card)
{
    if (card->model->express)
        return wait_for(card, EEPROM_CONTROL, EEPROM_LOADED, EEPROM_LOADED, EEPROM_MILLISECONDS);
    vmi__platform_delay(LOADED_MICROSECONDS);
    return true;
}

/* A word of the EEPROM; false if it is not to be had. */
static VMI__RUN_ONCE bool eeprom_word(const struct card *card, uint32_t number, uint32_t *word)
{
    const struct model *model = card->model;

    write32(card, EEPROM_READ, EEPROM_START | number << model->eeprom_at);
    if (!wait_for(card, EEPROM_READ, model->eeprom_end, model->eeprom_end, EEPROM_MILLISECONDS))
        return false;
    *word = read32(card, EEPROM_READ) >> 16;
    return true;
}

/* The station's address: as the device has loaded it, or the EEPROM has it. False if it is none. */
static VMI__RUN_ONCE bool find_address(const struct card *card, uint8_t address[6])
{
    uint32_t words[3];

    if (read32(card, STATION_HIGH) & ADDRESS_VALID) {
        words[0] = read32(card, STATION_LOW) & 0xffff;
        words[1] = read32(card, STATION_LOW) >> 16;
        words[2] = read32(card, STATION_HIGH) & 0xffff;
    } else {
        for (uint32_t i = 0; i < 3; i++)
            if (!eeprom_word(card, i, &words[i]))
                return false;
    }
    for (uint32_t i = 0; i < 6; i++)
        address[i] = (uint8_t)(words[i / 2] >> i % 2 * 8);
    return vmi__is_station(address);
}

static VMI__RUN_ONCE VMI__ADDRESS_TAKEN void probe(uint32_t place, void *context)
{
    const struct model *model = model_of(vmi__platform_pci_read(place, VMI__PCI_ID));
    struct vmi__device *device = model ? vmi__device_add(context, place) : 0;
    struct vmi_device_properties *info;
    struct card *card;

    if (!device)
        return;
    card = card_of(device);
    info = &device->info;
    card->model = model;
    card->registers = vmi__pci_map(place, 0, 0, REGISTER_BYTES);
    if (!card->registers)
        return;
    vmi__pci_enable(place, false);
    if (model->express)
        vmi__msix_find(&card->msix, place);
    vmi__pci_device_messages(device, VMI__WAYS);
    info->kind = VMI_DEVICE_NETWORK;
    info->mtu = MTU;
    info->queues = 1;
    info->requests = VMI__REQUESTS_MAX;
    info->segments = VMI__SEGMENTS_MAX;
    info->segment_bytes = SEGMENT_MOST;
    if (find_address(card, info->address))
        vmi__pci_device_keep(device);
}

static VMI__RUN_ONCE VMI__ADDRESS_TAKEN void find(const struct vmi__driver *driver)
{
    vmi__pci_each(probe, (void *)(uintptr_t)driver);
}

static VMI__ADDRESS_TAKEN bool linked(struct vmi__device *device)
{
    return read32(card_of(device), STATUS) & STATUS_LINKED;
}

/* ---- starting and stopping ---- */

/* Where in a device's memory is what: the device sees rings and buffers, and pages behind not. */
struct layout {
    uint32_t sizes[VMI__WAYS]; /* of the rings */
    uintptr_t rings[VMI__WAYS], shown, hidden, slots[VMI__WAYS], end;
};

static struct layout layout_of(const struct vmi_device_setup *setup)
{
    struct layout at = {
        .sizes =
            {
                [VMI__RECEIVE] = vmi__ring_size(setup->requests, RING_LEAST),
                [VMI__SEND] = vmi__ring_size(setup->requests * setup->segments, RING_LEAST),
            },
    };

    at.rings[VMI__SEND] = at.sizes[VMI__RECEIVE] * sizeof(struct descriptor);
    at.shown = at.rings[VMI__SEND] + at.sizes[VMI__SEND] * sizeof(struct descriptor);
    at.hidden = vmi__bounce_hidden_from(at.shown + vmi__bounce_shown(setup, BUFFER_BYTES));
    at.slots[VMI__RECEIVE] = at.hidden + vmi__bounce_hidden(setup);
    at.slots[VMI__SEND] = at.slots[VMI__RECEIVE] + at.sizes[VMI__RECEIVE] * sizeof(uint16_t);
    at.end = at.slots[VMI__SEND] + at.sizes[VMI__SEND] * sizeof(uint16_t);
    return at;
}

static VMI__ADDRESS_TAKEN uintptr_t memory(struct vmi__device *device,
                                           const struct vmi_device_setup *setup)
{
    struct layout at = layout_of(setup);

    (void)device;
    return at.sizes[VMI__SEND] <= RING_MOST ? at.end : 0;
}

/* Makes a ring known to the device, empty. */
static VMI__RUN_ONCE void open_ring(const struct card *card, const struct ring *ring)
{
    uint64_t base = vmi__physical((const void *)(uintptr_t)ring->entries);

    write32(card, ring->registers + RING_BASE, (uint32_t)base);
    write32(card, ring->registers + RING_BASE_HIGH, (uint32_t)(base >> 32));
    write32(card, ring->registers + RING_LENGTH,
            (ring->mask + 1) * (uint32_t)sizeof(struct descriptor));
    write32(card, ring->registers + RING_HEAD, 0);
    write32(card, ring->registers + RING_TAIL, 0);
}

/* Which causes raise an interrupt: a message for each way, or the line for both (82574 7.4). */
static VMI__RUN_ONCE void open_interrupts(const struct card *card)
{
    if (!card->msix.entries) {
        write32(card, MASK_SET, CAUSE_SENT | CAUSE_RECEIVED);
        return;
    }
    write32(card, CONTROL_EXTENDED,
            read32(card, CONTROL_EXTENDED) | EXTENDED_PENDING | EXTENDED_KEEPS_MASK);
    write32(card, VECTORS, VECTORS_BOTH);
    write32(card, AUTO_CLEAR, CAUSE_QUEUES);
    write32(card, MASK_SET, CAUSE_QUEUES);
}

static VMI__RUN_ONCE VMI__ADDRESS_TAKEN bool start(struct vmi__device *device, void *at)
{
    static const uint32_t registers[VMI__WAYS] = {
        [VMI__RECEIVE] = RECEIVE_RING,
        [VMI__SEND] = SEND_RING,
    };
    struct card *card = card_of(device);
    struct layout layout = layout_of(&device->setup);
    const uint8_t *address = device->info.address;
    uint32_t multiple = card->model->express ? SEND_MULTIPLE : 0;

    if (!reset(card) || !wait_for_eeprom(card))
        return false;
    vmi__bounce_begin(&card->bounce, device, BUFFER_BYTES, (char *)at + layout.shown,
                      (char *)at + layout.hidden);
    write32(card, STATION_LOW, vmi__station_low(address));
    write32(card, STATION_HIGH, vmi__station_high(address) | ADDRESS_VALID);
    for (uint32_t way = 0; way < VMI__WAYS; way++) {
        struct ring *ring = &card->rings[way];

        *ring = (struct ring){
            .entries = (struct descriptor *)((char *)at + layout.rings[way]),
            .slots = (uint16_t *)((char *)at + layout.slots[way]),
            .mask = layout.sizes[way] - 1,
            .registers = registers[way],
        };
        open_ring(card, ring);
    }
    if (card->model->express)
        write32(card, SEND_RING + RING_CONTROL,
                read32(card, SEND_RING + RING_CONTROL) | RING_CONTROL_SET);
    vmi__msix_enable(&card->msix, device->place, true);
    open_interrupts(card);
    vmi__pci_enable(device->place, true);
    write32(card, SEND_GAP, SEND_GAP_USUAL);
    write32(card, SEND_CONTROL, SEND_SETTINGS | multiple);
    write32(card, RECEIVE_CONTROL, RECEIVE_SETTINGS);
    write32(card, CONTROL, CONTROL_DUPLEX | CONTROL_AUTO_SPEED | CONTROL_LINK);
    return true;
}

static VMI__ADDRESS_TAKEN void stop(struct vmi__device *device)
{
    struct card *card = card_of(device);

    /* Should it not reset itself: it reaches no memory all the same. */
    reset(card);
    vmi__pci_enable(device->place, false);
    /*
     * Messages stay on, masked: QEMU's e1000e (7.2) may still hold one back (EITR), and ends itself
     * if they are off when it is due.
     */
    for (uint32_t i = 0; card->msix.entries && i < card->msix.count; i++)
        vmi__msix_mask(&card->msix, i, true);
}

/* ---- packets ---- */

/* Fills the next entry of a ring, which has one free. */
static void give(struct ring *ring, uint16_t slot, uint64_t address, uint32_t length,
                 uint8_t command)
{
    uint32_t at = ring->given & ring->mask;
    volatile struct descriptor *entry = &ring->entries[at];

    entry->address = address;
    entry->length = (uint16_t)length;
    entry->offset = 0;
    entry->command = command;
    entry->status = 0;
    entry->errors = 0;
    entry->special = 0;
    ring->slots[at] = slot;
    ring->given++;
}

static void post(struct vmi__device *device, uint32_t slot)
{
    struct card *card = card_of(device);

    give(&card->rings[VMI__RECEIVE], (uint16_t)slot, vmi__bounce_address(&card->bounce, slot), 0,
         0);
}

static VMI__ADDRESS_TAKEN void pass(struct vmi__device *device, uint32_t way, uint32_t slot,
                                    const struct vmi_net_buffer *buffer)
{
    struct ring *ring = &card_of(device)->rings[way];

    if (way == VMI__RECEIVE) {
        vmi__bounce_keep(&card_of(device)->bounce, slot, buffer);
        post(device, slot);
        return;
    }
    for (uint32_t i = 0; i < buffer->count; i++) {
        bool last = i + 1 == buffer->count;

        give(ring, last ? (uint16_t)slot : PART, buffer->segments[i].address,
             buffer->segments[i].length,
             COMMAND_CHECK | (last ? COMMAND_LAST | COMMAND_REPORT : 0));
    }
}

static VMI__ADDRESS_TAKEN void tell(struct vmi__device *device, uint32_t way)
{
    const struct card *card = card_of(device);
    const struct ring *ring = &card->rings[way];

    vmi__compiler_fence();
    write32(card, ring->registers + RING_TAIL, ring->given & ring->mask);
}

/* Has the packet that begins at an entry ended? Then *at is behind it. */
static bool has_ended(const struct ring *ring, uint32_t *at)
{
    uint32_t last = *at;

    if (last == ring->given)
        return false;
    while (ring->slots[last & ring->mask] == PART)
        last++;
    if (!(ring->entries[last & ring->mask].status & ENTRY_DONE))
        return false;
    *at = last + 1;
    return true;
}

static VMI__ADDRESS_TAKEN enum vmi__taken take(struct vmi__device *device, uint32_t way,
                                               struct vmi__ended *ended)
{
    struct card *card = card_of(device);
    struct ring *ring = &card->rings[way];

    for (;;) {
        uint32_t next = ring->taken, at, status, errors, length;

        if (!has_ended(ring, &next))
            return VMI__TAKEN_NONE;
        ring->taken = next;
        at = (next - 1) & ring->mask;
        *ended = (struct vmi__ended){.slot = ring->slots[at], .status = VMI_OK};
        if (way == VMI__SEND)
            return VMI__TAKEN_ONE;
        vmi__compiler_fence();
        /* Read once: what is checked is what is used. */
        length = ring->entries[at].length;
        status = ring->entries[at].status;
        errors = ring->entries[at].errors;
        /* One descriptor has room for all that is received. */
        if (!(status & ENTRY_LAST) || length > BUFFER_BYTES)
            return vmi__device_fault(device, VMI_FAULT_LENGTH);
        /* Such packets are not to be received. */
        if (errors & ERRORS_OF_FRAME)
            return vmi__device_fault(device, VMI_FAULT_STATUS);
        /* One that has no place in its buffer is lost, and the buffer stays with the device. */
        if (length < ETHERNET_LEAST || length > device->queues[way].slots[ended->slot].room) {
            post(device, ended->slot);
            tell(device, way);
            continue;
        }
        vmi__bounce_deliver(&card->bounce, ended->slot, length);
        ended->length = length;
        return VMI__TAKEN_ONE;
    }
}

static VMI__ADDRESS_TAKEN bool ask(struct vmi__device *device, uint32_t way)
{
    const struct ring *ring = &card_of(device)->rings[way];
    uint32_t at = ring->taken;

    /* Interrupts are never off. */
    return has_ended(ring, &at);
}

/* ---- interrupts ---- */

static VMI__ADDRESS_TAKEN bool acknowledge(struct vmi__device *device)
{
    struct card *card = card_of(device);
    bool again = false;

    (void)read32(card, CAUSES);
    for (uint32_t way = 0; way < VMI__WAYS; way++) {
        struct ring *ring = &card->rings[way];
        uint32_t at = ring->noted, taken = ring->taken;

        if ((int32_t)(taken - at) > 0)
            at = taken;
        while (has_ended(ring, &at))
            again = true;
        ring->noted = at;
    }
    return again;
}

const struct vmi__driver vmi__driver_e1000;
const struct vmi__driver vmi__driver_e1000 = {
    .name = "e1000",
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
