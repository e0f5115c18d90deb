/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The fourth layer: descriptor tables, entries from Xen and the ways back, what there is of control
 * and debug registers.
 */
#ifndef VMI_XEN_TRAPS_H
#define VMI_XEN_TRAPS_H

#include "services.h"
#include "xen_common/requests.h"

/* ---- descriptors (descriptors.c) ---- */

/*
 * The part of a started CPU's context that comes from descriptor tables. Returns 0 or a VMI error.
 */
int32_t vmi__xen_descriptors_of(struct vmi__xen_cpu *cpu, const struct vmi_ap_state *state,
                                struct vcpu_guest_context *context);

/* Entry points for traps, which are told to Xen with the gates (arch/ARCH/gates.h says which). */
extern const char *vmi__xen_trap_entries[];

/* Fills a CPU's own GDT page and returns its machine frame. */
uintptr_t vmi__xen_gdt_prepare(struct vmi__xen_cpu *cpu, uint32_t number);

/* Reads this CPU's trap table again. */
void vmi__xen_gates_again(struct vmi__xen_cpu *cpu);

/* The calls WriteGDTEntry and WriteIDTEntry, behind their arguments on each architecture: the
 * latter, once the gate stands in the table. */
void vmi__xen_gdt_write(void *gdt, uint32_t index, uint64_t descriptor);
void vmi__xen_gate_written(const void *idt, uint32_t index);

/* ---- entries (arch/ARCH/events.S, events.c) ---- */

extern const char vmi__xen_event_callback[], vmi__xen_failsafe_callback[];

/*
 * Tells Xen where it enters the kernel, on this CPU; on the first also before there is a CPU's
 * record. Returns 0 or Xen's error.
 */
intptr_t vmi__xen_callbacks_register(void);

/* ---- the kernel's events around a suspend (events.c) ---- */

/* Before it, on the one CPU that runs. */
void vmi__xen_events_leave(void);
/* After it: in the same domain, or in one that was restored. There the console and devices that
 * are open have other ports, and are told of; channels to other domains are gone. */
void vmi__xen_events_return(bool restored);

/* The same of a port, of which some are none: what it is before, and what takes its place. */
struct vmi__xen_left_port {
    struct vmi__xen_port port;
    bool masked;
};
void vmi__xen_port_leave(evtchn_port_t port, struct vmi__xen_left_port *left);
void vmi__xen_port_return(evtchn_port_t port, const struct vmi__xen_left_port *left, bool restored);

/* ---- requests from outside (requests.c) ---- */

/* Has xenstore tell of them; before events are let in. */
void vmi__xen_requests_start(void);
/* Does it? A domain may have none. */
extern bool vmi__xen_requests_known;

/* On CPU 0, with events masked, where there may be one: has the kernel take it, or ends it. */
void vmi__xen_requests_came(struct vmi__xen_cpu *cpu);

/* EventBind's number for the balloon's event, which is no port. */
#define VMI__XEN_EVENT_BALLOON (VMI__XEN_PORTS + 3)

/* Channels of devices, set where a kernel makes calls for them (platform.c). */
struct vmi__xen_device_events {
    /* The channel of an event's number (VMI_EVENT_DEVICE), 0 if there is none. */
    evtchn_port_t (*port)(uint32_t number);
    /* The same of an event that was bound, also when its device has been shut off since. */
    evtchn_port_t (*channel)(uint32_t number);
    /* Is it a driver's? */
    bool (*owns)(evtchn_port_t port);
    /* Around a suspend, as vmi__xen_events_leave and _return. */
    void (*leave)(void);
    void (*come_again)(bool restored);
    /* Is it the balloon's event? */
    bool (*is_balloon)(uint32_t number);
};
extern const struct vmi__xen_device_events *vmi__xen_device_events;

#endif
