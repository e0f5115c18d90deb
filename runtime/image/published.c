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
 * What the published kernels take for granted. Their sites of IRET and SYSEXIT are jumps that lead
 * nowhere until they are patched. Calls that have to do with time, and with PAE the announcement of
 * an entry written in place, are made through a pointer that is null for any answer but a call.
 */
static uint32_t kind_for_client(uint32_t ordinal, uint32_t kind)
{
    switch (ordinal) {
    case VMI_ORDINAL_IRET:
    case VMI_ORDINAL_SYSEXIT:
        return VMI__ROM_JUMP;
    case VMI_ORDINAL_UPDATE_PXE:
    case VMI_ORDINAL_UPDATE_PXE_LONG:
    case VMI_ORDINAL_GET_CYCLE_FREQUENCY:
    case VMI_ORDINAL_GET_CYCLE_COUNTER:
    case VMI_ORDINAL_SET_ALARM:
    case VMI_ORDINAL_CANCEL_ALARM:
    case VMI_ORDINAL_GET_WALLCLOCK_TIME:
    case VMI_ORDINAL_WALLCLOCK_UPDATED:
        return VMI__ROM_CALL;
    default:
        return kind;
    }
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
            return answer(vmi__rom_header + entry->target, kind_for_client(ordinal, entry->kind));
    }
    return answer(0, VMI__ROM_NONE);
}
