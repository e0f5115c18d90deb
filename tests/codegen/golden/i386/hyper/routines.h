/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Generated from vmi.yaml and hyper/backend.yaml by the template routines.h.j2; do not edit. */
/**
 * @file
 * Routines that the entry points of the library for Hyper jump to or call. Each has the prototype
 * of its call in C, with arguments in registers as regparm(3) has them.
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
__attribute__((__regparm__(3)))
void vmi__bare_probe(uint32_t leaf, uint32_t *low, uint32_t *high);

/**
 * Clock: Read the clock.
 */
__attribute__((__regparm__(3)))
uint64_t vmi__hyper_clock(void);

/**
 * Fetch: Fetch the state.
 * Makes the hypercalls fetch, load.
 */
__attribute__((__regparm__(3)))
uint8_t vmi__hyper_fetch(struct vmi_state *to, uint64_t limit);

/**
 * Gate: Write a gate.
 */
__attribute__((__regparm__(3)))
void vmi__bare_gate(uint32_t table, uint32_t low, uint32_t high);

#ifdef __cplusplus
}
#endif

#endif
