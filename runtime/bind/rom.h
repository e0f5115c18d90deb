/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Provider images, read with suspicion: nothing of an image is used before it has been checked, and
 * all places are offsets, so that this works at any address and on the build machine.
 */
#ifndef VMI_RUNTIME_BIND_ROM_H
#define VMI_RUNTIME_BIND_ROM_H

#include <stdbool.h>
#include <stdint.h>

#include <vmi/constants.h>

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
    uint32_t priority;
    uint32_t probe, start;
    char name[VMI__ROM_NAME_MAX + 1];
    /* By ordinal: 1 + the index in the table of calls, and in that of forms for the one that was
     * chosen by vmi__rom_choose; or 0. */
    uint16_t call_at[VMI_ORDINALS];
    uint8_t form_at[VMI_ORDINALS];
};

/* A call: an entry of the table of calls, with the form that was chosen. */
struct vmi__rom_call {
    uint32_t ordinal;
    uint32_t kind;   /* VMI__ROM_… */
    uint32_t target; /* offset in the text part */
    uint32_t inline_length, inline_offset;
};

/*
 * Where a part of an image goes: memory of `room` bytes, which later has the address `address`. Of
 * these only the first `used` may hold something; the others are breakpoints in the place of a text
 * part, and zero in that of a data part.
 */
struct vmi__rom_place {
    uint8_t *memory;
    uint32_t room;
    uintptr_t address;
    uint32_t used;
};

/*
 * Is there what calls itself a VMI ROM, whole or not? `available` is what can be read from `bytes`
 * on. Tells a stranger's ROM or module from one that is worth a complaint.
 */
bool vmi__rom_is_vmi(const uint8_t *bytes, uint32_t available);

/*
 * The first of what vmi__rom_read does: is it an image of this version for this machine? Then the
 * other functions still know nothing of it, but for vmi__rom_has_sign and vmi__rom_word_sum.
 */
const char *vmi__rom_open(const uint8_t *bytes, uint32_t available, struct vmi__rom *rom);

/*
 * Is the sign there of what the image is for (image/rom.h)? `ask` gives eax, ebx, ecx and edx of a
 * leaf of CPUID, subleaf 0. An image whose sign is there may find that it is not at home all the
 * same.
 */
bool vmi__rom_has_sign(const struct vmi__rom *rom,
                       void (*ask)(uint32_t leaf, uint32_t registers[4]));

/* After vmi__rom_open: reads the name alone. Why it cannot, or null. */
const char *vmi__rom_name(struct vmi__rom *rom);

/*
 * Checks an image, but for its sum, and describes it. Returns 0, or the reason for which it
 * must not be used. An image of a later minor version may have calls above VMI_ORDINALS, which are
 * held to the same and then passed over.
 */
const char *vmi__rom_read(const uint8_t *bytes, uint32_t available, struct vmi__rom *rom);

/*
 * Checks that the words of an image's extension and of all behind it add up. Returns 0, or the
 * reason to refuse. The published header before it has a sum of bytes, which firmware checks, and
 * says nothing that is used here.
 */
const char *vmi__rom_word_sum(const struct vmi__rom *rom);

/*
 * Chooses the forms of an image that was read: `has` says whether the processor has a feature
 * (vmi__feature), `without` (VMI_FEATURE_…) which are to be left out all the same. Before,
 * vmi__rom_find gives calls as processors do them that have none.
 */
void vmi__rom_choose(struct vmi__rom *rom,
                     bool (*has)(uint32_t leaf, uint32_t subleaf, uint32_t number, uint32_t bit),
                     uint32_t without);

/* Entry `index` of the table of calls, without regard to forms. */
struct vmi__rom_call vmi__rom_call(const struct vmi__rom *rom, uint32_t index);

/* The call of an ordinal that the image has, in a form by its number as in form_at. */
struct vmi__rom_call vmi__rom_form(const struct vmi__rom *rom, uint32_t ordinal, uint32_t form);

/* The call of an ordinal, in the form that was chosen; false if there is none. */
bool vmi__rom_find(const struct vmi__rom *rom, uint32_t ordinal, struct vmi__rom_call *call);

/* Has the image the call of that ordinal? */
static inline bool vmi__rom_has(const struct vmi__rom *rom, uint32_t ordinal)
{
    struct vmi__rom_call call;

    return ordinal < VMI_ORDINALS ? rom->call_at[ordinal] != 0 : vmi__rom_find(rom, ordinal, &call);
}

/*
 * Copies both parts to their places, zeroes what the data part has beyond the file, fills the place
 * of the text with breakpoints, so that nothing is left there of an image before, and relocates.
 * Returns 0, or the reason to refuse; then the places hold nothing of use. Else the tables in the
 * text's place are those of the image: they are not relocated.
 */
const char *vmi__rom_load(const struct vmi__rom *rom, struct vmi__rom_place *text,
                          struct vmi__rom_place *data);

#endif
