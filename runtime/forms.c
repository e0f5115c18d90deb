/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "forms.h"

#include "feature.h"
#include "runtime.h"
#include "writable.h"

#define INT3 0xcc

#define JUMP              0xe9
#define JUMP_LENGTH       5
#define JUMP_SHORT        0xeb /* which an assembler makes of what is near */
#define JUMP_SHORT_LENGTH 2

static const struct vmi__form *best_of(const struct vmi__form *form, uint32_t without)
{
    while (form->feature != VMI__FORM_LAST &&
           ((without >> form->feature & 1) ||
            !vmi__feature(form->leaf, form->subleaf, form->number, form->bit)))
        form++;
    return form;
}

static bool is_in_place(const struct vmi__form *form)
{
    const uint8_t *entry = form->entry;
    int32_t distance;

    if (form->copied)
        return !memcmp(entry, form->code, VMI__FORM_ROOM);
    if (entry[0] == JUMP_SHORT)
        return entry + JUMP_SHORT_LENGTH + (int8_t)entry[1] == form->code;
    memcpy(&distance, entry + 1, sizeof(distance));
    return entry[0] == JUMP && entry + JUMP_LENGTH + distance == form->code;
}

static void put(const struct vmi__form *form)
{
    if (form->copied) {
        memcpy(form->entry, form->code, VMI__FORM_ROOM);
    } else {
        uint32_t distance =
            (uint32_t)((uintptr_t)form->code - (uintptr_t)form->entry) - JUMP_LENGTH;

        form->entry[0] = JUMP;
        memcpy(form->entry + 1, &distance, sizeof(distance));
        memset(form->entry + JUMP_LENGTH, INT3, VMI__FORM_ROOM - JUMP_LENGTH);
    }
}

VMI__RUN_ONCE void vmi__forms_choose(uint32_t without)
{
    struct vmi__writing writing;
    bool written = false;

    for (const struct vmi__form *form = vmi__forms; form < vmi__forms_end; form++) {
        const struct vmi__form *best = best_of(form, without);

        while (form->feature != VMI__FORM_LAST)
            form++;
        if (is_in_place(best))
            continue;
        if (!written)
            vmi__writing_begins(&writing);
        written = true;
        put(best);
    }
    if (written)
        vmi__writing_ends(&writing);
}
