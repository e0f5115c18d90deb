/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Fuzz target: virtio devices that lie, a disk and a source of entropy, under the interface and the
 * drivers as they are.
 *
 * An input is what the kernel and the devices do, in turn: four bytes that say what the devices
 * are, then steps of a byte and what each takes. Devices' registers are plain memory, for drivers
 * write what they then read. Whatever a device says, writes to its registers or into what it
 * shares with its driver: each request ends once, no lock is left held, and nothing is accessed
 * that is not the library's.
 */
#include "interface.c" /* devices/: its devices are made anew for each input */

#include "virtio/device.h"

#include "disk.h"

extern const struct vmi__driver vmi__driver_virtio_blk, vmi__driver_virtio_rng;

struct vmi_boot_info vmi__boot;
int32_t (*vmi__entropy_of_devices)(uint32_t source, uint8_t *to, uint32_t size);
const struct vmi__driver *const vmi__drivers[] = {&vmi__driver_virtio_blk, &vmi__driver_virtio_rng,
                                                  0};

/* PCI 3.0, 6; VIRTIO 1.2, 2.7, 4.1.4, 5.2. */
#define PCI_BAR0         0x10u
#define PCI_COMMAND      0x04u
#define STATUS_LIST      0x00100000u
#define CAPABILITY_FIRST 0x40u
enum { COMMON = 1, NOTIFY, INTERRUPT, CONFIG, PARTS };
enum { OFFERED = 4, QUEUES = 18, QUEUE_SELECT = 22, QUEUE_SIZE = 24 };
enum { DESCRIPTORS = 32, AVAILABLE = 40, USED = 48 };
#define BAR_SIZE 0x8000u
#define PART     0x1000u
#define PLACES   2u /* functions 1 and 2 of the bus: disk and source */
#define MOST_Q   2u

/* ---- the bus ---- */

static struct function {
    uint32_t space[64];
    uint8_t bar[BAR_SIZE] __attribute__((aligned(4096)));
    bool sizing;
    /* Where its driver has put the rings of each queue, and how far it has ended them. */
    uint64_t rings[MOST_Q][3];
    uint16_t seen[MOST_Q], ended[MOST_Q];
    uint8_t *memory;
    uintptr_t shared; /* bytes that it may write */
    struct vmi_device_setup setup;
} functions[PLACES];
static uint32_t locks;

void vmi__platform_init(void)
{
}

uint32_t vmi__platform_enter(volatile uint32_t *held)
{
    HOLDS(!*held);
    *held = 1;
    locks++;
    return 7;
}

void vmi__platform_leave(volatile uint32_t *held, uint32_t flags)
{
    HOLDS(*held == 1 && flags == 7);
    *held = 0;
    locks--;
}

void vmi__platform_pause(void)
{
}

void vmi__platform_delay(uint32_t microseconds)
{
    (void)microseconds;
}

void vmi__platform_unbind(uint32_t device)
{
    (void)device;
}

uint32_t vmi__platform_port_read(uint16_t port, uint32_t bytes)
{
    (void)port;
    (void)bytes;
    HOLDS(false); /* only the legacy interface has ports */
    return 0;
}

void vmi__platform_port_write(uint16_t port, uint32_t value, uint32_t bytes)
{
    (void)port;
    (void)value;
    (void)bytes;
    HOLDS(false);
}

static struct function *function_at(uint32_t place)
{
    return place >= 8 && place < 8 * (1 + PLACES) && !(place & 7) ? &functions[place / 8 - 1] : 0;
}

uint32_t vmi__platform_pci_read(uint32_t place, uint32_t offset)
{
    struct function *at = function_at(place);

    HOLDS(offset < sizeof(at->space) && offset % 4 == 0);
    if (!at)
        return ~0u;
    return offset == PCI_BAR0 && at->sizing ? ~(BAR_SIZE - 1) : at->space[offset / 4];
}

void vmi__platform_pci_write(uint32_t place, uint32_t offset, uint32_t value)
{
    struct function *at = function_at(place);

    HOLDS(at && offset < sizeof(at->space) && offset % 4 == 0);
    if (offset == PCI_BAR0)
        at->sizing = value == ~0u;
    else if (offset == PCI_COMMAND)
        at->space[1] = (at->space[1] & 0xffff0000u) | (value & 0xffff);
    else
        at->space[offset / 4] = value;
}

volatile void *vmi__platform_map(uint64_t base, uintptr_t size)
{
    for (uint32_t i = 0; i < PLACES; i++) {
        uint64_t offset = base - (0xfe000000u + i * BAR_SIZE);

        if (offset <= BAR_SIZE && size <= BAR_SIZE - offset)
            return functions[i].bar + offset;
    }
    return 0;
}

/* ---- devices ---- */

static void set(struct function *at, uint32_t part, uint32_t offset, uint32_t value, uint32_t bytes)
{
    memcpy(at->bar + part * PART + offset, &value, bytes);
}

static void plug(struct function *at, uint32_t type, uint32_t features, uint32_t size, bool msix)
{
    uint32_t capability = CAPABILITY_FIRST;

    memset(at, 0, sizeof(*at));
    at->space[0] = 0x1af4u | (0x1040 + type) << 16;
    at->space[1] = STATUS_LIST;
    at->space[PCI_BAR0 / 4] = 0xfe000000u + (uint32_t)(at - functions) * BAR_SIZE;
    at->space[0x34 / 4] = capability;
    for (uint32_t kind = COMMON; kind < PARTS; kind++, capability += 24) {
        at->space[capability / 4] = 9u | (capability + 24) << 8 | kind << 24;
        at->space[capability / 4 + 2] = (kind - 1) * PART;
        at->space[capability / 4 + 3] = PART;
        at->space[capability / 4 + 4] = kind == NOTIFY ? 4 : 0;
    }
    if (msix) {
        at->space[capability / 4] = 0x11u | 3u << 16;
        at->space[capability / 4 + 1] = (PARTS - 1) * PART;
    } else {
        at->space[capability / 4 - 6] &= 0xffff00ffu;
    }
    /* Both halves of the features read the same: bit 0 of the upper one is VERSION_1. */
    set(at, 0, OFFERED, 1 | features, 4);
    set(at, 0, QUEUES, MOST_Q, 2);
    set(at, 0, QUEUE_SIZE, size, 2);
}

/* The driver has written of one queue after the other into the same registers. */
static void note_rings(struct function *at)
{
    const struct vmi__virtio *virtio = vmi__virtio_of(&devices[0]);

    for (uint32_t i = 0; i < count; i++)
        if (function_at(devices[i].place) == at)
            virtio = vmi__virtio_of(&devices[i]);
    for (uint32_t i = 0; i < MOST_Q; i++) {
        at->rings[i][0] = (uintptr_t)virtio->queues[i].descriptors;
        at->rings[i][1] = (uintptr_t)virtio->queues[i].available;
        at->rings[i][2] = (uintptr_t)virtio->queues[i].used;
        at->seen[i] = at->ended[i] = 0;
    }
}

static uint32_t entries(const struct function *at, uint32_t queue)
{
    for (uint32_t i = 0; i < count; i++)
        if (function_at(devices[i].place) == at)
            return vmi__virtio_of(&devices[i])->queues[queue].size;
    return 0;
}

/* Is it something that the device shares with its driver? It looks at nothing else. */
static bool shares(const struct function *at, uint64_t address, uint64_t size)
{
    uint64_t offset = address - (uintptr_t)at->memory;

    return at->memory && offset < at->shared && size <= at->shared - offset;
}

static void say(struct function *at, uint32_t queue, uint32_t id, uint32_t length)
{
    uint32_t size = entries(at, queue);
    uint64_t used = at->rings[queue][2];

    if (!size || !shares(at, used, 4 + 8ull * size))
        return;
    struct vmi__virtio_used *ring = (void *)(uintptr_t)used;
    ring->ring[at->ended[queue] % size].id = id;
    ring->ring[at->ended[queue] % size].length = length;
    ring->index = ++at->ended[queue];
}

/* Ends the next request that it was given, as it should: fills what it may write, status last. */
static void end_one(struct function *at, uint32_t queue)
{
    uint32_t size = entries(at, queue), written = 0, head;
    uint64_t available = at->rings[queue][1], chain = at->rings[queue][0];

    if (!size || !shares(at, available, 4 + 2ull * size) ||
        !shares(at, chain, sizeof(struct vmi__virtio_descriptor) * (uint64_t)size))
        return;
    const struct vmi__virtio_available *ring = (void *)(uintptr_t)available;
    if (ring->index == at->seen[queue])
        return;
    head = ring->ring[at->seen[queue]++ % size];
    if (head >= size)
        return;
    const struct vmi__virtio_descriptor *all = (void *)(uintptr_t)chain, *one = &all[head];
    if (one->flags & 4 && !(one->address % 16) && shares(at, one->address, sizeof(*one) * 32)) {
        all = (void *)(uintptr_t)one->address;
        one = all;
        size = 32;
    }
    for (uint32_t i = 0; i < 32; i++) {
        /* What it fills may be the descriptor. */
        const struct vmi__virtio_descriptor now = *one;
        if (now.flags & 2) {
            written += now.length;
            if (shares(at, now.address, now.length))
                for (uint32_t j = 0; j < now.length; j++)
                    ((uint8_t *)(uintptr_t)now.address)[j] =
                        now.length == 1 ? 0 : (uint8_t)(j * 37 + at->seen[queue] * 101 + (j >> 3));
        }
        if (!(now.flags & 1) || now.next >= size)
            break;
        one = &all[now.next];
    }
    say(at, queue, head, written);
}

/* ---- the kernel ---- */

static void open_device(uint32_t number)
{
    struct vmi_device_setup setup = {
        .queues = 1 + next8() % MOST_Q, .requests = 1 + next8() % 16, .segments = 1 + next8() % 4};
    struct vmi_device_memory needs;
    struct function *at;

    if (number >= count || devices[number].state != VMI__DEVICE_CLOSED ||
        vmi__device_needs(number, &setup, &needs))
        return;
    at = function_at(devices[number].place);
    HOLDS(at && needs.size % PAGE == 0);
    free(at->memory);
    at->memory = aligned_alloc(PAGE, needs.size);
    at->shared = needs.size - table_bytes(&devices[number], &setup);
    setup.memory = (uintptr_t)at->memory;
    at->setup = setup;
    vmi__device_open(number, &setup);
    note_rings(at);
}

static void fill(void)
{
    uint32_t which = next8(), size = 1 + next16() % 5000;
    uint8_t *to;

    if (!vmi__entropy_of_devices)
        return;
    to = malloc(size);
    int32_t result = vmi__entropy_of_devices(which & 8 ? VMI_ENTROPY_ANY : which % 3, to, size);
    HOLDS(result && result <= (int32_t)size);
    free(to);
}

static void look(void)
{
    struct vmi_device_properties info;

    for (uint32_t i = 0; vmi__device_info(i, &info) == VMI_OK; i++) {
        HOLDS(i < PLACES);
        is_sound(&info);
    }
}

static void interrupt(uint32_t number)
{
    struct vmi__device *device = vmi__device_by_number(number);
    uint32_t what = next8(), queue = what / 8 % MOST_Q;

    if (!device || device->state != VMI__DEVICE_OPEN || queue >= device->setup.queues)
        return;
    interrupt_on_pci(device, queue, what);
}

static void step(void)
{
    uint32_t what = next8(), which = what / 16 % PLACES, at;
    struct function *function = &functions[which];

    switch (what % 16) {
    case 0:
    case 1:
        at = next8() % 3;
        give_something(at, next8() % 3, 0);
        break;
    case 2:
    case 3:
    case 4:
        end_one(function, next8() % MOST_Q);
        break;
    case 5:
        at = next8();
        say(function, at & 1, at & 2 ? next_length() : next8(), next_length());
        break;
    case 6:
        at = next8() % MOST_Q;
        if (shares(function, function->rings[at][2], 4))
            ((struct vmi__virtio_used *)(uintptr_t)function->rings[at][2])->index =
                (uint16_t)next16();
        break;
    case 7: /* into rings, descriptors, tables and buffers */
        at = next_length();
        if (function->shared)
            function->memory[at % function->shared] = (uint8_t)next8();
        break;
    case 8:
    case 9:
        at = next8();
        reap_with(vmi__block_reap, at % 3, at / 4 % 3, at / 16);
        break;
    case 10:
        fill();
        break;
    case 11:
        open_device(which);
        break;
    case 12:
        HOLDS(close_and_reap(next8() % 3, reapers, 1, MOST_Q) != VMI_EBUSY);
        break;
    case 13:
        at = next16();
        function->bar[at % 5 * PART + at / 5 % 64] = (uint8_t)next8();
        break;
    case 14:
        at = next8();
        ((uint8_t *)function->space)[at] = (uint8_t)next8();
        if (at < 0x80)
            look();
        break;
    default:
        interrupt(which);
    }
    HOLDS(!locks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t kind, queue_size;

    input = data;
    left = size;
    memset(devices, 0, sizeof(devices));
    forget_requests();
    count = 0;
    found = false;
    vmi__entropy_of_devices = 0;
    vmi__boot.linear_pages = UINTPTR_MAX / PAGE;
    kind = next8();
    queue_size = 1u << next8() % 9;
    plug(&functions[0], 2,
         (kind & 1 ? 1u << 28 : 0) | (kind & 2 ? 1u << 29 : 0) | (kind & 4 ? 1u << 2 : 0) |
             (kind & 8 ? 1u << 9 : 0) | (kind & 16 ? 1u << 13 : 0) | (kind & 32 ? 1u << 6 : 0) |
             (kind & 64 ? 1u << 12 : 0),
         queue_size, kind & 128);
    plug(&functions[1], 4, kind & 2 ? 1u << 29 : 0, queue_size, kind & 128);
    set(&functions[0], 3, 0, next16(), 4);                 /* sectors */
    set(&functions[0], 3, 12, 4, 4);                       /* segments */
    set(&functions[0], 3, 20, 512u << (kind >> 2 & 3), 4); /* bytes of a block */
    set(&functions[0], 3, 34, MOST_Q, 2);                  /* queues */
    set(&functions[0], 3, 36, 64, 4);                      /* sectors of a discard */
    for (uint32_t scribbles = next8() % 8; scribbles > 4; scribbles--)
        functions[scribbles & 1].space[CAPABILITY_FIRST / 4 + next8() % 30] ^= next16()
                                                                               << next8() % 17;
    look();
    while (left)
        step();
    for (uint32_t i = 0; i < count; i++)
        HOLDS(close_and_reap(i, reapers, 1, MOST_Q) != VMI_EBUSY);
    nothing_is_pending();
    for (uint32_t i = 0; i < PLACES; i++) {
        free(functions[i].memory);
        functions[i].memory = 0;
    }
    return 0;
}
