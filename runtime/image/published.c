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

extern const char vmi__rom_start[];                               /* image.ld */
extern const struct entry vmi__rom_calls[], vmi__rom_calls_end[]; /* generated */
extern const uint16_t vmi__rom_bare[], vmi__rom_bare_end[];       /* generated */

static const struct entry *entry_of(uint32_t ordinal)
{
    const struct entry *entry;

    for (entry = vmi__rom_calls; entry < vmi__rom_calls_end; entry++) {
        if (entry->ordinal == ordinal)
            return entry;
    }
    return 0;
}

static const void *own_routine(uint32_t ordinal)
{
    const struct vmi__published_call *own;

    for (own = vmi__published_calls; own->routine && own->ordinal != ordinal; own++)
        ;
    return own->routine;
}

static bool is_bare(uint32_t ordinal)
{
    const uint16_t *bare;

    for (bare = vmi__rom_bare; bare < vmi__rom_bare_end && *bare != ordinal; bare++)
        ;
    return bare < vmi__rom_bare_end;
}

/*
 * What the published kernels take for granted (Linux 2.6.21 to 2.6.36), and what costs them least.
 *
 * - Their sites of IRET and SYSEXIT are jumps that lead nowhere until they are patched.
 * - Calls that have to do with time are made through a pointer that is null for any answer but a
 *   call.
 * - With PAE they write an entry in one piece and then announce it, without asking whether that is
 *   a call, if setting an entry is one: so the two go together.
 * - Where a system call enters by SYSENTER interrupts are let in with registers saved around it,
 * which an answer by a call replaces as well.
 * - Anything else that the library does by instructions alone these kernels have in their own code.
 *   For a call they would go through a routine of theirs that sorts the arguments first, and pad
 *   its site with one more instruction.
 */
static uint32_t kind_for_client(uint32_t ordinal)
{
    const struct entry *entry = entry_of(ordinal);

    if (own_routine(ordinal))
        return VMI__ROM_CALL;
    /* Extensions are for kernels that know of them, and those bind the image themselves. */
    if (!entry || ordinal >= EXTENSIONS)
        return VMI__ROM_NONE;
    switch (ordinal) {
    case VMI_ORDINAL_IRET:
    case VMI_ORDINAL_SYSEXIT:
        return VMI__ROM_JUMP;
    case VMI_ORDINAL_UPDATE_PXE:
    case VMI_ORDINAL_UPDATE_PXE_LONG:
        if (kind_for_client(ordinal == VMI_ORDINAL_UPDATE_PXE
                                ? VMI_ORDINAL_SET_PXE
                                : VMI_ORDINAL_SET_PXE_LONG) == VMI__ROM_CALL)
            return VMI__ROM_CALL;
        break;
    case VMI_ORDINAL_ENABLE_INTERRUPTS:
    case VMI_ORDINAL_GET_CYCLE_FREQUENCY:
    case VMI_ORDINAL_GET_CYCLE_COUNTER:
    case VMI_ORDINAL_SET_ALARM:
    case VMI_ORDINAL_CANCEL_ALARM:
    case VMI_ORDINAL_GET_WALLCLOCK_TIME:
    case VMI_ORDINAL_WALLCLOCK_UPDATED:
        return VMI__ROM_CALL;
    }
    return is_bare(ordinal) ? VMI__ROM_NONE : entry->kind;
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
    const void *routine = own_routine(ordinal);
    uint32_t kind = kind_for_client(ordinal);

    if (kind == VMI__ROM_NONE)
        return answer(0, kind);
    return answer(routine ? routine : vmi__rom_start + entry_of(ordinal)->target, kind);
}
