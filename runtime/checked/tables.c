/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "tables.h"

#include "descriptors.h"
#include "frames.h"
#include "mapping.h"

#define TABLES_MOST 32

static struct vmi__table tables[TABLES_MOST];
static uint32_t used;

uint32_t vmi__table_of_pages(uintptr_t pfn)
{
    uint32_t kind = vmi__frame_kind(pfn);

    return kind & VMI__FRAME_BOOT ? 0 : kind;
}

struct vmi__table *vmi__table_on(uintptr_t pfn)
{
    for (uint32_t i = 0; i < used; i++)
        if (tables[i].cpus && pfn - tables[i].pfn < tables[i].pages)
            return &tables[i];
    return 0;
}

bool vmi__table_closed(uintptr_t pfn)
{
    return vmi__table_of_pages(pfn) || vmi__table_on(pfn);
}

void vmi__table_renew(uintptr_t pfn)
{
    vmi__checked_let(pfn, !vmi__table_closed(pfn));
}

static void renew_all(const struct vmi__table *table)
{
    for (uintptr_t i = 0; i < table->pages; i++)
        vmi__table_renew(table->pfn + i);
}

void vmi__tables_forget(enum vmi__table_kind kind)
{
    for (uint32_t i = 0; i < used; i++)
        if (tables[i].kind == kind && tables[i].cpus)
            vmi__table_forget(&tables[i]);
}

void vmi__table_forget(struct vmi__table *table)
{
    table->cpus = 0;
    renew_all(table);
}

/* The place of a table, or of one that is free; 0 if there is none. */
static struct vmi__table *place_of(enum vmi__table_kind kind, uintptr_t base, uintptr_t bytes)
{
    struct vmi__table *found = 0;

    for (uint32_t i = 0; i < used; i++) {
        struct vmi__table *table = &tables[i];

        if (!table->cpus)
            found = table;
        else if (table->kind == kind && table->base == base && table->bytes == bytes)
            return table;
    }
    return found || used == TABLES_MOST ? found : &tables[used++];
}

static bool can_be_watched(const struct vmi__call *call, uintptr_t base, uintptr_t bytes)
{
    uintptr_t stack = (uintptr_t)call->frame >> VMI__FRAME_SHIFT;

    return base && !(base & 0xfff) && vmi__checked_is_mapped(base) &&
           vmi__checked_frame_at(base) != VMI__FRAME_NONE &&
           (stack < base >> VMI__FRAME_SHIFT || stack > (base + bytes - 1) >> VMI__FRAME_SHIFT);
}

void vmi__table_loaded(const struct vmi__call *call, enum vmi__table_kind kind, uintptr_t base,
                       uintptr_t bytes)
{
    uint64_t cpu = 1ull << call->cpu;
    struct vmi__table *table;

    for (uint32_t i = 0; i < used && kind != VMI__TABLE_IDT; i++) {
        if (tables[i].kind != kind || !(tables[i].cpus & cpu))
            continue;
        if (tables[i].base == base && tables[i].bytes == bytes)
            return;
        tables[i].cpus &= ~cpu;
        if (!tables[i].cpus)
            renew_all(&tables[i]);
    }
    if (!can_be_watched(call, base, bytes))
        return;
    table = place_of(kind, base, bytes);
    if (!table)
        return;
    if (kind != VMI__TABLE_IDT)
        vmi__table_accessed(base, bytes);
    table->kind = kind;
    table->base = base;
    table->bytes = bytes;
    table->pfn = vmi__checked_frame_at(base);
    table->pages = (bytes + 0xfff) >> VMI__FRAME_SHIFT;
    table->cpus |= cpu;
    renew_all(table);
}

void vmi__table_accessed(uintptr_t descriptors, uintptr_t bytes)
{
    volatile uint64_t *each = (volatile uint64_t *)descriptors;
    struct vmi__control control = vmi__checked_write_anything();

    for (uintptr_t i = 0; i < bytes / 8; i++)
        if (each[i] & VMI__DESCRIPTOR_PRESENT && each[i] & VMI__DESCRIPTOR_MEMORY &&
            !(each[i] & VMI__DESCRIPTOR_ACCESSED))
            each[i] |= VMI__DESCRIPTOR_ACCESSED;
    vmi__checked_as_before(control);
}
