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
#define DISCARD_MOST 0x400000u    /* blocks */

/* Pages of a ring at most: 128 requests' worth. */
#define RING_PAGES_MAX 4u

/* Frames that a request can name itself; more are named on a page of its own (indirect). */
#define FRAMES_DIRECT  BLKIF_MAX_SEGMENTS_PER_REQUEST
#define FRAMES_OF_PAGE (PAGE / (uint32_t)sizeof(struct blkif_request_segment))

/*
 * Frames in which so many segments of so many bytes in all can lie: one that does not begin on a
 * page takes part of one more, n segments of b bytes no more than b / 4096 + 1.75 n.
 */
#define FRAMES_OF(bytes, segments) ((4 * (bytes) / PAGE + 7 * (segments)) / 4)

/* Sizes of the largest request, the largest first: one whose frames the other side takes. */
#define SEGMENT_BYTES 0x4000u
static const struct size {
    uint32_t bytes, segments;
} sizes[] = {{0x20000, 16}, {0x10000, 8}, {0x8000, 4}, {0x4000, 4}};
_Static_assert(FRAMES_OF(0x4000, 4) <= FRAMES_DIRECT && FRAMES_OF(0x20000, 16) <= FRAMES_OF_PAGE,
               "a request of the largest size has more frames than can be told");

/* How long requests under way are waited for when a disk is closed: so often 10 ms. */
#define ENDING_WAITS 500
/* And for the other side to let go of their memory, without which there is a fault. */
#define LETTING_GO_WAITS 100

/* A reference of a slot's, and the frame that it lends. */
struct frame {
    grant_ref_t reference;
    uint32_t pfn;
};

/* What a slot has for itself: references, of which `count` lend something; where it has one, its
 * page of names; and its request, as the other side was given it. */
struct lent {
    uint32_t count;
    grant_ref_t page;
    union blkif_sring_entry request;
    struct frame frames[]; /* as many as a request may have */
};

struct disk {
    struct vmi__xen_common_bus bus;
    struct vmi__xen_common_ring ring;
    uint32_t block_bits; /* of a block's sectors */
    uint32_t handle;     /* virtual-device: what requests say they are for */
    grant_ref_t ring_references[RING_PAGES_MAX];
    uint32_t frames;   /* of a request, at most, while it is open */
    char *pages;       /* of names, one for each slot; 0: no request has as many frames */
    char *lent;        /* of each slot, on pages that the other side does not see; 0: not begun */
    grant_ref_t *kept; /* of the frames that are left to it, lent while it is open; 0: none are */
    uintptr_t kept_first; /* of those frames */
};
_Static_assert(sizeof(struct disk) <= VMI__DRIVER_BYTES, "a driver's record has no room for it");

static struct disk *disk_of(struct vmi__device *device)
{
    return (struct disk *)device->own;
}

static uint32_t lent_bytes(uint32_t frames)
{
    return (uint32_t)sizeof(struct lent) + frames * (uint32_t)sizeof(struct frame);
}

static struct lent *lent_of(const struct disk *disk, uint32_t slot)
{
    return (struct lent *)(disk->lent + slot * lent_bytes(disk->frames));
}

/* Frames of the largest request that a setup allows. */
static uint32_t frames_of(const struct vmi__device *device, const struct vmi_device_setup *setup)
{
    uint32_t bytes = device->info.request_blocks * device->info.block_size;

    if (bytes > setup->segments * device->info.segment_bytes)
        bytes = setup->segments * device->info.segment_bytes;
    return FRAMES_OF(bytes, setup->segments);
}

VMI__RUN_ONCE static uint32_t ring_entries(uint32_t pages)
{
    return vmi__xen_common_ring_entries(pages * PAGE, sizeof(union blkif_sring_entry));
}

/* Pages of a ring that has room for so many requests. */
VMI__RUN_ONCE static uint32_t ring_pages(uint32_t requests)
{
    uint32_t pages = 1;

    while (ring_entries(pages) < requests)
        pages *= 2;
    return pages;
}

/* ---- connecting ---- */

/* Pages of a ring that the other side takes; it says so before it is connected. */
VMI__RUN_ONCE static uint32_t ring_pages_offered(const struct disk *disk)
{
    uint64_t order = vmi__xen_common_told(&disk->bus, "max-ring-page-order", 0);
    uint32_t pages = 1;

    while (pages < RING_PAGES_MAX && order--)
        pages *= 2;
    return pages;
}

/*
 * Names the ring to the other side: by the node that each knows if it is one page, and by those of
 * one that knows larger ones, which may have what whoever was here before has left.
 */
VMI__RUN_ONCE static bool tell_ring(struct vmi__device *device, char *ring, uint32_t pages)
{
    static const char *const nodes[RING_PAGES_MAX] = {"ring-ref0", "ring-ref1", "ring-ref2",
                                                      "ring-ref3"};
    struct disk *disk = disk_of(device);
    const struct vmi__xen_common_bus *bus = &disk->bus;

    for (uint32_t i = 0; i < pages; i++) {
        grant_ref_t *reference = &disk->ring_references[i];

        if (!vmi__xen_common_lend_page(device, reference, ring + i * PAGE, false) ||
            !vmi__xen_common_tell(bus, nodes[i], *reference))
            return false;
    }
    return vmi__xen_common_tell(bus, "ring-page-order", (uint32_t)__builtin_ctz(pages)) &&
           (pages > 1 || vmi__xen_common_tell(bus, "ring-ref", disk->ring_references[0]));
}

/* With a ring at pages of zeroes; false if the other side does not come, or takes no such ring. */
VMI__RUN_ONCE static bool connect(struct vmi__device *device, char *ring, uint32_t pages)
{
    struct disk *disk = disk_of(device);
    struct vmi__xen_common_bus *bus = &disk->bus;

    vmi__xen_common_ring_begin(&disk->ring, ring, pages * PAGE, sizeof(union blkif_sring_entry));
    bus->rings[0] = &disk->ring;
    if (!vmi__xen_common_begin(bus) || pages > ring_pages_offered(disk) ||
        !tell_ring(device, ring, pages))
        return false;
    bus->ports[0] = vmi__xen_common_channel(bus);
    return bus->ports[0] && vmi__xen_common_tell(bus, "event-channel", bus->ports[0]) &&
           vmi__xen_common_tell(bus, "feature-persistent", disk->kept ? 1 : 0) &&
           vmi__xen_common_tell_text(bus, "protocol", XEN_IO_PROTO_ABI_NATIVE) &&
           vmi__xen_common_connect(bus, XenbusStateInitialised);
}

/* Takes a slot's frames back; false if the other side has one. */
static bool end_lending(struct lent *lent)
{
    bool all = true;

    for (uint32_t i = 0; i < lent->count; i++)
        all &= vmi__xen_common_grant_end(lent->frames[i].reference);
    return all;
}

VMI__RUN_ONCE static bool end_all_lending(struct vmi__device *device)
{
    struct disk *disk = disk_of(device);
    bool all = true;

    for (uint32_t slot = 0; disk->lent && slot < device->setup.requests; slot++)
        all &= end_lending(lent_of(disk, slot));
    return all;
}

/* Does something with every reference of the disk's, 0 where it has none; false if one failed. */
VMI__RUN_ONCE static bool with_references(struct vmi__device *device,
                                          bool (*with)(grant_ref_t *reference))
{
    struct disk *disk = disk_of(device);
    bool all = true;

    for (uint32_t i = 0; i < RING_PAGES_MAX; i++)
        all &= with(&disk->ring_references[i]);
    for (uint32_t slot = 0; disk->lent && slot < device->setup.requests; slot++) {
        struct lent *lent = lent_of(disk, slot);

        all &= with(&lent->page);
        for (uint32_t i = 0; i < disk->frames; i++)
            all &= with(&lent->frames[i].reference);
    }
    for (uint32_t i = 0; disk->kept && i < device->kept; i++)
        all &= with(&disk->kept[i]);
    return all;
}

/* Everything that is not the other side's any more is given back; false if something is. */
VMI__RUN_ONCE static VMI__ADDRESS_TAKEN bool leave(struct vmi__device *device)
{
    struct disk *disk = disk_of(device);
    bool all;

    vmi__xen_common_close(&disk->bus.ports[0]);
    all = with_references(device, vmi__xen_common_take_back);
    if (all) {
        disk->lent = 0;
        disk->kept = 0;
    }
    return all;
}

/*
 * Requests that are under way end first: a back end may part and leave them to the disk. One that
 * has done wrong is not waited for; what memory it does not let go of it can still write to.
 */
VMI__RUN_ONCE static VMI__ADDRESS_TAKEN void stop(struct vmi__device *device)
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
VMI__RUN_ONCE static bool offers(const struct disk *disk, const char *name)
{
    return vmi__xen_common_told(&disk->bus, name, 0) == 1;
}

/* The largest request whose frames the other side takes. */
VMI__RUN_ONCE static struct size size_offered(const struct disk *disk)
{
    uint64_t frames =
        vmi__xen_common_told(&disk->bus, "feature-max-indirect-segments", FRAMES_DIRECT);
    uint32_t i = 0;

    while (i + 1 < sizeof(sizes) / sizeof(sizes[0]) &&
           FRAMES_OF(sizes[i].bytes, sizes[i].segments) > frames)
        i++;
    return sizes[i];
}

/* Takes what the other side says of the disk into `info`; false if that cannot be. */
VMI__RUN_ONCE static bool describe(struct vmi__device *device)
{
    struct disk *disk = disk_of(device);
    struct vmi_device_properties *info = &device->info;
    uint64_t sectors = vmi__xen_common_told(&disk->bus, "sectors", 0);
    uint64_t size = vmi__xen_common_told(&disk->bus, "sector-size", SECTOR);
    uint64_t flags = vmi__xen_common_told(&disk->bus, "info", 0);
    struct size request = size_offered(disk);

    if (size < SECTOR || size > BLOCK_MAX || size & (size - 1) || sectors > SECTORS_MAX)
        return false;
    info->kind = VMI_DEVICE_BLOCK;
    info->flags = flags & VDISK_READONLY ? VMI_DEVICE_IS_READ_ONLY : 0;
    info->flags |= offers(disk, "feature-flush-cache") ? VMI_DEVICE_IS_CACHED : 0;
    info->block_size = (uint32_t)size;
    disk->block_bits = (uint32_t)__builtin_ctz((uint32_t)size) - SECTOR_BITS;
    info->blocks = sectors >> disk->block_bits;
    info->queues = 1;
    info->requests = ring_entries(ring_pages_offered(disk));
    info->segments = request.segments;
    info->segment_bytes = SEGMENT_BYTES;
    info->request_blocks = request.bytes / info->block_size;
    info->discard_blocks = offers(disk, "feature-discard") ? DISCARD_MOST : 0;
    return info->blocks;
}

/*
 * The other side tells how large the disk is when it is connected, and not before, so it has a ring
 * of the library's for that long.
 */
VMI__RUN_ONCE static VMI__ADDRESS_TAKEN void probe(struct vmi__device *device)
{
    static char page[PAGE] __attribute__((aligned(4096)));
    struct disk *disk = disk_of(device);
    static bool kept;
    bool sound;

    if (kept)
        return;
    disk->handle = (uint32_t)vmi__xen_common_own(&disk->bus, "virtual-device", 0) & 0xffff;
    sound = connect(device, page, 1) && describe(device);
    stop(device);
    /* A page that the other side keeps is not given to the next one. */
    kept = !leave(device);
    if (kept || !sound)
        return;
    memset(page, 0, sizeof(page));
    vmi__device_keep(device);
}

VMI__RUN_ONCE static VMI__ADDRESS_TAKEN void find(const struct vmi__driver *driver)
{
    vmi__xen_common_each(driver, "vbd", probe);
}

/* ---- opening ---- */

static VMI__ADDRESS_TAKEN uintptr_t memory(struct vmi__device *device,
                                           const struct vmi_device_setup *setup)
{
    uint32_t frames = frames_of(device, setup);

    return ring_pages(setup->requests) * PAGE +
           (uintptr_t)setup->requests * ((frames > FRAMES_DIRECT ? PAGE : 0) + lent_bytes(frames)) +
           device->kept * (uintptr_t)sizeof(grant_ref_t);
}

/*
 * References of all slots, or of the frames that are left to the disk; and of pages of names. The
 * latter two stay lent: the other side need not map anew what requests name again and again.
 */
VMI__RUN_ONCE static bool reserve(struct vmi__device *device)
{
    struct disk *disk = disk_of(device);

    for (uint32_t i = 0; disk->kept && i < device->kept; i++)
        if (!vmi__xen_common_lend_frame(device, &disk->kept[i], disk->kept_first + i, false))
            return false;
    for (uint32_t slot = 0; slot < device->setup.requests; slot++) {
        struct lent *lent = lent_of(disk, slot);

        if (disk->pages &&
            !vmi__xen_common_lend_page(device, &lent->page, disk->pages + slot * PAGE, true))
            return false;
        for (uint32_t i = 0; !disk->kept && i < disk->frames; i++)
            if (!vmi__xen_common_reserve(device, &lent->frames[i].reference))
                return false;
    }
    return true;
}

/* Is what a kernel was told of a disk right? The other side may take more than that. */
static bool is_as_told(const struct vmi_device_properties *info,
                       const struct vmi_device_properties *told)
{
    return info->blocks == told->blocks && info->flags == told->flags &&
           info->block_size == told->block_size && info->discard_blocks >= told->discard_blocks &&
           info->requests >= told->requests && info->segments >= told->segments &&
           info->request_blocks >= told->request_blocks;
}

/* Comes together with the other side, with a ring at zeroed memory, and lends it what stays so. */
VMI__RUN_ONCE static bool come_together(struct vmi__device *device, void *at)
{
    const struct vmi_device_properties told = device->info;
    bool sound = connect(device, at, ring_pages(device->setup.requests)) && describe(device) &&
                 is_as_told(&device->info, &told);

    device->info = told;
    return sound && reserve(device);
}

VMI__RUN_ONCE static VMI__ADDRESS_TAKEN bool start(struct vmi__device *device, void *at)
{
    struct disk *disk = disk_of(device);
    uint32_t requests = device->setup.requests;
    char *place = (char *)at + ring_pages(requests) * PAGE;

    disk->frames = frames_of(device, &device->setup);
    disk->pages = 0;
    if (disk->frames > FRAMES_DIRECT) {
        disk->pages = place;
        place += requests * PAGE;
    }
    disk->lent = place;
    place += requests * lent_bytes(disk->frames);
    disk->kept = device->kept ? (grant_ref_t *)place : 0;
    disk->kept_first = device->kept_first;
    return come_together(device, at);
}

/* ---- requests ---- */

/* Frames in which the segments of a request lie. */
static uint32_t frames_named(const struct vmi_block_request *request)
{
    uint32_t frames = 0;

    for (uint32_t i = 0; i < request->count; i++) {
        uint32_t offset = (uint32_t)request->segments[i].address & (PAGE - 1);

        frames += (offset + request->segments[i].length + PAGE - 1) / PAGE;
    }
    return frames;
}

/* A frame by the slot's next reference, which lends it once the request is given. */
static grant_ref_t name_frame(struct lent *lent, uintptr_t pfn)
{
    struct frame *frame = &lent->frames[lent->count++];

    frame->pfn = (uint32_t)pfn;
    return frame->reference;
}

/* The frames of a segment, each by a reference, named from `name` on. */
static struct blkif_request_segment *name_all(const struct disk *disk, struct lent *lent,
                                              struct blkif_request_segment *name,
                                              const struct vmi_segment *segment)
{
    uint64_t address = segment->address;
    uint32_t left = segment->length;

    while (left) {
        uint32_t offset = (uint32_t)address & (PAGE - 1);
        uint32_t part = left < PAGE - offset ? left : PAGE - offset;
        uintptr_t pfn = (uintptr_t)(address >> 12);

        name->gref = disk->kept ? disk->kept[pfn - disk->kept_first] : name_frame(lent, pfn);
        name->first_sect = (uint8_t)(offset / SECTOR);
        name->last_sect = (uint8_t)((offset + part) / SECTOR - 1);
        name++;
        address += part;
        left -= part;
    }
    return name;
}

/* A read or write: names its frames itself, or on its slot's page. */
static void make_moving(struct disk *disk, uint32_t slot, const struct vmi_block_request *wanted,
                        uint8_t operation)
{
    struct lent *lent = lent_of(disk, slot);
    struct blkif_request *request = &lent->request.req;
    struct blkif_request_segment *name = request->seg;
    uint32_t frames = frames_named(wanted);

    request->operation = operation;
    request->nr_segments = (uint8_t)frames;
    if (frames > FRAMES_DIRECT) {
        struct blkif_request_indirect *indirect = (void *)request;

        name = (void *)(disk->pages + slot * PAGE);
        indirect->operation = BLKIF_OP_INDIRECT;
        indirect->indirect_op = operation;
        indirect->nr_segments = (uint16_t)frames;
        indirect->handle = (blkif_vdev_t)disk->handle;
        indirect->indirect_grefs[0] = lent->page;
    }
    for (uint32_t i = 0; i < wanted->count; i++)
        name = name_all(disk, lent, name, &wanted->segments[i]);
}

/* Lends the frames of a slot's request, and puts it on the ring: also once more, on another. */
static void give(struct disk *disk, uint32_t slot)
{
    const struct lent *lent = lent_of(disk, slot);
    const struct blkif_request_indirect *indirect = (const void *)&lent->request;
    volatile union blkif_sring_entry *entry = vmi__xen_common_ring_put(&disk->ring);
    uint32_t operation = lent->request.req.operation;

    if (operation == BLKIF_OP_INDIRECT)
        operation = indirect->indirect_op;
    for (uint32_t i = 0; i < lent->count; i++)
        vmi__xen_common_lend_by(&disk->bus, lent->frames[i].reference, lent->frames[i].pfn,
                                operation == BLKIF_OP_WRITE);
    *entry = lent->request;
}

static VMI__ADDRESS_TAKEN void put(struct vmi__device *device, uint32_t number, uint32_t slot,
                                   const struct vmi_block_request *wanted)
{
    struct disk *disk = disk_of(device);
    struct lent *lent = lent_of(disk, slot);
    struct blkif_request *request = &lent->request.req;
    struct blkif_request_discard *discard = (void *)request;

    (void)number;
    lent->count = 0;
    /* At the same place in each kind of request. */
    request->id = slot;
    request->sector_number = wanted->block << disk->block_bits;
    request->handle = (blkif_vdev_t)disk->handle;
    switch (wanted->operation) {
    case VMI_BLOCK_READ:
        make_moving(disk, slot, wanted, BLKIF_OP_READ);
        break;
    case VMI_BLOCK_WRITE:
        make_moving(disk, slot, wanted, BLKIF_OP_WRITE);
        break;
    case VMI_BLOCK_DISCARD:
        discard->operation = BLKIF_OP_DISCARD;
        discard->flag = 0;
        discard->nr_sectors = (uint64_t)wanted->blocks << disk->block_bits;
        break;
    default:
        request->operation = BLKIF_OP_FLUSH_DISKCACHE;
        request->nr_segments = 0;
        break;
    }
    give(disk, slot);
}

static VMI__ADDRESS_TAKEN void tell(struct vmi__device *device, uint32_t number)
{
    struct disk *disk = disk_of(device);

    (void)number;
    if (vmi__xen_common_ring_publish(&disk->ring))
        vmi__xen_common_notify(disk->bus.ports[0]);
}

/* The back end is a new one, which has nothing: all that was under way it is given again. */
VMI__RUN_ONCE static VMI__ADDRESS_TAKEN bool come_again(struct vmi__device *device)
{
    struct disk *disk = disk_of(device);
    char *ring = (char *)(uintptr_t)device->setup.memory;

    vmi__xen_common_channels_forget(&disk->bus);
    with_references(device, vmi__xen_common_grant_keep);
    if (device->state != VMI__DEVICE_OPEN)
        return true;
    memset(ring, 0, ring_pages(device->setup.requests) * PAGE);
    if (!come_together(device, ring))
        return false;
    for (uint32_t slot = 0; slot < device->setup.requests; slot++)
        if (device->queues[0].slots[slot].state == VMI__SLOT_GIVEN)
            give(disk, slot);
    tell(device, 0);
    return true;
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
    if (!end_lending(lent_of(disk, ended->slot)))
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
    .come_again = come_again,
    .put = put,
    .tell = tell,
    .take = take,
    .ask = ask,
};
