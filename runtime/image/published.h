/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A provider image as the published API has it: an option ROM that a kernel built for API 3.0 finds
 * by itself, calls and is bound to, with nothing of the extension (docs/binding.md).
 */
#ifndef VMI_RUNTIME_PUBLISHED_H
#define VMI_RUNTIME_PUBLISHED_H

#include "runtime.h"

/*
 * Prepares the library for such a client, in ring 0 of a PC on the client's own page tables, with
 * interrupts masked: vmi__boot.linear_base is where the client has memory from 0 on, the rest of
 * vmi__boot tells nothing. There is no console. False if the library cannot run here. Defined by
 * each backend whose image serves such clients (`backend_published`).
 */
bool vmi__backend_serve(void);

/*
 * Calls that such a client is to make by a call, and of what: where the way of the table of calls
 * (image/rom.h) does not serve it. The first row for an ordinal counts. Ends with a routine of 0.
 * Defined by the same backends.
 */
struct vmi__published_call {
    uint32_t ordinal;
    const void *routine;
};

extern const struct vmi__published_call vmi__published_calls[];

/* ---- published.S enters these, in the copy of the image in low memory ---- */

#define VMI__ENTERED __attribute__((regparm(3)))

/* vmi_init: 0 if the library runs. */
VMI__ADDRESS_TAKEN VMI__ENTERED uint32_t vmi__published_init(uint32_t linear_base);

/* get_reloc: the target in the lower half, the kind in the upper one. */
VMI__ADDRESS_TAKEN VMI__ENTERED uint64_t vmi__published_relocation(uint32_t ordinal);

#endif
