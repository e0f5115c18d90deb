/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the flavour `traced` needs of the machine: a file of the backend's, or of the one that it
 * inherits from (`backend_traced` in backends/meson.build).
 */
#ifndef VMI_RUNTIME_TRACED_MACHINE_H
#define VMI_RUNTIME_TRACED_MACHINE_H

#include "runtime.h"

/* Masks this CPU's interrupts; returns what vmi__trace_unmask puts back. */
uintptr_t vmi__trace_mask(void);
void vmi__trace_unmask(uintptr_t mask);

/* The calling CPU's number, with interrupts masked: of a plain machine the local APIC's first
 * identifier, of a domain the VCPU's. */
uint32_t vmi__trace_cpu(void);

/* Frequency of what RDTSC reads here, Hz; 0 if it is not known, or not yet. */
uint64_t vmi__trace_frequency(void);

#endif
