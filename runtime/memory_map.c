/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The memory map: claims of all comers, flattened into sorted ranges without overlap.
 */
#include "runtime.h"

#define CLAIMS_MAX 128
#define RANGES_MAX (2 * CLAIMS_MAX)

struct claim {
    uint64_t base, end; /* end is exclusive; a claim up to 2^64 is refused */
    uint32_t kind;
};

static struct claim claims[CLAIMS_MAX];
static uint32_t claims_count;
static struct vmi_memory_range ranges[RANGES_MAX];

/*
 * Of two claims to the same byte, the one of higher rank holds. Kinds that nobody defined are as
 * good as reserved.
 */
static uint32_t rank(uint32_t kind)
{
    switch (kind) {
    case VMI_MEMORY_USABLE:
        return 1;
    case VMI_MEMORY_ACPI:
        return 2;
    case VMI_MEMORY_NVS:
        return 3;
    case VMI_MEMORY_UNUSABLE:
        return 5;
    case VMI_MEMORY_BOOT:
        return 6;
    case VMI_MEMORY_MODULE:
        return 7;
    case VMI_MEMORY_LIBRARY:
        return 8;
    case VMI_MEMORY_IMAGE:
        return 9;
    default:
        return 4;
    }
}

const char *vmi__memory_add(uint64_t base, uint64_t size, uint32_t kind)
{
    struct claim *claim = &claims[claims_count];

    if (size == 0)
        return 0;
    if (base + size < base)
        return "a range of the memory map wraps around the end of memory";
    if (claims_count == CLAIMS_MAX)
        return "the memory map has more ranges than can be held";
    claim->base = base;
    claim->end = base + size;
    claim->kind = rank(kind) == rank(VMI_MEMORY_RESERVED) ? VMI_MEMORY_RESERVED : kind;
    if (kind == VMI_MEMORY_USABLE) {
        claim->base = (claim->base + 0xfff) & ~0xfffull;
        claim->end &= ~0xfffull;
        if (claim->base >= claim->end)
            return 0;
    }
    claims_count++;
    return 0;
}

/*
 * Kind that holds at an address (0 if nobody claims it), and in *next the next address at which
 * that may change.
 */
static uint32_t kind_at(uint64_t address, uint64_t *next)
{
    uint32_t kind = 0, i;

    *next = UINT64_MAX;
    for (i = 0; i < claims_count; i++) {
        const struct claim *claim = &claims[i];

        if (claim->base > address) {
            if (claim->base < *next)
                *next = claim->base;
        } else if (claim->end > address) {
            if (claim->end < *next)
                *next = claim->end;
            if (!kind || rank(claim->kind) > rank(kind))
                kind = claim->kind;
        }
    }
    return kind;
}

/* Appends a range, joined to the one before it if that is of its kind and touches it. */
static void append(uint64_t base, uint64_t end, uint32_t kind)
{
    uint32_t *count = &vmi__boot.memory_count;
    struct vmi_memory_range *last = *count ? &ranges[*count - 1] : 0;

    if (kind == VMI_MEMORY_USABLE) {
        /* A claim that is not whole pages may have cut it. */
        base = (base + 0xfff) & ~0xfffull;
        end &= ~0xfffull;
        if (base >= end)
            return;
    }
    if (last && last->kind == kind && last->base + last->size == base) {
        last->size += end - base;
        return;
    }
    ranges[*count].base = base;
    ranges[*count].size = end - base;
    ranges[*count].kind = kind;
    ranges[*count].reserved = 0;
    (*count)++;
}

const char *vmi__memory_publish(void)
{
    uint64_t address, next;
    uint32_t kind;

    vmi__boot.memory = ranges;
    vmi__boot.memory_count = 0;
    /* n claims have 2n boundaries, hence fewer than 2n ranges. */
    for (address = 0; address != UINT64_MAX; address = next) {
        kind = kind_at(address, &next);
        if (kind)
            append(address, next, kind);
    }
    return vmi__boot.memory_count ? 0 : "the loader gave no memory map";
}

bool vmi__memory_is(uint64_t base, uint64_t size, uint32_t kind)
{
    uint32_t i;

    for (i = 0; i < vmi__boot.memory_count; i++) {
        const struct vmi_memory_range *range = &vmi__boot.memory[i];

        if (base >= range->base && base - range->base < range->size)
            return range->kind == kind && size <= range->size - (base - range->base);
    }
    return false;
}

uint32_t vmi__memory_claim(uint32_t size, uint32_t limit)
{
    uint32_t i;

    size = (size + 0xfff) & ~0xfffu;
    for (i = vmi__boot.memory_count; i-- > 0;) {
        const struct vmi_memory_range *range = &vmi__boot.memory[i];
        uint64_t end = range->base + range->size;

        if (range->kind != VMI_MEMORY_USABLE || range->base >= limit)
            continue;
        if (end > limit)
            end = limit & ~0xfffu;
        if (end < range->base + size || end == size)
            continue;
        if (vmi__memory_add(end - size, size, VMI_MEMORY_LIBRARY) || vmi__memory_publish())
            return 0;
        return (uint32_t)(end - size);
    }
    return 0;
}
