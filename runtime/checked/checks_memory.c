/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Rules of page tables.
 */
#include "endbr.h"
#include "frames.h"
#include "state.h"

#define PRESENT    0x001u
#define LARGE_PAGE 0x080u
#define FRAME_BITS 0x000ffffffffff000ull
#define APIC_PAGE  0xfee00000u

/* Arguments of SetPxE and its kin. */
struct entry {
    uintptr_t at;
    uint64_t value; /* not of UpdatePxE and UpdatePxELong */
    uint32_t flags;
};

static struct entry entry_of(const struct vmi__call *call)
{
    struct entry entry = {.value = vmi__argument(call, 0)};
    uint32_t at = 0;

#ifdef __x86_64__
    if (call->ordinal == VMI_ORDINAL_SET_PXE_LONG)
        at = 1;
#else
    if (call->ordinal == VMI_ORDINAL_SET_PXE)
        at = 1;
    else if (call->ordinal == VMI_ORDINAL_SET_PXE_LONG) {
        entry.value |= (uint64_t)vmi__argument(call, 1) << 32;
        at = 2;
    }
#endif
    entry.at = vmi__argument(call, at);
    entry.flags = (uint32_t)vmi__argument(call, at + 1);
    return entry;
}

VMI__ADDRESS_TAKEN bool vmi__check_entry_in_table(const struct vmi__call *call,
                                                  struct vmi__finding *finding)
{
    struct entry given = entry_of(call);
    uintptr_t entry = given.at, pfn = vmi__frame_at(entry);
    uint32_t flags = given.flags, kind;

    if (pfn == VMI__FRAME_NONE)
        return vmi__found(finding, "the entry is not in the linear mapping", "entry", entry, 0, 0);
    if (pfn >= VMI__FRAMES)
        return true;
    kind = vmi__frame_kind(pfn);
    if (!kind)
        return vmi__found(finding, "the page of the entry is no page table", "entry", entry,
                          "frame", pfn);
    if (kind & VMI__FRAME_BOOT)
        return vmi__found(finding, "the page of the entry is one of the boot tables", "entry",
                          entry, "frame", pfn);
    flags &= VMI__FRAME_KINDS;
    kind &= VMI__FRAME_KINDS;
    if (flags != kind)
        return vmi__found(finding, "the table is of another kind", "kind given", flags,
                          "kind allocated", kind);
    return true;
}

/* Whether no entry, 0, stands against what is to be done with a frame. */
static bool no_entry(uintptr_t entry, uintptr_t pfn, const char *what, struct vmi__finding *finding)
{
    return !entry || vmi__found(finding, what, "frame", pfn, "entry", entry);
}

VMI__ADDRESS_TAKEN bool vmi__check_page_not_mapped_writable(const struct vmi__call *call,
                                                            struct vmi__finding *finding)
{
    uintptr_t pfn = vmi__argument(call, 0);
    struct entry entry;

    if (call->ordinal == VMI_ORDINAL_ALLOCATE_PAGE)
        return no_entry(vmi__frame_writable_by(pfn), pfn, "an entry maps the page writable",
                        finding);
    entry = entry_of(call);
    return vmi__frame_used_as(entry.at, entry.value, &pfn) != VMI__FRAME_WRITABLE ||
           !vmi__frame_kind(pfn) ||
           vmi__found(finding, "the entry maps a page table writable", "frame", pfn, "entry",
                      entry.at);
}

/* Whether an entry of a table of that kind maps the local APIC's page, where every PC has it (Intel
 * SDM vol. 3A, 11.4.1). */
static bool maps_apic(uint64_t value, uint32_t kind)
{
    uint64_t bytes = 4096;

    if (!(value & PRESENT) || !(kind & (VMI_PAGE_PT | VMI_PAGE_PD)))
        return false;
    if (kind & VMI_PAGE_PD) {
        if (!(value & LARGE_PAGE))
            return false;
        bytes = kind & VMI_PAGE_PAE ? 2u << 20 : 4u << 20;
    }
    value &= ~(bytes - 1) & FRAME_BITS;
    return APIC_PAGE - value < bytes;
}

VMI__ADDRESS_TAKEN bool vmi__check_apic_by_calls(const struct vmi__call *call,
                                                 struct vmi__finding *finding)
{
    struct entry given = entry_of(call);
    uint32_t kind = given.flags;

#ifdef __i386__
    /* CURRENT_AS has the bit of PAE, and entries are as wide as the call's. */
    kind &= ~(uint32_t)VMI_PAGE_PAE;
    if (call->ordinal == VMI_ORDINAL_SET_PXE_LONG)
#endif
        kind |= VMI_PAGE_PAE;
    return !maps_apic(given.value, kind) || vmi__found(finding, "the entry maps the local APIC",
                                                       "entry", given.at, "value", given.value);
}

VMI__ADDRESS_TAKEN bool vmi__check_frame_not_mapped(const struct vmi__call *call,
                                                    struct vmi__finding *finding)
{
    const uint32_t *frames = (const uint32_t *)vmi__argument(call, 1);
    uint32_t count = (uint32_t)vmi__argument(call, 2);
    bool kept = true;

    for (uint32_t i = 0; i < count && kept; i++)
        kept = no_entry(vmi__frame_writable_by(frames[i]), frames[i],
                        "an entry maps the frame writable", finding) &&
               no_entry(vmi__frame_named_by(frames[i]), frames[i],
                        "an entry of a table names the frame", finding);
    return kept;
}

VMI__ADDRESS_TAKEN bool vmi__check_tables_allocated_first(const struct vmi__call *call,
                                                          struct vmi__finding *finding)
{
    uintptr_t pfn = vmi__argument(call, 0);
    struct entry entry;
    uint32_t used;

    if (call->ordinal == VMI_ORDINAL_ALLOCATE_PAGE)
        return no_entry(vmi__frame_named_by(pfn), pfn, "an entry of a table names the page already",
                        finding);
    entry = entry_of(call);
    used = vmi__frame_used_as(entry.at, entry.value, &pfn);
    return !(used & VMI__FRAME_KINDS) || vmi__frame_kind(pfn) & used ||
           vmi__found(finding, "the entry names a page that is no table of the next kind", "frame",
                      pfn, "entry", entry.at);
}

VMI__ADDRESS_TAKEN bool vmi__check_top_directory_not_shared(const struct vmi__call *call,
                                                            struct vmi__finding *finding)
{
#ifndef __x86_64__
    uintptr_t pfn = vmi__argument(call, 0), directory;
    uint64_t top;

    if (!(vmi__argument(call, 1) & VMI_PAGE_PDP) || pfn >= vmi__boot.linear_pages)
        return true;
    top = ((const volatile uint64_t *)vmi__frame_address(pfn))[3];
    directory = (uintptr_t)(top >> VMI__FRAME_SHIFT) & 0xfffffu;
    if (!(top & 1))
        return true;
    if (vmi__frame_kind(directory) & VMI__FRAME_BOOT)
        return vmi__found(finding, "entry 3 names the boot tables' directory", "root", pfn,
                          "directory", directory);
    if (vmi__frame_named_by(directory))
        return vmi__found(finding, "entry 3 names the directory of another root", "root", pfn,
                          "directory", directory);
#else
    (void)call;
    (void)finding;
#endif
    return true;
}

VMI__ADDRESS_TAKEN bool vmi__check_tree_not_loaded(const struct vmi__call *call,
                                                   struct vmi__finding *finding)
{
    uintptr_t pfn = vmi__argument(call, 0);

    for (uint32_t i = 0; i < VMI__CHECKED_CPUS; i++) {
        uintptr_t root = vmi__checked_state.cpus[i].root;

        if (pfn && (root == pfn || vmi__checked_state.cpus[i].user_root == pfn))
            return vmi__found(finding, "the page is the root that a CPU has loaded", "frame", pfn,
                              "APIC identifier", i);
    }
    return true;
}

VMI__ADDRESS_TAKEN bool vmi__check_released_top_down(const struct vmi__call *call,
                                                     struct vmi__finding *finding)
{
    uintptr_t pfn = vmi__argument(call, 0);

    return no_entry(vmi__frame_named_by(pfn), pfn, "an entry of a table names the page still",
                    finding);
}

VMI__ADDRESS_TAKEN bool vmi__check_user_half_in_both_roots(const struct vmi__call *call,
                                                           struct vmi__finding *finding)
{
#ifdef __x86_64__
    uintptr_t root = vmi__argument(call, 0) >> VMI__FRAME_SHIFT,
              user = vmi__argument(call, 1) >> VMI__FRAME_SHIFT;
    const volatile uint64_t *kernels, *processes;

    if (!user || root >= vmi__boot.linear_pages || user >= vmi__boot.linear_pages)
        return true;
    kernels = (const volatile uint64_t *)vmi__frame_address(root);
    processes = (const volatile uint64_t *)vmi__frame_address(user);
    for (uint32_t i = 0; i < 256; i++)
        if ((kernels[i] | processes[i]) & 1 && (kernels[i] ^ processes[i]) >> VMI__FRAME_SHIFT)
            return vmi__found(finding, "the roots differ in the processes' half", "index", i,
                              "kernel's entry", kernels[i]);
#else
    (void)call;
    (void)finding;
#endif
    return true;
}
