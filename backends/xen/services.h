/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The third layer: console, clock, alarms. The clock and the alarms are calls of the interface
 * (routines.h).
 */
#ifndef VMI_XEN_SERVICES_H
#define VMI_XEN_SERVICES_H

#include "channels.h"

/* ---- console (console.c) ---- */

void vmi__xen_console_start(void *ring, evtchn_port_t port);
evtchn_port_t vmi__xen_console_port(void);
/* Gives the other side of the console a bounded time to take what was written. */
void vmi__xen_console_drain(void);

/* ---- time (time.c) ---- */

/* Raises what is due on this CPU and sets its timer; events are masked. */
void vmi__xen_alarms(struct vmi__xen_cpu *cpu);

/*
 * Has the clock go on from the last value given out, whatever Xen's system time is now: that of
 * another host after the domain was saved. One CPU runs.
 */
void vmi__xen_clock_continue(void);

/* Around a suspend, on each CPU, with events masked: what the clocks have told is kept; and in a
 * domain that was restored, where the CPU's words are there again, they go on, and alarms do. */
void vmi__xen_time_leave(struct vmi__xen_cpu *cpu);
void vmi__xen_time_return(struct vmi__xen_cpu *cpu);

#endif
