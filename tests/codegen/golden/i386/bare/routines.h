/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Generated from vmi.yaml and bare/backend.yaml by the template routines.h.j2; do not edit. */
/**
 * @file
 * Routines that the entry points of the library for Bare jump to or call. Each has the prototype of
 * its call in C, with arguments in registers as regparm(3) has them.
 */
#ifndef VMI__BARE_ROUTINES_H
#define VMI__BARE_ROUTINES_H

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
 * Load: Load a value.
 */
__attribute__((__regparm__(3)))
void vmi__bare_load(uint32_t value);

/**
 * Store: Store a double word.
 */
__attribute__((__regparm__(3)))
int32_t vmi__bare_store(uint32_t low, uint32_t high, const char *name, uint32_t mode);

/**
 * Stop: Stop.
 */
__attribute__((__regparm__(3), __noreturn__))
void vmi__bare_stop(void);

/**
 * Gate: Write a gate.
 */
__attribute__((__regparm__(3)))
void vmi__bare_gate(uint32_t table, uint32_t low, uint32_t high);

#ifdef __cplusplus
}
#endif

#endif
