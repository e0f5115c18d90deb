/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Front ends of split devices: how one finds its back end by xenstore, and the states by which both
 * come together and part (xen/io/xenbus.h). Nodes are read and checked: what stands there is not to
 * be believed.
 */
#ifndef VMI_XEN_COMMON_XENBUS_H
#define VMI_XEN_COMMON_XENBUS_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>

#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/io/xenbus.h>

#include "grants.h"
#include "split_ring.h"
#include "store.h"

#define VMI__XEN_COMMON_PATH_MAX 96
#define VMI__XEN_COMMON_NODE_MAX 32

/* A driver's record of a device begins with it. */
struct vmi__xen_common_bus {
    char node[VMI__XEN_COMMON_NODE_MAX];  /* the front end's directory, of the domain's own */
    char other[VMI__XEN_COMMON_PATH_MAX]; /* the back end's */
    uint32_t peer;                        /* domain of the back end */
    evtchn_port_t ports[VMI__QUEUES_MAX]; /* of the queues of the table; 0: none */
    const struct vmi__xen_common_ring *rings[VMI__QUEUES_MAX]; /* of those that have a port */
};

static inline struct vmi__xen_common_bus *vmi__xen_common_bus_of(struct vmi__device *device)
{
    return (struct vmi__xen_common_bus *)device->own;
}

/* ---- finding ---- */

/*
 * Calls `probe` for each device of a kind (`vbd`, `vif`) that xenstore names, with a record of it
 * that the driver keeps or drops (vmi__device_keep).
 */
void vmi__xen_common_each(const struct vmi__driver *driver, const char *kind,
                          void (*probe)(struct vmi__device *device));

/* ---- nodes ---- */

/* A decimal number in a node of the back end's, or of the front end's; `none` if there is none. */
uint64_t vmi__xen_common_told(const struct vmi__xen_common_bus *bus, const char *name,
                              uint64_t none);
uint64_t vmi__xen_common_own(const struct vmi__xen_common_bus *bus, const char *name,
                             uint64_t none);

/* The text of a node of the front end's, terminated; its length or a VMI error. */
int32_t vmi__xen_common_text(const struct vmi__xen_common_bus *bus, const char *name, char *to,
                             uint32_t size);

/* Writes a node of the front end's; false if xenstore does not take it. */
bool vmi__xen_common_tell(const struct vmi__xen_common_bus *bus, const char *name, uint32_t value);
bool vmi__xen_common_tell_text(const struct vmi__xen_common_bus *bus, const char *name,
                               const char *value);

/* ---- states ---- */

/* State of the back end. */
enum xenbus_state vmi__xen_common_state(const struct vmi__xen_common_bus *bus);

/* Waits for one of two states of the back end, for a bounded time; false if it does not come. */
bool vmi__xen_common_wait_for(const struct vmi__xen_common_bus *bus, enum xenbus_state one,
                              enum xenbus_state other);

/* Both sides to where they agree on a connection; false if the other one does not come. */
bool vmi__xen_common_begin(struct vmi__xen_common_bus *bus);

/*
 * What is to be agreed on has been told: says so by the state at which back ends of that kind
 * connect, and waits until this one has.
 */
bool vmi__xen_common_connect(const struct vmi__xen_common_bus *bus, enum xenbus_state state);

/* Parts from the other side, and waits until it follows, for a bounded time, or does not wait. */
void vmi__xen_common_part(const struct vmi__xen_common_bus *bus, bool wait);

/* ---- channels and grants ---- */

/* An event channel to the back end's domain, which makes no upcalls; 0 if there is none. */
evtchn_port_t vmi__xen_common_channel(const struct vmi__xen_common_bus *bus);
void vmi__xen_common_notify(evtchn_port_t port);
/* Closes one and makes it 0. */
void vmi__xen_common_close(evtchn_port_t *port);
/* In a domain that was restored: none of a device's channels is there any more. */
void vmi__xen_common_channels_forget(struct vmi__xen_common_bus *bus);

/* A reference for a device that starts, if it is 0; false, and the device is refused for that, if
 * there is none. */
bool vmi__xen_common_reserve(struct vmi__device *device, grant_ref_t *reference);

/*
 * Lends a frame, or a page of the library's or of a ring, by a reference that lends nothing, which
 * is reserved for it if it is 0; false if there is none.
 */
bool vmi__xen_common_lend_frame(struct vmi__device *device, grant_ref_t *reference, uintptr_t pfn,
                                bool read_only);
bool vmi__xen_common_lend_page(struct vmi__device *device, grant_ref_t *reference, const void *page,
                               bool read_only);

/* Lends a frame by a reference of the caller's, which lends nothing. What is no frame is not lent:
 * what names the reference then fails. */
static inline void vmi__xen_common_lend_by(const struct vmi__xen_common_bus *bus,
                                           grant_ref_t reference, uintptr_t pfn, bool read_only)
{
    uint32_t frame = vmi__xen_common_frame(pfn);

    if (frame != VMI__XEN_COMMON_NO_FRAME)
        vmi__xen_common_grant_lend(reference, frame, bus->peer, read_only);
}

/* Ends and gives back a reference, and makes it 0; false while the other side has its page. */
VMI__ADDRESS_TAKEN bool vmi__xen_common_take_back(grant_ref_t *reference);

/* ---- events ---- */

/* The channel of a queue by its event's number (VMI_EVENT_DEVICE); 0 if there is none. */
VMI__ADDRESS_TAKEN evtchn_port_t vmi__xen_common_port_of_event(uint32_t number);

/* Is a channel that of a device's queue? */
VMI__ADDRESS_TAKEN bool vmi__xen_common_owns_port(evtchn_port_t port);

/* Is there anything to take on the ring that has this channel? */
bool vmi__xen_common_port_has_news(evtchn_port_t port);

/* ---- defined by each library ---- */

intptr_t vmi__xen_common_event_op(uint32_t command, void *argument);

/* Has a channel make no upcalls. */
void vmi__xen_common_port_mask(evtchn_port_t port);

/* Lets about 10 ms pass. */
void vmi__xen_common_wait(void);

#endif
