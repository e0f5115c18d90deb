/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "image/published.h"

#include "image/rom.h"

/* First ordinal that API 3.0 does not have. */
#define EXTENSIONS 128

/* An entry of the table of calls (image/rom.h), of which the loader changes nothing. */
struct entry {
    uint32_t target; /* offset */
    uint16_t ordinal;
    uint8_t kind, inline_length;
    uint32_t inline_offset;
};

_Static_assert(sizeof(struct entry) == VMI__ROM_CALL_SIZE &&
                   offsetof(struct entry, kind) == VMI__ROM_CALL_KIND,
               "layout of image/rom.h");

extern const char vmi__rom_header[];                              /* header.S */
extern const struct entry vmi__rom_calls[], vmi__rom_calls_end[]; /* generated */

/*
 * Calls that a client keeps as pointers and makes without asking further, for it has no code of its
 * own for them: the published kernels take a NULL there for "there is no such call".
 */
static bool is_pointer(uint32_t ordinal)
{
    return ordinal >= VMI_ORDINAL_GET_CYCLE_FREQUENCY && ordinal <= VMI_ORDINAL_WALLCLOCK_UPDATED;
}

static uint64_t answer(const void *target, uint32_t kind)
{
    return (uint64_t)kind << 32 | (uint32_t)(uintptr_t)target;
}

VMI__ENTERED uint32_t vmi__published_init(uint32_t linear_base)
{
    vmi__boot.linear_base = linear_base;
    return vmi__backend_serve() ? 0 : 1;
}

VMI__ENTERED uint64_t vmi__published_relocation(uint32_t ordinal)
{
    const struct vmi__published_call *own;
    const struct entry *entry;

    for (own = vmi__published_calls; own->routine; own++) {
        if (own->ordinal == ordinal)
            return answer(own->routine, VMI__ROM_CALL);
    }
    for (entry = vmi__rom_calls; entry < vmi__rom_calls_end; entry++) {
        /* Extensions are for kernels that know of them, and those bind the image themselves. */
        if (entry->ordinal == ordinal && ordinal < EXTENSIONS)
            return answer(vmi__rom_header + entry->target,
                          is_pointer(ordinal) ? VMI__ROM_CALL : entry->kind);
    }
    return answer(0, VMI__ROM_NONE);
}
