/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "bounce/bounce.h"

#include "runtime.h"

void vmi__bounce_begin(struct vmi__bounce *bounce, struct vmi__device *device, uint32_t bytes,
                       char *shown, char *hidden)
{
    bounce->bytes = bytes;
    bounce->each = device->setup.segments;
    bounce->buffers = shown;
    bounce->segments = (struct vmi_segment *)hidden;
    vmi__device_limit_to_linear(device);
}

static struct vmi_segment *segments_of(const struct vmi__bounce *bounce, uint32_t slot)
{
    return &bounce->segments[slot * bounce->each];
}

static char *buffer_of(const struct vmi__bounce *bounce, uint32_t slot)
{
    return bounce->buffers + slot * bounce->bytes;
}

/* Is all that a slot receives its first segment's? */
static bool is_direct(const struct vmi__bounce *bounce, uint32_t slot)
{
    return segments_of(bounce, slot)->length >= bounce->bytes;
}

void vmi__bounce_keep(const struct vmi__bounce *bounce, uint32_t slot,
                      const struct vmi_net_buffer *buffer)
{
    memcpy(segments_of(bounce, slot), buffer->segments,
           buffer->count * (uint32_t)sizeof(struct vmi_segment));
}

uint64_t vmi__bounce_address(const struct vmi__bounce *bounce, uint32_t slot)
{
    return is_direct(bounce, slot) ? segments_of(bounce, slot)->address
                                   : vmi__physical(buffer_of(bounce, slot));
}

void vmi__bounce_deliver(const struct vmi__bounce *bounce, uint32_t slot, uint32_t bytes)
{
    if (!is_direct(bounce, slot))
        vmi__device_scatter(segments_of(bounce, slot), buffer_of(bounce, slot), bytes);
}
