/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Making calls, with every register watched.
 */
#include "client.h"

#define EBX 0x01u /* registers that a call may change */
#define ECX 0x02u
#define EDX 0x04u
#define EAX 0x08u

#define MARK 0xc1e70000u

/* By regparm(3), eax, edx and ecx are a call's to change; the others name what they change. */
static uint32_t may_change(uint32_t ordinal)
{
    switch (ordinal) {
    case CALL_CPUID:
        return EAX | EBX | ECX | EDX;
    case CALL_RDMSR:
    case CALL_RDTSC:
    case CALL_RDPMC:
        return EAX | EDX;
    case CALL_GET_INTERRUPT_MASK:
        return EAX;
    case CALL_WRMSR:
    case CALL_ENABLE_INTERRUPTS:
    case CALL_DISABLE_INTERRUPTS:
    case CALL_SET_INTERRUPT_MASK:
    case CALL_IO_DELAY:
        return 0;
    default:
        return EAX | ECX | EDX;
    }
}

static const struct site *site_of(uint32_t ordinal)
{
    const struct site *site;

    for (site = client_sites; site < client_sites_end; site++) {
        if (site->ordinal == ordinal)
            return site;
    }
    client_panic("there is no site for a call");
}

/* Where a site is entered: its stack words are pushed first, six bytes each. */
static uint32_t entry_of(const struct site *site)
{
    return (uint32_t)(uintptr_t)site->address - 6u * site->words;
}

bool client_has(uint32_t ordinal)
{
    const struct site *site = site_of(ordinal);

    return site->native || client_kind(ordinal) != RELOCATION_NONE;
}

uint64_t client_call_stack(uint32_t ordinal, uint32_t eax, uint32_t edx, uint32_t ecx,
                           uint32_t word0, uint32_t word1)
{
    const struct site *site = site_of(ordinal);
    uint32_t free = may_change(ordinal);
    const struct registers before = {.eax = eax,
                                     .ebx = MARK + 1,
                                     .ecx = ecx,
                                     .edx = edx,
                                     .esi = MARK + 4,
                                     .edi = MARK + 5,
                                     .ebp = MARK + 6};
    struct registers after = before;

    /* Only for sites that take them, which no two CPUs are in at once. */
    if (site->words) {
        client_words[0] = word0;
        client_words[1] = word1;
    }
    client_invoke(&after, (void (*)(void))(uintptr_t)entry_of(site));
    if (after.esi != before.esi || after.edi != before.edi || after.ebp != before.ebp ||
        (!(free & EBX) && after.ebx != before.ebx) || (!(free & EAX) && after.eax != before.eax) ||
        (!(free & ECX) && after.ecx != before.ecx) || (!(free & EDX) && after.edx != before.edx)) {
        client_print("# broken %s\n", site->name);
        client_panic("a call changes a register that lives on");
    }
    return (uint64_t)after.edx << 32 | after.eax;
}

uint64_t client_call(uint32_t ordinal, uint32_t eax, uint32_t edx, uint32_t ecx)
{
    return client_call_stack(ordinal, eax, edx, ecx, 0, 0);
}
