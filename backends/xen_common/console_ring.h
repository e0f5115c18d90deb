/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Copying to and from the console's ring (xen/io/console.h). The other side's index is read once
 * and checked before it is used: what stands there is not to be believed. Callers hold their lock,
 * and tell the other side.
 */
#ifndef VMI_XEN_COMMON_CONSOLE_RING_H
#define VMI_XEN_COMMON_CONSOLE_RING_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/io/console.h>

/* How much output there is room for; more than the ring has if the other side's index is wrong. */
static inline uint32_t vmi__console_ring_room(const struct xencons_interface *ring)
{
    uint32_t used = ring->out_prod - __atomic_load_n(&ring->out_cons, __ATOMIC_ACQUIRE);

    return (uint32_t)sizeof(ring->out) - used;
}

/* Whether a room is more than the ring has. */
static inline bool vmi__console_ring_is_wrong(uint32_t room)
{
    return room > sizeof(((struct xencons_interface *)0)->out);
}

/* Has the other side taken all, or will it never? */
static inline bool vmi__console_ring_is_drained(const struct xencons_interface *ring)
{
    return vmi__console_ring_room(ring) >= sizeof(ring->out);
}

/* Writes as much as fits into `room`; returns how much that was. */
static inline uint32_t vmi__console_ring_put(struct xencons_interface *ring, const char *text,
                                             uint32_t length, uint32_t room)
{
    uint32_t sent = 0;

    while (sent < room && sent < length) {
        ring->out[MASK_XENCONS_IDX(ring->out_prod, ring->out)] = text[sent++];
        __atomic_store_n(&ring->out_prod, ring->out_prod + 1, __ATOMIC_RELEASE);
    }
    return sent;
}

/* Where input ends; it differs from what it was if some has come. */
static inline uint32_t vmi__console_ring_input_end(const struct xencons_interface *ring)
{
    return __atomic_load_n(&ring->in_prod, __ATOMIC_ACQUIRE);
}

/* Reads at most so much; returns how much that was, or -1 if the other side's index is wrong. */
static inline int32_t vmi__console_ring_take(struct xencons_interface *ring, char *to,
                                             uint32_t length)
{
    uint32_t there = __atomic_load_n(&ring->in_prod, __ATOMIC_ACQUIRE) - ring->in_cons, count = 0;

    if (there > sizeof(ring->in))
        return -1;
    for (; count < length && count < there; count++)
        to[count] = ring->in[MASK_XENCONS_IDX(ring->in_cons + count, ring->in)];
    if (count)
        __atomic_store_n(&ring->in_cons, ring->in_cons + count, __ATOMIC_RELEASE);
    return (int32_t)count;
}

#endif
