/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Disks of Xen's split block devices, the front end's side (xen/io/blkif.h). Sectors are of 512
 * bytes in all of the protocol, whatever `sector-size` says: so Xen 4.20's blkif.h, for so all back
 * ends do it.
 */
#include "grants.h"
#include "runtime.h"
#include "xenbus.h"

#include <xen/io/blkif.h>
#include <xen/io/protocols.h>

#define SECTOR       512u
#define SECTOR_BITS  9
#define PAGE         4096u
#define BLOCK_MAX    PAGE
#define SECTORS_MAX  (1ull << 54) /* so that no address in bytes is too large */
#define RING_BYTES   PAGE
#define DISCARD_MOST 0x400000u /* blocks */

/*
 * A request names frames, 11 at most, and a segment that does not begin on one takes part of one
 * more: so many segments of so many bytes in all can always be told, for n segments of b bytes lie
 * in no more than b / 4096 + 1.75 n frames.
 */
#define FRAMES_MAX    BLKIF_MAX_SEGMENTS_PER_REQUEST
#define SEGMENTS_MAX  4u
#define REQUEST_BYTES 0x4000u
_Static_assert(4 * REQUEST_BYTES / PAGE + 7 * SEGMENTS_MAX <= 4 * FRAMES_MAX,
               "a request of the largest size has more frames than can be told");

/* How long requests under way are waited for when a disk is closed: so often 10 ms. */
#define ENDING_WAITS 500
/* And for the other side to let go of their memory, without which there is a fault. */
#define LETTING_GO_WAITS 100

/* References that a slot has for itself, and how many of them lend something. */
struct lent {
    grant_ref_t references[FRAMES_MAX];
    uint32_t count;
};

struct disk {
    struct vmi__xen_common_bus bus;
    struct vmi__xen_common_ring ring;
    uint32_t block_bits; /* of a block's sectors */
    uint32_t handle;     /* virtual-device: what requests say they are for */
    grant_ref_t ring_reference;
    struct lent *lent; /* of each slot, on pages that the other side does not see; 0: not begun */
};
_Static_assert(sizeof(struct disk) <= VMI__DRIVER_BYTES, "a driver's record has no room for it");

static struct disk *disk_of(struct vmi__device *device)
{
    return (struct disk *)device->own;
}

/* ---- connecting ---- */

/* With a ring at a page of zeroes; false if the other side does not come. */
static bool connect(struct disk *disk, void *page)
{
    struct vmi__xen_common_bus *bus = &disk->bus;

    vmi__xen_common_ring_begin(&disk->ring, page, RING_BYTES, sizeof(union blkif_sring_entry));
    bus->rings[0] = &disk->ring;
    if (!vmi__xen_common_begin(bus))
        return false;
    disk->ring_reference = vmi__xen_common_lend_page(bus, page);
    bus->ports[0] = vmi__xen_common_channel(bus);
    return disk->ring_reference && bus->ports[0] &&
           vmi__xen_common_tell(bus, "ring-ref", disk->ring_reference) &&
           vmi__xen_common_tell(bus, "event-channel", bus->ports[0]) &&
           vmi__xen_common_tell_text(bus, "protocol", XEN_IO_PROTO_ABI_NATIVE) &&
           vmi__xen_common_connect(bus, XenbusStateInitialised);
}

/* Takes a slot's frames back; false if the other side has one. */
static bool end_lending(struct lent *lent)
{
    bool all = true;

    for (uint32_t i = 0; i < lent->count; i++)
        all &= vmi__xen_common_grant_end(lent->references[i]);
    return all;
}

static bool end_all_lending(struct vmi__device *device)
{
    struct disk *disk = disk_of(device);
    bool all = true;

    for (uint32_t slot = 0; disk->lent && slot < device->setup.requests; slot++)
        all &= end_lending(&disk->lent[slot]);
    return all;
}

/* Everything that is not the other side's any more is given back; false if something is. */
static VMI__ADDRESS_TAKEN bool leave(struct vmi__device *device)
{
    struct disk *disk = disk_of(device);
    bool all = vmi__xen_common_take_back(&disk->ring_reference);

    vmi__xen_common_close(&disk->bus.ports[0]);
    for (uint32_t slot = 0; disk->lent && slot < device->setup.requests; slot++)
        for (uint32_t i = 0; i < FRAMES_MAX; i++)
            all &= vmi__xen_common_take_back(&disk->lent[slot].references[i]);
    if (all)
        disk->lent = 0;
    return all;
}

/*
 * Requests that are under way end first: a back end may part and leave them to the disk. One that
 * has done wrong is not waited for; what memory it does not let go of it can still write to.
 */
static VMI__ADDRESS_TAKEN void stop(struct vmi__device *device)
{
    struct disk *disk = disk_of(device);
    struct vmi__xen_common_ring *ring = &disk->ring;
    uint32_t waits = 0;

    if (disk->bus.ports[0])
        vmi__xen_common_port_mask(disk->bus.ports[0]);
    for (; !device->info.fault && waits < ENDING_WAITS &&
           vmi__xen_common_ring_news(ring) < ring->told - ring->taken;
         waits++)
        vmi__xen_common_wait();
    vmi__xen_common_part(&disk->bus, !device->info.fault);
    for (waits = 0; !end_all_lending(device); waits++) {
        if (waits == LETTING_GO_WAITS) {
            if (!device->info.fault)
                device->info.fault = VMI_FAULT_HELD;
            break;
        }
        vmi__xen_common_wait();
    }
}

/* ---- finding ---- */

/* A yes or no of the other side's. */
static bool offers(const struct disk *disk, const char *name)
{
    return vmi__xen_common_told(&disk->bus, name, 0) == 1;
}

/* Takes what the other side says of the disk into `info`; false if that cannot be. */
static bool describe(struct vmi__device *device)
{
    struct disk *disk = disk_of(device);
    struct vmi_device_properties *info = &device->info;
    uint64_t sectors = vmi__xen_common_told(&disk->bus, "sectors", 0);
    uint64_t size = vmi__xen_common_told(&disk->bus, "sector-size", SECTOR);
    uint64_t flags = vmi__xen_common_told(&disk->bus, "info", 0);

    if (size < SECTOR || size > BLOCK_MAX || size & (size - 1) || sectors > SECTORS_MAX)
        return false;
    info->kind = VMI_DEVICE_BLOCK;
    info->flags = flags & VDISK_READONLY ? VMI_DEVICE_IS_READ_ONLY : 0;
    info->flags |= offers(disk, "feature-flush-cache") ? VMI_DEVICE_IS_CACHED : 0;
    info->block_size = (uint32_t)size;
    disk->block_bits = (uint32_t)__builtin_ctz((uint32_t)size) - SECTOR_BITS;
    info->blocks = sectors >> disk->block_bits;
    info->queues = 1;
    info->requests = vmi__xen_common_ring_entries(RING_BYTES, sizeof(union blkif_sring_entry));
    info->segments = SEGMENTS_MAX;
    info->segment_bytes = REQUEST_BYTES;
    info->request_blocks = REQUEST_BYTES / info->block_size;
    info->discard_blocks = offers(disk, "feature-discard") ? DISCARD_MOST : 0;
    return info->blocks;
}

/*
 * The other side tells how large the disk is when it is connected, and not before, so it has a ring
 * of the library's for that long.
 */
static VMI__ADDRESS_TAKEN void probe(struct vmi__device *device)
{
    static char page[PAGE] __attribute__((aligned(4096)));
    struct disk *disk = disk_of(device);
    static bool kept;
    bool sound;

    if (kept)
        return;
    disk->handle = (uint32_t)vmi__xen_common_own(&disk->bus, "virtual-device", 0) & 0xffff;
    sound = connect(disk, page) && describe(device);
    stop(device);
    /* A page that the other side keeps is not given to the next one. */
    kept = !leave(device);
    if (kept || !sound)
        return;
    memset(page, 0, sizeof(page));
    vmi__device_keep(device);
}

static VMI__ADDRESS_TAKEN void find(const struct vmi__driver *driver)
{
    vmi__xen_common_each(driver, "vbd", probe);
}

/* ---- opening ---- */

static VMI__ADDRESS_TAKEN uintptr_t memory(struct vmi__device *device,
                                           const struct vmi_device_setup *setup)
{
    (void)device;
    return RING_BYTES + (uintptr_t)setup->requests * (uint32_t)sizeof(struct lent);
}

static VMI__ADDRESS_TAKEN bool start(struct vmi__device *device, void *at)
{
    struct disk *disk = disk_of(device);
    const struct vmi_device_properties before = device->info;

    disk->lent = (struct lent *)((char *)at + RING_BYTES);
    if (!connect(disk, at) || !describe(device)) {
        device->info = before;
        return false;
    }
    /* What a kernel was told of it has to stay right. */
    if (device->info.blocks != before.blocks || device->info.flags != before.flags ||
        device->info.block_size != before.block_size ||
        device->info.discard_blocks != before.discard_blocks) {
        device->info = before;
        return false;
    }
    for (uint32_t slot = 0; slot < device->setup.requests; slot++)
        for (uint32_t i = 0; i < FRAMES_MAX; i++) {
            disk->lent[slot].references[i] = vmi__xen_common_grant_reserve();
            if (!disk->lent[slot].references[i])
                return false;
        }
    return true;
}

/* ---- requests ---- */

/* The frames of a segment, each lent by a reference of the slot's. */
static void lend(struct disk *disk, struct lent *lent, volatile struct blkif_request *entry,
                 const struct vmi_segment *segment, bool read_only)
{
    uint64_t address = segment->address;
    uint32_t left = segment->length;

    while (left) {
        uint32_t offset = (uint32_t)address & (PAGE - 1);
        uint32_t part = left < PAGE - offset ? left : PAGE - offset;
        grant_ref_t reference = lent->references[lent->count];
        uint32_t frame = vmi__xen_common_frame((uintptr_t)(address >> 12));

        /* What is no frame is not lent, and the request fails. */
        if (frame != VMI__XEN_COMMON_NO_FRAME)
            vmi__xen_common_grant_lend(reference, frame, disk->bus.peer, read_only);
        entry->seg[lent->count].gref = reference;
        entry->seg[lent->count].first_sect = (uint8_t)(offset / SECTOR);
        entry->seg[lent->count].last_sect = (uint8_t)((offset + part) / SECTOR - 1);
        lent->count++;
        address += part;
        left -= part;
    }
}

static VMI__ADDRESS_TAKEN void put(struct vmi__device *device, uint32_t number, uint32_t slot,
                                   const struct vmi_block_request *wanted)
{
    static const uint8_t operations[] = {
        [VMI_BLOCK_READ] = BLKIF_OP_READ,
        [VMI_BLOCK_WRITE] = BLKIF_OP_WRITE,
        [VMI_BLOCK_FLUSH] = BLKIF_OP_FLUSH_DISKCACHE,
        [VMI_BLOCK_DISCARD] = BLKIF_OP_DISCARD,
    };
    struct disk *disk = disk_of(device);
    struct lent *lent = &disk->lent[slot];
    volatile struct blkif_request *entry = vmi__xen_common_ring_put(&disk->ring);
    volatile struct blkif_request_discard *discard = (volatile void *)entry;

    (void)number;
    lent->count = 0;
    entry->operation = operations[wanted->operation];
    entry->id = slot;
    entry->sector_number = wanted->block << disk->block_bits;
    entry->handle = (blkif_vdev_t)disk->handle;
    if (wanted->operation <= VMI_BLOCK_WRITE)
        for (uint32_t i = 0; i < wanted->count; i++)
            lend(disk, lent, entry, &wanted->segments[i], wanted->operation == VMI_BLOCK_WRITE);
    if (wanted->operation == VMI_BLOCK_DISCARD) {
        discard->flag = 0;
        discard->nr_sectors = (uint64_t)wanted->blocks << disk->block_bits;
    } else {
        entry->nr_segments = (uint8_t)lent->count;
    }
}

static VMI__ADDRESS_TAKEN void tell(struct vmi__device *device, uint32_t number)
{
    struct disk *disk = disk_of(device);

    (void)number;
    if (vmi__xen_common_ring_publish(&disk->ring))
        vmi__xen_common_notify(disk->bus.ports[0]);
}

static VMI__ADDRESS_TAKEN enum vmi__taken take(struct vmi__device *device, uint32_t number,
                                               struct vmi__ended *ended)
{
    struct disk *disk = disk_of(device);
    const volatile struct blkif_response *response;
    const volatile void *next;
    const struct vmi__slot *slot;
    enum vmi__taken taken = vmi__xen_common_ring_take(device, &disk->ring, &next);
    uint64_t id;
    int16_t status;

    if (taken != VMI__TAKEN_ONE)
        return taken;
    /* Read once: what is checked is what is used. */
    response = next;
    id = response->id;
    status = response->status;
    ended->slot = id < device->setup.requests ? (uint32_t)id : device->setup.requests;
    ended->length = 0;
    slot = &device->queues[number].slots[ended->slot];
    if (ended->slot == device->setup.requests || slot->state != VMI__SLOT_GIVEN)
        return vmi__device_fault(device, VMI_FAULT_IDENTIFIER);
    if (!end_lending(&disk->lent[ended->slot]))
        return vmi__device_fault(device, VMI_FAULT_HELD);
    switch (status) {
    case BLKIF_RSP_OKAY:
        ended->status = VMI_OK;
        ended->length = slot->room;
        return VMI__TAKEN_ONE;
    case BLKIF_RSP_ERROR:
        ended->status = VMI_EIO;
        return VMI__TAKEN_ONE;
    case BLKIF_RSP_EOPNOTSUPP:
        ended->status = VMI_ENOSYS;
        return VMI__TAKEN_ONE;
    default:
        return vmi__device_fault(device, VMI_FAULT_STATUS);
    }
}

static VMI__ADDRESS_TAKEN bool ask(struct vmi__device *device, uint32_t number)
{
    (void)number;
    return vmi__xen_common_ring_ask(&disk_of(device)->ring);
}

const struct vmi__driver vmi__driver_blkfront;
const struct vmi__driver vmi__driver_blkfront = {
    .name = "blkfront",
    .find = find,
    .memory = memory,
    .start = start,
    .stop = stop,
    .leave = leave,
    .put = put,
    .tell = tell,
    .take = take,
    .ask = ask,
};
