/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Provider images, read with suspicion: nothing of an image is used before it has been checked, and
 * all places are offsets, so that this works at any address and on the build machine.
 */
#ifndef VMI_RUNTIME_BIND_ROM_H
#define VMI_RUNTIME_BIND_ROM_H

#include <stdbool.h>
#include <stdint.h>

#include "image/rom.h"

#define VMI__ROM_NAME_MAX   31 /* characters of a provider's name */
#define VMI__ROM_INLINE_MAX 32 /* bytes of the instructions that a call is */
#define VMI__ROM_FORMS_MAX  64 /* entries of the table of forms */

/* An image that was read. Offsets are into `bytes`. */
struct vmi__rom {
    const uint8_t *bytes;
    uint32_t size; /* of the file */
    uint32_t text_size;
    uint32_t data_offset, data_size, memory_size;
    uint32_t reloc_offset, reloc_count;
    uint32_t calls_offset, calls_count;
    uint32_t forms_offset, forms_count;
    uint64_t chosen; /* of the forms, a bit for each, by vmi__rom_choose */
    uint32_t priority;
    uint32_t probe, start;
    char name[VMI__ROM_NAME_MAX + 1];
};

/* A call: an entry of the table of calls, with the form that was chosen. */
struct vmi__rom_call {
    uint32_t ordinal;
    uint32_t kind;   /* VMI__ROM_… */
    uint32_t target; /* offset in the text part */
    uint32_t inline_length, inline_offset;
};

/* Where a part of an image goes: memory of `room` bytes, which later has the address `address`. */
struct vmi__rom_place {
    uint8_t *memory;
    uint32_t room;
    uintptr_t address;
};

/*
 * Is there what calls itself a VMI ROM, whole or not? `available` is what can be read from `bytes`
 * on. Tells a stranger's ROM or module from one that is worth a complaint.
 */
bool vmi__rom_is_vmi(const uint8_t *bytes, uint32_t available);

/*
 * Checks an image, but for its checksum, and describes it. Returns 0, or the reason for which it
 * must not be used. An image of a later minor version may have calls above VMI_ORDINALS, which are
 * held to the same and then passed over.
 */
const char *vmi__rom_read(const uint8_t *bytes, uint32_t available, struct vmi__rom *rom);

/* Checks that the bytes of an image that was read add up. Returns 0, or the reason to refuse. */
const char *vmi__rom_sum(const struct vmi__rom *rom);

/*
 * Chooses the forms of an image that was read: `has` says whether the processor has a feature
 * (vmi__feature). Before, vmi__rom_find gives calls as processors do them that have none.
 */
void vmi__rom_choose(struct vmi__rom *rom,
                     bool (*has)(uint32_t leaf, uint32_t subleaf, uint32_t number, uint32_t bit));

/* Entry `index` of the table of calls, without regard to forms. */
struct vmi__rom_call vmi__rom_call(const struct vmi__rom *rom, uint32_t index);

/* The call of an ordinal, in the form that was chosen; false if there is none. */
bool vmi__rom_find(const struct vmi__rom *rom, uint32_t ordinal, struct vmi__rom_call *call);

/*
 * Copies both parts to their places, zeroes what the data part has beyond the file, fills the place
 * of the text with breakpoints, so that nothing is left there of an image before, and relocates.
 * Returns 0, or the reason to refuse; then the places hold nothing of use. Else the tables in the
 * text's place are those of the image: they are not relocated.
 */
const char *vmi__rom_load(const struct vmi__rom *rom, const struct vmi__rom_place *text,
                          const struct vmi__rom_place *data);

#endif
