/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the parts of the library for Xen PVH share.
 */
#ifndef VMI_XEN_PVH_H
#define VMI_XEN_PVH_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>

#include <xen/event_channel.h>

#include "hypercalls.h"
#include "native/native.h"
#include "routines.h"

/* Slots of the device window, above those of the native library. */
#define VMI__XEN_PVH_CONSOLE_SLOT 12
#define VMI__XEN_PVH_STORE_SLOT   13

/* Whether hypercalls are made by VMCALL; else by VMMCALL. */
extern uint8_t vmi__xen_pvh_vmcall;

/* The page that is shared with Xen; all zero before vmi__xen_pvh_start. */
extern struct shared_info vmi__xen_pvh_shared;

/* Is Xen there? Looks once, and remembers. */
bool vmi__xen_pvh_present(void);

/* Chooses the hypercall instruction by the processor's vendor. */
void vmi__xen_pvh_find_transfer(void);

/* Finds what Xen says of the processor and has its page appear; returns 0 or the reason to refuse.
 */
const char *vmi__xen_pvh_start(void);

/* Has Xen's page appear, with the wall clock; returns 0 or the reason. */
const char *vmi__xen_pvh_share(void);

/* Has a page of Xen's appear in place of a page of the image. 0, or Xen's error. */
int32_t vmi__xen_pvh_adopt(void *page, uint32_t space, uint32_t index);

/*
 * A pointer as a hypercall's argument: Xen takes linear addresses, which are physical ones where
 * paging is off and a segment's base makes the difference (runtime/entry.S).
 */
void *vmi__xen_pvh_argument(const void *pointer);

/* Is paging on? */
bool vmi__xen_pvh_paged(void);

/* A parameter of the domain (hvm/params.h); 0 if it has none. */
uint64_t vmi__xen_pvh_parameter(uint32_t index);

/* Maps a page that Xen has made for the domain, at a slot of the device window; 0 if there is none.
 */
void *vmi__xen_pvh_map(uint32_t slot, uint64_t pfn);

/* A word of the shared page's bitmaps of event channels, and a port's bit in its word. */
#define VMI__XEN_PVH_WORD(port) ((port) / (8 * sizeof(xen_ulong_t)))
#define VMI__XEN_PVH_BIT(port)  ((xen_ulong_t)1 << (port) % (8 * sizeof(xen_ulong_t)))

/*
 * Gives Xen a place for the words of each further CPU for which the shared page has none. Those for
 * which it takes none are not there: vmi__boot.cpu_count is lowered. Once, before a CPU is started.
 */
void vmi__xen_pvh_cpus_start(void);

/* On a CPU of a domain that was restored: gives Xen that place again, if the CPU has one. False if
 * Xen takes none. */
bool vmi__xen_pvh_cpu_register(uint32_t cpu);

/* Where Xen says what is pending on a CPU below vmi__boot.cpu_count. */
struct vcpu_info *vmi__xen_pvh_vcpu(uint32_t cpu);

/* Takes away what it says: Xen raises no further vector before. */
static inline void vmi__xen_pvh_vcpu_clear(struct vcpu_info *info)
{
    __atomic_store_n(&info->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
}

/* Ring and channel of the console are looked for again when they are needed. */
void vmi__xen_pvh_console_forget(void);

/* Event channel of the console; 0 if there is none. */
evtchn_port_t vmi__xen_pvh_console_port(void);

/*
 * Waits, for a bounded time, until the other side has taken all output: what is in the ring when
 * the domain ends is lost.
 */
void vmi__xen_pvh_console_drain(void);

/* Has input come since this was last asked, or the console read? */
bool vmi__xen_pvh_console_news(void);

/* ---- channels ---- */

/* Signals a channel (EVTCHNOP_send) or lets its events in (EVTCHNOP_unmask); false if Xen refuses.
 */
static inline bool vmi__xen_pvh_on_port(uint32_t command, evtchn_port_t port)
{
    struct evtchn_send argument = {.port = port}; /* the same for both */

    return vmi__xen_pvh_hypercall_event_channel_op(command, vmi__xen_pvh_argument(&argument)) >= 0;
}

/* Takes away what a channel has pending; was there anything? */
static inline bool vmi__xen_pvh_port_clear(evtchn_port_t port)
{
    return __atomic_fetch_and(&vmi__xen_pvh_shared.evtchn_pending[VMI__XEN_PVH_WORD(port)],
                              ~VMI__XEN_PVH_BIT(port), __ATOMIC_SEQ_CST) &
           VMI__XEN_PVH_BIT(port);
}

/* Has a channel make no upcalls; says whether it made none already. */
static inline bool vmi__xen_pvh_port_mask(evtchn_port_t port)
{
    return __atomic_fetch_or(&vmi__xen_pvh_shared.evtchn_mask[VMI__XEN_PVH_WORD(port)],
                             VMI__XEN_PVH_BIT(port), __ATOMIC_SEQ_CST) &
           VMI__XEN_PVH_BIT(port);
}

static inline bool vmi__xen_pvh_port_is_masked(evtchn_port_t port)
{
    return __atomic_load_n(&vmi__xen_pvh_shared.evtchn_mask[VMI__XEN_PVH_WORD(port)],
                           __ATOMIC_SEQ_CST) &
           VMI__XEN_PVH_BIT(port);
}

/*
 * Waits until a channel that is masked has something pending, or for 10 ms where there is no
 * channel (0); never longer than these.
 */
void vmi__xen_pvh_wait(evtchn_port_t port);

/* Has a channel that is masked pending, as if it had been signalled. */
static inline void vmi__xen_pvh_port_pend(evtchn_port_t port)
{
    __atomic_fetch_or(&vmi__xen_pvh_shared.evtchn_pending[VMI__XEN_PVH_WORD(port)],
                      VMI__XEN_PVH_BIT(port), __ATOMIC_SEQ_CST);
}

/* ---- xenstore (store.c; the rest is ../xen_common/store.h) ---- */

/* Finds its page and channel. */
void vmi__xen_pvh_store_start(void);

/* Its channel, which is masked until it is let in (vmi__xen_common_store_let_in); 0 if there is
 * none. */
evtchn_port_t vmi__xen_pvh_store_port(void);

/* ---- CPUs that stop (stop.c) ---- */

/* Has Xen not stopped a VCPU? */
bool vmi__xen_pvh_is_up(uint32_t cpu);

/* ---- requests from outside (requests.c) ---- */

/* Has xenstore tell of them; before the kernel begins. */
void vmi__xen_pvh_requests_start(void);

/* The channel that tells of them; 0 if there is none. */
evtchn_port_t vmi__xen_pvh_requests_port(void);

/* The kernel takes them from here on, or not any more. */
void vmi__xen_pvh_requests_take(bool takes);

/* Their channel's interrupt has come: what else is watched may have changed. */
void vmi__xen_pvh_requests_came(void);

/* Called then; set where a kernel makes calls for devices (platform.c). */
extern void (*vmi__xen_pvh_others_told)(void);

/* Has xenstore written anything since this was last asked? */
bool vmi__xen_pvh_requests_news(void);

/* ---- devices ---- */

/* Channels of devices, set where a kernel makes calls for them (platform.c). */
struct vmi__xen_pvh_device_events {
    /* The channel of an event's number (VMI_EVENT_DEVICE), 0 if there is none. */
    evtchn_port_t (*port)(uint32_t number);
    /* Has the other side of a channel answered what has not been taken? */
    bool (*news)(evtchn_port_t port);
    /* In a domain that was restored: has devices come together with their other sides. */
    void (*come_again)(void);
};
extern const struct vmi__xen_pvh_device_events *vmi__xen_pvh_device_events;

/* The balloon (balloon.c): passes on that there may be a new target; was that done since it was
 * last asked? */
VMI__ADDRESS_TAKEN void vmi__xen_pvh_balloon_told(void);
bool vmi__xen_pvh_balloon_news(void);

void vmi__xen_pvh_grants_start(void);

/* In a domain that was restored: an empty table of as many frames. */
void vmi__xen_pvh_grants_again(void);

/* ---- events (event.c) ---- */

/* The event that a source is bound to, 0 if it is not. */
uint32_t vmi__xen_pvh_event_of(uint32_t source, uint32_t number);

/* Keeps all events back while the domain is suspended. */
void vmi__xen_pvh_events_leave(void);

/* Has them come as they did, in a domain that was restored by other channels and each once; false
 * if Xen refuses. */
bool vmi__xen_pvh_events_return(bool restored);

/* Has a CPU look at what is pending there, by an interrupt of an event. */
void vmi__xen_pvh_events_look(uint32_t cpu);

/* ---- steal time (clock.c) ---- */

/* Before a further CPU is started. */
void vmi__xen_pvh_steal_time_start(void);

/* In a domain that was restored: this CPU's goes on from there. */
void vmi__xen_pvh_steal_time_go_on(uint64_t from);

#endif
