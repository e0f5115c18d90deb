/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Calls of several forms: one for each of some processor features, and one for all other
 * processors, which is what their entry points are linked with.
 */
#ifndef VMI_RUNTIME_FORMS_H
#define VMI_RUNTIME_FORMS_H

#include <stdint.h>

#define VMI__FORM_ROOM 32   /* bytes of such an entry point; as in codegen/vmigen/common.py */
#define VMI__FORM_LAST 0xff /* in place of a feature: for all processors */

/* A form, in the generated stubs.S; those of a call follow each other, the best first. */
struct vmi__form {
    uint8_t *entry;      /* the call's entry point */
    const uint8_t *code; /* VMI__FORM_ROOM bytes to copy there, or where to jump from there */
    uint32_t leaf, subleaf;
    uint8_t number, bit; /* of the feature, as in feature.h */
    uint8_t copied;
    uint8_t feature; /* bit of VMI_FEATURE_…, or VMI__FORM_LAST */
};

extern const struct vmi__form vmi__forms[], vmi__forms_end[]; /* generated */

/*
 * Makes each entry point the first of its forms whose feature the processor has and `without`
 * (VMI_FEATURE_…) does not name. On the first CPU before any other has started and before code is
 * write-protected for good; later on the terms of Rebind.
 */
void vmi__forms_choose(uint32_t without);

#endif
