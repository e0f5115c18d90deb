/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Call sites: from calls of the interface's symbols to direct calls of a provider, or to its
 * instructions. Works on copies and at any address, so on the build machine too.
 */
#ifndef VMI_RUNTIME_BIND_SITES_H
#define VMI_RUNTIME_BIND_SITES_H

#include "bind/machine.h"
#include "bind/rom.h"

#define VMI__SITE_LEAST 5  /* bytes of a direct call */
#define VMI__SITE_MOST  15 /* bytes of the longest site */
#define VMI__SLOT_SIZE  16

/* Records of call sites, which in the kernel lie from `address` on. */
struct vmi__sites {
    const struct vmi__site *records;
    uint32_t count;
    uintptr_t address;
};

/* Code that is to be bound: `size` bytes at `bytes`, which run at the address `address`. */
struct vmi__code {
    uint8_t *bytes;
    uint32_t size;
    uintptr_t address;
};

/* What sites became. */
struct vmi__site_counts {
    uint32_t instruction, call, nop;
};

/*
 * Binds every site. All must lie in the code `given` and hold a call of, or a jump to, the slot of
 * their ordinal (slots begin at the address `slots`), which a site that was bound already does not,
 * and must not overlap. `text` is the address of the provider's text part. Returns 0, or the reason
 * to stop; then nothing was changed, but where sites overlap in their first bytes.
 */
const char *vmi__sites_bind(const struct vmi__code *given, const struct vmi__sites *sites,
                            uintptr_t slots, const struct vmi__rom *rom, uintptr_t text,
                            struct vmi__site_counts *counts);

/*
 * Binds the sites again whose call has another form than before: `rom` is as vmi__rom_choose has
 * made it now, `before` is rom->form_at as it was when they were bound. Such a site is written only
 * if it holds what binding left there. All other bytes stay, so that the code is then what binding
 * it by the forms of now had made of it. Calls with forms are no jumps. With `write` false sites
 * are looked at only. Returns 0, or the reason not to; then nothing was changed.
 */
const char *vmi__sites_bind_again(const struct vmi__code *given, const struct vmi__sites *sites,
                                  const struct vmi__rom *rom, const uint8_t before[VMI_ORDINALS],
                                  uintptr_t text, bool write);

/*
 * Has the provider a call for each slot that the interface has? Those begin with a jump. Returns 0,
 * or the reason to refuse the provider.
 */
const char *vmi__slots_check(const struct vmi__code *slots, const struct vmi__rom *rom);

/* Has the interface the call of this ordinal, which may be any number? */
bool vmi__slots_have(const struct vmi__code *slots, uint32_t ordinal);

/* Fills the slots of all calls that the interface and the provider have. */
void vmi__slots_bind(const struct vmi__code *slots, const struct vmi__rom *rom, uintptr_t text);

#endif
