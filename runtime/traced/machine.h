/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the flavour `traced` needs of the machine: a file of the backend's, or of the one that it
 * inherits from (`backend_traced` in backends/meson.build).
 */
#ifndef VMI_RUNTIME_TRACED_MACHINE_H
#define VMI_RUNTIME_TRACED_MACHINE_H

#include "ring.h"

/* Masks this CPU's interrupts; returns what vmi__trace_unmask puts back. */
uintptr_t vmi__trace_mask(void);
void vmi__trace_unmask(uintptr_t mask);

/* The calling CPU's number, with interrupts masked: of a plain machine the local APIC's first
 * identifier, of a domain the VCPU's. */
uint32_t vmi__trace_cpu(void);

/*
 * A hypercall is about to be made, or has been: notes (vmi__trace_note) what there is in the list
 * that it has in memory, and what has become of it. `arguments` are VMI__TRACE_WORDS, of which the
 * hypercall may have fewer.
 */
void vmi__trace_list(uint32_t number, const uint64_t *arguments,
                     const struct vmi__flavour_frame *frame);
void vmi__trace_list_made(const struct vmi__flavour_frame *frame);

/* Frequency of what RDTSC reads here, Hz; 0 if it is not known, or not yet. */
uint64_t vmi__trace_frequency(void);

#endif
