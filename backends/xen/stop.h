/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * VCPUs that stop and begin again: between stop.c, machine.c and what an architecture adds.
 */
#ifndef VMI_XEN_STOP_H
#define VMI_XEN_STOP_H

#include "domain.h"

/* VCPUOP_down, for assembly; stop.c asserts it. */
#define VMI__XEN_VCPU_DOWN 2

#ifndef __ASSEMBLER__

/* ---- stop.c ---- */

/* The state that a VCPU is to take on, and whether it has, so that another one can be left. */
extern struct vmi_ap_state vmi__xen_left_state;
extern uint32_t vmi__xen_left_taken;

/* How long one VCPU waits until another one has stopped, or begun: on a busy host that may be kept
 * from its processor meanwhile. */
#define STOP_NANOSECONDS 30000000000ull

/* Waits until a VCPU that does not run has stopped; false if it does not. */
bool vmi__xen_stopped(uint32_t number);

/* Leaves a state for the next one, and waits until it is taken; false if it is not. */
void vmi__xen_leave_state(const struct vmi_ap_state *state);
bool vmi__xen_state_taken(void);

/* ---- arch/ARCH/stop.S ---- */

/*
 * Notes that this CPU does not run, by a 0, and has Xen stop it, until that is not 0 any more. Then
 * it calls vmi__xen_started_again, on a stack of the library's, and goes on in the state that was
 * left.
 */
VMI__ROUTINE void vmi__xen_stop(uint32_t number, uint32_t *started) __attribute__((noreturn));
VMI__ROUTINE void vmi__xen_started_again(uint32_t number);

#endif
#endif
