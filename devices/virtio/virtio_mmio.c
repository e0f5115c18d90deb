/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Virtio devices that are reached by memory, without PCI. Where they are the command line tells:
 * virtio_mmio.device=SIZE@BASE:LINE[:ID], a word for each, as QEMU's microvm and Firecracker write
 * it. Source: VIRTIO 1.2, 4.2.
 */
#include "pci/registers.h"
#include "platform.h"
#include "runtime.h"
#include "virtio/virtio.h"

/* Registers (4.2.2), beside those that other transports have, too. */
enum {
    MAGIC = 0x000,
    VERSION = 0x004,
    TYPE = 0x008,
    NOTIFY = 0x050,
    CAUSES = 0x060,
    ACKNOWLEDGE = 0x064,
    CONFIG = 0x100,
};

#define MAGIC_VALUE    0x74726976u
#define VERSION_MODERN 2u

#define PAGE      4096u
#define SIZE_MOST 0x100000u

/* ---- at work ---- */

/* A device that is reset does nothing, and has no messages. */
static VMI__ADDRESS_TAKEN void enable(const struct vmi__virtio *virtio, bool on)
{
    (void)virtio;
    (void)on;
}

static VMI__ADDRESS_TAKEN bool wire(const struct vmi__virtio *virtio, struct vmi__virtqueue *queue)
{
    queue->notify = virtio->common + NOTIFY;
    return true;
}

static VMI__ADDRESS_TAKEN void lower(const struct vmi__virtio *virtio)
{
    volatile char *at = virtio->common;

    vmi__register_write(at, ACKNOWLEDGE, vmi__register_read(at, CAUSES));
}

static const struct vmi__virtio_transport mmio = {
    .registers =
        {
            [VMI__VIRTIO_OFFERED_SELECT] = {0x14, 4},
            [VMI__VIRTIO_OFFERED] = {0x10, 4},
            [VMI__VIRTIO_ACCEPTED_SELECT] = {0x24, 4},
            [VMI__VIRTIO_ACCEPTED] = {0x20, 4},
            [VMI__VIRTIO_STATUS] = {0x70, 4},
            [VMI__VIRTIO_GENERATION] = {0xfc, 4},
            [VMI__VIRTIO_QUEUE_SELECT] = {0x30, 4},
            [VMI__VIRTIO_QUEUE_MOST] = {0x34, 4},
            [VMI__VIRTIO_QUEUE_SIZE] = {0x38, 4},
            [VMI__VIRTIO_QUEUE_ENABLE] = {0x44, 4},
            [VMI__VIRTIO_QUEUE_DESCRIPTORS] = {0x80, 4},
            [VMI__VIRTIO_QUEUE_AVAILABLE] = {0x90, 4},
            [VMI__VIRTIO_QUEUE_USED] = {0xa0, 4},
        },
    .wide = true,
    .enable = enable,
    .wire = wire,
    .lower = lower,
};

/* ---- finding ---- */

/* What a word tells. */
struct block {
    uint32_t base, size, line;
};

/* Takes a number up to a character, or to the end; *text is behind it then. */
static VMI__RUN_ONCE bool number_to(const char **text, const char *end, char to, uint32_t *number)
{
    const char *from = *text, *at = from;

    while (at != end && *at != to)
        at++;
    *text = at == end ? at : at + 1;
    return vmi__parse_u32(from, (uint32_t)(at - from), number);
}

/* SIZE@BASE:LINE[:ID]; a size may be in KiB. What the identifier is for is the device's affair. */
static VMI__RUN_ONCE bool parse(const char *text, uint32_t length, struct block *block)
{
    const char *end = text + length, *at = text;
    uint32_t unit = 1;

    while (at != end && *at != '@')
        at++;
    if (at == end || at == text)
        return false;
    if ((at[-1] | 0x20) == 'k')
        unit = 1024;
    if (!vmi__parse_u32(text, (uint32_t)(at - text) - (unit > 1), &block->size))
        return false;
    at++;
    if (!number_to(&at, end, ':', &block->base) || at == end ||
        !number_to(&at, end, ':', &block->line))
        return false;
    if (block->size > SIZE_MOST || block->size * unit < CONFIG || block->base % 4 ||
        block->base < VMI__VIRTIO_MMIO_LEAST)
        return false;
    block->size *= unit;
    return block->base + block->size > block->base;
}

#define NOTHING "no virtio device is there"

/* Finds the registers that a word tells of, or says why there is no device that could be used. */
static VMI__RUN_ONCE const char *find(const struct block *block, struct vmi__virtio_mmio *found)
{
    uint32_t first = block->base & ~(PAGE - 1);
    uint32_t bytes = (block->base + block->size - first + PAGE - 1) & ~(PAGE - 1);
    volatile char *registers = vmi__platform_map(first, bytes);

    if (!registers)
        return NOTHING;
    registers += block->base - first;
    if (vmi__register_read(registers, MAGIC) != MAGIC_VALUE)
        return NOTHING;
    if (vmi__register_read(registers, VERSION) != VERSION_MODERN)
        return "a legacy device is there (QEMU: force-legacy=off)";
    found->base = block->base;
    found->line = block->line;
    found->type = vmi__register_read(registers, TYPE);
    found->registers = registers;
    found->config_bytes = block->size - CONFIG;
    return 0;
}

VMI__RUN_ONCE bool vmi__virtio_mmio_next(const char **from, struct vmi__virtio_mmio *found,
                                         const char **wrong)
{
    const char *value;
    struct block block;
    uint32_t length;

    if (!vmi__option_next(from, VMI__VIRTIO_MMIO_OPTION, &value, &length))
        return false;
    *wrong = parse(value, length, &block) ? find(&block, found)
                                          : "wanted is SIZE@BASE:LINE, as 512@0xfeb00e00:12";
    return true;
}

void vmi__virtio_on_mmio(struct vmi__virtio *virtio, const struct vmi__virtio_mmio *found)
{
    virtio->transport = &mmio;
    virtio->common = found->registers;
    virtio->config = found->registers + CONFIG;
    virtio->config_bytes = found->config_bytes;
}
