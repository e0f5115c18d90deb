/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Disks by virtio. Source: VIRTIO 1.2, 5.2 (block device).
 */
#include "driver.h"
#include "runtime.h"
#include "virtio/device.h"

#define FEATURE_SIZE_MAX   (1ull << 1)
#define FEATURE_SEG_MAX    (1ull << 2)
#define FEATURE_READ_ONLY  (1ull << 5)
#define FEATURE_BLOCK_SIZE (1ull << 6)
#define FEATURE_FLUSH      (1ull << 9)
#define FEATURE_QUEUES     (1ull << 12)
#define FEATURE_DISCARD    (1ull << 13)
#define FEATURES                                                                                   \
    (FEATURE_SIZE_MAX | FEATURE_SEG_MAX | FEATURE_READ_ONLY | FEATURE_BLOCK_SIZE | FEATURE_FLUSH | \
     FEATURE_QUEUES | FEATURE_DISCARD | VMI__VIRTIO_INDIRECT | VMI__VIRTIO_EVENT_IDX)

/* Configuration (5.2.4). */
enum {
    CONFIG_SECTORS = 0,
    CONFIG_SIZE_MAX = 8,
    CONFIG_SEG_MAX = 12,
    CONFIG_BLOCK_SIZE = 20,
    CONFIG_QUEUES = 34,
    CONFIG_DISCARD = 36,
};

#define SECTOR    512u
#define BLOCK_MAX 0x10000u
#define BYTES_MAX 0x1000000u /* of a request: no device is known to take less */

enum { OPERATION_IN = 0, OPERATION_OUT = 1, OPERATION_FLUSH = 4, OPERATION_DISCARD = 11 };
enum { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_UNSUPPORTED = 2, STATUS_NONE = 0xff };

/* What a slot has beside its descriptors: header, range of a discard, and status. */
struct request {
    uint32_t operation, reserved;
    uint64_t sector;
    struct {
        uint64_t sector;
        uint32_t sectors, flags;
    } discard;
    uint8_t status;
    uint8_t rest[31]; /* of 64 bytes */
};

static uint32_t sectors_of_block(const struct vmi__device *device)
{
    return device->info.block_size / SECTOR;
}

/* The requests of a queue are behind its ring. */
static volatile struct request *requests_of(struct vmi__device *device, uint32_t queue)
{
    return vmi__virtio_of(device)->rooms[queue];
}

/* ---- finding ---- */

static VMI__ADDRESS_TAKEN bool describe(struct vmi__device *device)
{
    const struct vmi__virtio *virtio = vmi__virtio_of(device);
    struct vmi_device_properties *info = &device->info;
    uint64_t features = virtio->features;
    uint32_t size;

    info->kind = VMI_DEVICE_BLOCK;
    info->flags |= features & FEATURE_READ_ONLY ? VMI_DEVICE_IS_READ_ONLY : 0;
    info->flags |= features & FEATURE_FLUSH ? VMI_DEVICE_IS_CACHED : 0;
    info->block_size =
        features & FEATURE_BLOCK_SIZE ? vmi__virtio_config(virtio, CONFIG_BLOCK_SIZE, 4) : SECTOR;
    if (info->block_size < SECTOR || info->block_size > BLOCK_MAX ||
        info->block_size & (info->block_size - 1))
        return false;
    /* As shifts, for a division of 64 bits is not to be had everywhere. */
    info->blocks = vmi__virtio_config64(virtio, CONFIG_SECTORS);
    for (size = sectors_of_block(device); size > 1; size /= 2)
        info->blocks >>= 1;

    size = features & FEATURE_SIZE_MAX ? vmi__virtio_config(virtio, CONFIG_SIZE_MAX, 4) : 0;
    info->segment_bytes = vmi__least(size ? size : BYTES_MAX, BYTES_MAX) & ~(SECTOR - 1);
    size = features & FEATURE_SEG_MAX ? vmi__virtio_config(virtio, CONFIG_SEG_MAX, 4) : 1;
    info->segments = vmi__least(size ? size : 1, VMI__SEGMENTS_MAX);
    info->request_blocks = BYTES_MAX / info->block_size;
    if (features & FEATURE_DISCARD)
        info->discard_blocks =
            vmi__virtio_config(virtio, CONFIG_DISCARD, 4) / sectors_of_block(device);

    size = features & FEATURE_QUEUES ? vmi__virtio_config(virtio, CONFIG_QUEUES, 2) : 1;
    info->queues = vmi__least(vmi__least(size, vmi__virtio_queues(virtio)), VMI__QUEUES_MAX);
    if (virtio->msix.entries)
        info->queues = vmi__least(info->queues, virtio->msix.count);
    return info->blocks && info->segment_bytes;
}

static const struct vmi__virtio_kind kind = {
    .type = 2,
    .features = FEATURES,
    .extra = 2, /* header and status */
    .request_room = sizeof(struct request),
    .describe = describe,
};

/* ---- requests ---- */

static uint64_t address_of(const volatile void *linear)
{
    return vmi__physical((const void *)(uintptr_t)linear);
}

static VMI__ADDRESS_TAKEN void put(struct vmi__device *device, uint32_t number, uint32_t slot,
                                   const struct vmi_block_request *wanted)
{
    static const uint8_t operations[] = {
        [VMI_BLOCK_READ] = OPERATION_IN,
        [VMI_BLOCK_WRITE] = OPERATION_OUT,
        [VMI_BLOCK_FLUSH] = OPERATION_FLUSH,
        [VMI_BLOCK_DISCARD] = OPERATION_DISCARD,
    };
    struct vmi__virtqueue *queue = &vmi__virtio_of(device)->queues[number];
    volatile struct request *request = &requests_of(device, number)[slot];
    volatile struct vmi__virtio_descriptor *chain = vmi__virtio_chain(queue, slot);
    uint64_t sector = wanted->block * sectors_of_block(device);
    uint32_t count = 1;

    request->operation = operations[wanted->operation];
    request->reserved = 0;
    request->sector = wanted->operation <= VMI_BLOCK_WRITE ? sector : 0;
    request->status = STATUS_NONE;
    chain[0].address = address_of(request);
    chain[0].length = 16;
    chain[0].flags = 0;
    if (wanted->operation <= VMI_BLOCK_WRITE) {
        for (uint32_t i = 0; i < wanted->count; i++, count++) {
            chain[count].address = wanted->segments[i].address;
            chain[count].length = wanted->segments[i].length;
            chain[count].flags = wanted->operation == VMI_BLOCK_READ ? VMI__VIRTIO_WRITE : 0;
        }
    } else if (wanted->operation == VMI_BLOCK_DISCARD) {
        request->discard.sector = sector;
        request->discard.sectors = wanted->blocks * sectors_of_block(device);
        request->discard.flags = 0;
        chain[count].address = address_of(&request->discard);
        chain[count].length = sizeof(request->discard);
        chain[count++].flags = 0;
    }
    chain[count].address = address_of(&request->status);
    chain[count].length = 1;
    chain[count++].flags = VMI__VIRTIO_WRITE;
    vmi__virtio_give(queue, slot, count);
}

static VMI__ADDRESS_TAKEN enum vmi__taken take(struct vmi__device *device, uint32_t number,
                                               struct vmi__ended *ended)
{
    enum vmi__taken taken = vmi__virtio_take(device, number, ended);
    uint32_t status;

    if (taken != VMI__TAKEN_ONE || ended->slot >= device->setup.requests)
        return taken;
    /* The status is written as well. */
    ended->length -= ended->length ? 1 : 0;
    status = requests_of(device, number)[ended->slot].status;
    if (status > STATUS_UNSUPPORTED)
        return vmi__device_fault(device, VMI_FAULT_STATUS);
    ended->status = status == STATUS_OK ? VMI_OK : status == STATUS_FAILED ? VMI_EIO : VMI_ENOSYS;
    return VMI__TAKEN_ONE;
}

const struct vmi__driver vmi__driver_virtio_blk;
const struct vmi__driver vmi__driver_virtio_blk = {
    .name = "virtio-blk",
    .family = &kind,
    .find = vmi__virtio_find,
    .memory = vmi__virtio_memory,
    .start = vmi__virtio_start,
    .stop = vmi__virtio_stop,
    .put = put,
    .tell = vmi__virtio_tell,
    .take = take,
    .ask = vmi__virtio_ask,
    .message = vmi__pci_device_message,
    .mask = vmi__pci_device_mask,
    .acknowledge = vmi__virtio_acknowledge,
};
