/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "forms.h"

#include "feature.h"
#include "runtime.h"

#define CR0_WP 0x10000u

#define JUMP        0xe9
#define JUMP_LENGTH 5

static void put(const struct vmi__form *form)
{
    if (form->copied) {
        memcpy(form->entry, form->code, VMI__FORM_ROOM);
    } else {
        uint32_t distance =
            (uint32_t)((uintptr_t)form->code - (uintptr_t)form->entry) - JUMP_LENGTH;

        form->entry[0] = JUMP;
        memcpy(form->entry + 1, &distance, sizeof(distance));
    }
}

VMI__RUN_ONCE void vmi__forms_choose(void)
{
    const uint8_t *done = 0;
    uintptr_t cr0 = 0;
    uint32_t ignored;

    for (const struct vmi__form *form = vmi__forms; form < vmi__forms_end; form++) {
        if (form->entry == done ||
            !vmi__feature(form->leaf, form->subleaf, form->number, form->bit))
            continue;
        if (!done) {
            /* The boot tables may have made code read-only already. */
            cr0 = vmi_get_cr0();
            vmi_set_cr0(cr0 & ~(uintptr_t)CR0_WP);
        }
        done = form->entry;
        put(form);
    }
    if (!done)
        return;
    vmi_set_cr0(cr0);
    /* A processor carries out code that it has just changed after a serializing instruction only
     * (Intel SDM vol. 3A, 9.1.3). */
    vmi_cpuid(0, 0, &ignored, &ignored, &ignored, &ignored);
}
