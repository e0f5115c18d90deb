/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The front end's side of a ring of requests and responses (xen/io/ring.h), of one or several pages
 * that the other side writes to. Its index is read once and held against what it was given; what is
 * on the ring the driver copies before it looks at it.
 */
#ifndef VMI_XEN_COMMON_SPLIT_RING_H
#define VMI_XEN_COMMON_SPLIT_RING_H

#include "driver.h"

#include <stdbool.h>
#include <stdint.h>

/* What a ring begins with (DEFINE_RING_TYPES, struct NAME_sring). */
struct vmi__xen_common_ring_head {
    uint32_t requested, request_event; /* req_prod, req_event */
    uint32_t responded, response_event;
    uint8_t rest[48];
};

/* Indices count on and on; an entry's place is an index modulo the entries. */
struct vmi__xen_common_ring {
    volatile struct vmi__xen_common_ring_head *head;
    char *entries;
    uint32_t count, bytes;       /* entries, a power of 2, and their size */
    uint32_t given, told, taken; /* requests put, those published; responses taken */
};

/* Entries of `bytes` on so many bytes of a ring: a power of 2. */
static inline uint32_t vmi__xen_common_ring_entries(uint32_t size, uint32_t bytes)
{
    uint32_t count = 1;

    while ((count * 2) * bytes + sizeof(struct vmi__xen_common_ring_head) <= size)
        count *= 2;
    return count;
}

/* At zeroed memory. */
static inline void vmi__xen_common_ring_begin(struct vmi__xen_common_ring *ring, void *memory,
                                              uint32_t size, uint32_t bytes)
{
    *ring = (struct vmi__xen_common_ring){
        .head = memory,
        .entries = (char *)memory + sizeof(struct vmi__xen_common_ring_head),
        .count = vmi__xen_common_ring_entries(size, bytes),
        .bytes = bytes,
    };
    ring->head->request_event = 1;
    ring->head->response_event = 1;
}

static inline volatile void *vmi__xen_common_ring_at(const struct vmi__xen_common_ring *ring,
                                                     uint32_t index)
{
    return ring->entries + (index & (ring->count - 1)) * ring->bytes;
}

/* The entry of the next request, which counts when it is published. */
static inline volatile void *vmi__xen_common_ring_put(struct vmi__xen_common_ring *ring)
{
    return vmi__xen_common_ring_at(ring, ring->given++);
}

/* Publishes what was put; true if the other side wants to be told. */
static inline bool vmi__xen_common_ring_publish(struct vmi__xen_common_ring *ring)
{
    uint32_t before = ring->told;

    ring->told = ring->given;
    __atomic_store_n(&ring->head->requested, ring->given, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return ring->given - ring->head->request_event < ring->given - before;
}

/* Responses that have not been taken; more than there are requests if the index is wrong. */
static inline uint32_t vmi__xen_common_ring_news(const struct vmi__xen_common_ring *ring)
{
    return __atomic_load_n(&ring->head->responded, __ATOMIC_ACQUIRE) - ring->taken;
}

/* The next response of a device's ring, if there is one; its index may be a fault. */
static inline enum vmi__taken vmi__xen_common_ring_take(struct vmi__device *device,
                                                        struct vmi__xen_common_ring *ring,
                                                        const volatile void **response)
{
    uint32_t news = vmi__xen_common_ring_news(ring);

    if (news > ring->told - ring->taken)
        return vmi__device_fault(device, VMI_FAULT_COUNT);
    if (!news)
        return VMI__TAKEN_NONE;
    *response = vmi__xen_common_ring_at(ring, ring->taken++);
    return VMI__TAKEN_ONE;
}

/* Asks for an event at the next response; true if there is one already. */
static inline bool vmi__xen_common_ring_ask(struct vmi__xen_common_ring *ring)
{
    ring->head->response_event = ring->taken + 1;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return vmi__xen_common_ring_news(ring);
}

#endif
