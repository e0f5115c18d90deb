/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Generated from vmi.yaml and hyper/backend.yaml by the template routines.h.j2; do not edit. */
/**
 * @file
 * Routines that the entry points of the library for Hyper jump to or call. Each has the prototype
 * of its call in C.
 */
#ifndef VMI__HYPER_ROUTINES_H
#define VMI__HYPER_ROUTINES_H

#include <vmi/vmi.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Probe: Ask for two words.
 */
void vmi__bare_probe(uint32_t leaf, uint32_t *low, uint32_t *high);

/**
 * Clock: Read the clock.
 */
uint64_t vmi__hyper_clock(void);

/**
 * Fetch: Fetch the state.
 * Makes the hypercalls fetch, load.
 */
uint8_t vmi__hyper_fetch(struct vmi_state *to, uint64_t limit);

/**
 * Base: Write the base and read the old one.
 */
uint64_t vmi__bare_base(uint32_t number, uint64_t value, uint64_t deep);

#ifdef __cplusplus
}
#endif

#endif
