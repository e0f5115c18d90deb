/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Xenstore, of whose ring and channel each library knows the place: nodes that are read, written,
 * taken and watched. Paths that do not begin with / are relative to the domain's own directory.
 */
#ifndef VMI_XEN_COMMON_STORE_H
#define VMI_XEN_COMMON_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include <vmi/vmi.h>

#include "runtime.h"

/* The ring's page, 0 if there is none. Its port is polled until it is let in. */
void vmi__xen_common_store_start(void *page);

/* Reads a node into a buffer, terminated. Returns its length, or a VMI error. */
int32_t vmi__xen_common_store_read(const char *path, char *to, uint32_t size);
/* Names of a node's children, each terminated, one behind the other. Returns the length of all, or
 * a VMI error. */
int32_t vmi__xen_common_store_list(const char *path, char *to, uint32_t size);
int32_t vmi__xen_common_store_write(const char *path, const char *value);
/*
 * Reads a node and leaves it empty, as one: what is written there meanwhile is not lost. Returns
 * the length of what was taken, 0 if it was empty already, or a VMI error.
 */
int32_t vmi__xen_common_store_take(const char *path, char *to, uint32_t size);

/* The next two are for the start, while one CPU runs with interrupts masked. Writes a node and does
 * not wait for the answer, which nobody looks at. */
void vmi__xen_common_store_tell(const char *path, const char *value);
/*
 * Asks to be told of changes of a node. Being told is to find vmi__xen_common_store_told set, which
 * whoever has seen it clears; the first time is at once.
 */
void vmi__xen_common_store_watch(const char *path);
extern uint32_t vmi__xen_common_store_told;
/* The same, of nodes below cpu/ alone, beside that. */
extern uint32_t vmi__xen_common_store_told_cpu;

/* Is there a store that answers? */
bool vmi__xen_common_store_present(void);

/* Has its port let in while nobody waits for an answer, or polled again; says whether it was let
 * in. */
bool vmi__xen_common_store_let_in(bool in);

/* Looks at what has come that nobody waits for. */
void vmi__xen_common_store_look(void);

/* Where the other side's words end, for comparing: a moved end is something new. */
uint32_t vmi__xen_common_store_end(void);

/* ---- defined by each library ---- */

/* The ring's channel, as vmi__store_ring asks for it. */
VMI__ADDRESS_TAKEN void vmi__xen_common_store_notify(void);
VMI__ADDRESS_TAKEN void vmi__xen_common_store_clear(void);
VMI__ADDRESS_TAKEN void vmi__xen_common_store_wait(void);

/* Has the channel make no interrupts, or make them again, now also the one that is pending. */
void vmi__xen_common_store_mask(void);
void vmi__xen_common_store_unmask(void);

/* A watch has told, and the channel is masked: has it pending. */
void vmi__xen_common_store_announce(void);

#endif
