/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "frames.h"

#define PRESENT     0x001u
#define WRITE       0x002u
#define LARGE_PAGE  0x080u
#define FRAME_BITS  0x000ffffffffff000ull
#define TABLE_BYTES 4096u
#define MAPPINGS    4

#ifdef __x86_64__
#define ROOT VMI_PAGE_PML4
#else
#define ROOT VMI_PAGE_PDP
#endif

static uint8_t kinds[VMI__FRAMES];
static uint16_t writable[VMI__FRAMES], named[VMI__FRAMES];

static struct {
    uintptr_t address, pages, pfn;
} linear[MAPPINGS];

static uintptr_t frame_of(uint64_t value)
{
    return (uintptr_t)((value & FRAME_BITS) >> VMI__FRAME_SHIFT);
}

static bool is_watched(uintptr_t pfn)
{
    return pfn < VMI__FRAMES && pfn < vmi__boot.linear_pages;
}

uint32_t vmi__frame_kind(uintptr_t pfn)
{
    return is_watched(pfn) ? kinds[pfn] : 0;
}

uintptr_t vmi__frame_at(uintptr_t address)
{
    uintptr_t page = (address - vmi__boot.linear_base) >> VMI__FRAME_SHIFT;

    if (address >= vmi__boot.linear_base && page < vmi__boot.linear_pages)
        return page;
    for (uint32_t i = 0; i < MAPPINGS; i++) {
        page = (address - linear[i].address) >> VMI__FRAME_SHIFT;
        if (address >= linear[i].address && page < linear[i].pages)
            return linear[i].pfn + page;
    }
    return VMI__FRAME_NONE;
}

void vmi__frames_linear(uint32_t slot, uintptr_t address, uintptr_t pages, uintptr_t pfn)
{
    if (slot >= MAPPINGS)
        return;
    linear[slot].address = address;
    linear[slot].pages = pages;
    linear[slot].pfn = pfn;
}

/* Bytes of a table that hold entries. */
static uint32_t bytes_of(uint32_t kind)
{
    return kind & VMI_PAGE_PDP && ROOT == VMI_PAGE_PDP ? 32 : TABLE_BYTES;
}

static uint64_t entry_at(uintptr_t entry, bool wide)
{
    return wide ? *(const volatile uint64_t *)entry : *(const volatile uint32_t *)entry;
}

/*
 * Which count of a frame an entry of a table of that kind is part of, or 0. A mapping at the place
 * in its page table that the linear mapping has for the frame is taken for one of the linear
 * mapping's, which a kernel may write itself.
 */
static uint16_t *count_of(uint32_t kind, uint64_t value, uintptr_t entry)
{
    uintptr_t pfn = frame_of(value), bytes = kind & VMI_PAGE_PAE ? 8 : 4;
    uintptr_t entries = TABLE_BYTES / bytes;

    if (!(value & PRESENT) || !is_watched(pfn))
        return 0;
    if (!(kind & VMI_PAGE_PT))
        return value & LARGE_PAGE ? 0 : &named[pfn];
    if (((vmi__boot.linear_base >> VMI__FRAME_SHIFT) + pfn) % entries == entry / bytes % entries)
        return 0;
    return value & WRITE ? &writable[pfn] : 0;
}

static void count(uint32_t kind, uint64_t value, uintptr_t entry, int by)
{
    uint16_t *counted = count_of(kind, value, entry);

    if (counted && (by > 0 ? *counted < UINT16_MAX : *counted > 0))
        *counted = (uint16_t)(*counted + by);
}

static void count_all(uintptr_t pfn, int by)
{
    uint32_t kind = kinds[pfn], step = kind & VMI_PAGE_PAE ? 8 : 4;

    for (uint32_t at = 0; at < bytes_of(kind); at += step)
        count(kind, entry_at(vmi__frame_address(pfn) + at, step == 8), at, by);
}

void vmi__frames_allocate(uintptr_t pfn, uint32_t flags)
{
    if (!is_watched(pfn))
        return;
    kinds[pfn] = (uint8_t)(flags & (VMI__FRAME_KINDS | VMI_PAGE_PAE));
    count_all(pfn, 1);
}

void vmi__frames_release(uintptr_t pfn)
{
    if (!is_watched(pfn) || !kinds[pfn])
        return;
    count_all(pfn, -1);
    kinds[pfn] = 0;
}

/* The kind of the kernel's table that an entry is in, or 0. */
static uint32_t table_of(uintptr_t entry)
{
    uint32_t kind = vmi__frame_kind(vmi__frame_at(entry));

    return kind & VMI__FRAME_BOOT ? 0 : kind;
}

uint32_t vmi__frame_used_as(uintptr_t entry, uint64_t value, uintptr_t *pfn)
{
    uint32_t kind = table_of(entry);

    if (!kind || !count_of(kind, value, entry))
        return 0;
    *pfn = frame_of(value);
    return kind & VMI_PAGE_PT ? VMI__FRAME_WRITABLE : (kind & VMI__FRAME_KINDS) >> 1;
}

void vmi__frames_entry(uintptr_t entry, uint32_t bytes, uint64_t value)
{
    uint32_t kind = table_of(entry);

    if (!kind)
        return;
    count(kind, entry_at(entry, bytes == 8), entry, -1);
    count(kind, value, entry, 1);
}

void vmi__frames_entry_written(uintptr_t entry, uint32_t bytes)
{
    uint32_t kind = table_of(entry);

    if (kind)
        count(kind, entry_at(entry, bytes == 8), entry, 1);
}

/*
 * The counts are too high where entries were written in place. So an entry is looked for, and the
 * count is right again if there is none.
 */
static uintptr_t found_by(uint16_t *counted, uintptr_t pfn, uint32_t of)
{
    if (!*counted)
        return 0;
    for (uintptr_t table = 0; table < VMI__FRAMES; table++) {
        uint32_t kind = kinds[table], step = kind & VMI_PAGE_PAE ? 8 : 4;

        if (!(kind & of) || kind & VMI__FRAME_BOOT)
            continue;
        for (uint32_t at = 0; at < bytes_of(kind); at += step) {
            uint64_t value = entry_at(vmi__frame_address(table) + at, step == 8);

            if (frame_of(value) == pfn && count_of(kind, value, at) == counted)
                return vmi__frame_address(table) + at;
        }
    }
    *counted = 0;
    return 0;
}

uintptr_t vmi__frame_writable_by(uintptr_t pfn)
{
    return is_watched(pfn) ? found_by(&writable[pfn], pfn, VMI_PAGE_PT) : 0;
}

uintptr_t vmi__frame_named_by(uintptr_t pfn)
{
    return is_watched(pfn) ? found_by(&named[pfn], pfn, VMI__FRAME_KINDS & ~VMI_PAGE_PT) : 0;
}

/* A table of the boot tables, and what is below it. */
static void look(uintptr_t pfn, uint32_t kind)
{
    if (!is_watched(pfn) || kinds[pfn])
        return;
    kinds[pfn] = (uint8_t)(kind | VMI_PAGE_PAE | VMI__FRAME_BOOT);
    if (kind == VMI_PAGE_PT)
        return;
    for (uint32_t at = 0; at < bytes_of(kind); at += 8) {
        uint64_t value = entry_at(vmi__frame_address(pfn) + at, true);

        if (value & PRESENT && !(value & LARGE_PAGE))
            look(frame_of(value), kind >> 1);
    }
}

void vmi__frames_start(void)
{
    look(vmi__boot.boot_cr3 >> VMI__FRAME_SHIFT, ROOT);
}
