/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The memory map: claims of all comers, flattened into sorted ranges without overlap. Both tables
 * are here as long as the loader's map is of the usual length; for a longer one the reader of the
 * loader's structures finds them a place in memory (vmi__memory_move).
 */
#include "runtime.h"

/* Claims that the runtime and the libraries may add to those of the loader: modules, image, … */
#define CLAIMS_OWN 64
#define CLAIMS_FEW (CLAIMS_OWN + 64)

/* n claims have 2n boundaries, hence fewer than 2n ranges. */
#define RANGES(claims) (2 * (claims))

struct claim {
    uint64_t first, last; /* inclusive, for memory ends at 2^64 */
    uint32_t kind;
};

static struct claim few_claims[CLAIMS_FEW];
static struct vmi_memory_range few_ranges[RANGES(CLAIMS_FEW)];

static struct claim *claims = few_claims;
static struct vmi_memory_range *ranges = few_ranges;
static uint32_t claims_count, claims_max = CLAIMS_FEW;

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

#define RANKS 10

uint64_t vmi__memory_room(uint32_t count)
{
    uint64_t all = (uint64_t)count + CLAIMS_OWN;

    if (all <= CLAIMS_FEW)
        return 0;
    return all * sizeof(struct claim) + RANGES(all) * sizeof(struct vmi_memory_range);
}

void vmi__memory_move(void *place, uint32_t count)
{
    struct vmi_memory_range *new_ranges = place;
    struct claim *new_claims = (struct claim *)(new_ranges + RANGES(count + CLAIMS_OWN));

    memcpy(new_claims, claims, claims_count * sizeof(*claims));
    ranges = new_ranges;
    claims = new_claims;
    claims_max = count + CLAIMS_OWN;
}

/* Cuts a range to whole pages; false if none is left. */
static bool whole_pages(uint64_t *first, uint64_t *last)
{
    uint64_t page = (*first >> 12) + ((*first & 0xfff) != 0);
    uint64_t end = (*last >> 12) + ((*last & 0xfff) == 0xfff);

    *first = page << 12;
    *last = (end << 12) - 1;
    return page < end;
}

const char *vmi__memory_add(uint64_t base, uint64_t size, uint32_t kind)
{
    struct claim *claim = &claims[claims_count];
    uint64_t last = base + size - 1;

    if (size == 0)
        return 0;
    if (last < base)
        return "a range of the memory map wraps around the end of memory";
    if (kind == VMI_MEMORY_USABLE && !whole_pages(&base, &last))
        return 0;
    if (claims_count == claims_max)
        return "the memory map has more ranges than there is room for";
    claim->first = base;
    claim->last = last;
    claim->kind = rank(kind) == rank(VMI_MEMORY_RESERVED) ? VMI_MEMORY_RESERVED : kind;
    claims_count++;
    return 0;
}

/* Lets a claim sink to its place in the heap of the first `count` claims. */
static void sink(uint32_t at, uint32_t count)
{
    struct claim claim = claims[at];
    uint32_t child;

    while ((child = 2 * at + 1) < count) {
        if (child + 1 < count && claims[child + 1].first > claims[child].first)
            child++;
        if (claims[child].first <= claim.first)
            break;
        claims[at] = claims[child];
        at = child;
    }
    claims[at] = claim;
}

/* By where they begin: a heap sort, for loaders may have any number in any order. */
static void sort(void)
{
    uint32_t i;

    for (i = claims_count / 2; i-- > 0;)
        sink(i, claims_count);
    for (i = claims_count; i-- > 1;) {
        struct claim last = claims[i];

        claims[i] = claims[0];
        claims[0] = last;
        sink(0, i);
    }
}

/* Appends a range, joined to the one before it if that is of its kind and touches it. */
static void append(uint64_t first, uint64_t last, uint32_t kind)
{
    uint32_t *count = &vmi__boot.memory_count;
    struct vmi_memory_range *before = *count ? &ranges[*count - 1] : 0;

    /* A claim that is not whole pages may have cut what is usable. */
    if (kind == VMI_MEMORY_USABLE && !whole_pages(&first, &last))
        return;
    if (before && before->kind == kind && before->base + before->size == first) {
        before->size += last - first + 1;
        return;
    }
    ranges[*count].base = first;
    ranges[*count].size = last - first + 1;
    ranges[*count].kind = kind;
    ranges[*count].reserved = 0;
    (*count)++;
}

const char *vmi__memory_publish(void)
{
    /* Of each rank: the claim among those begun that lasts longest. They hold where it does. */
    const struct claim *longest[RANKS] = {0};
    uint64_t at = 0, until;
    uint32_t next = 0, i;

    sort();
    vmi__boot.memory = ranges;
    vmi__boot.memory_count = 0;
    do {
        const struct claim *holds = 0;

        for (; next < claims_count && claims[next].first <= at; next++) {
            const struct claim **of_rank = &longest[rank(claims[next].kind)];

            if (!*of_rank || (*of_rank)->last < claims[next].last)
                *of_rank = &claims[next];
        }
        until = next < claims_count ? claims[next].first - 1 : UINT64_MAX;
        for (i = 0; i < RANKS; i++) {
            if (!longest[i] || longest[i]->last < at)
                continue;
            holds = longest[i];
            if (holds->last < until)
                until = holds->last;
        }
        if (holds)
            append(at, until, holds->kind);
        at = until + 1;
    } while (at);
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

/* Lets the library's claim that begins where a range ends begin with it; false if there is none. */
static bool grow(uint64_t base, uint64_t size)
{
    uint32_t i;

    for (i = 0; i < claims_count; i++)
        if (claims[i].kind == VMI_MEMORY_LIBRARY && claims[i].first == base + size) {
            claims[i].first = base;
            return true;
        }
    return false;
}

uint32_t vmi__memory_claim(uint32_t size, uint32_t limit)
{
    uint32_t i;

    size = (size + 0xfff) & ~0xfffu;
    limit &= ~0xfffu;
    for (i = vmi__boot.memory_count; i-- > 0;) {
        const struct vmi_memory_range *range = &vmi__boot.memory[i];
        uint64_t room = limit - range->base;

        if (range->kind != VMI_MEMORY_USABLE || range->base >= limit)
            continue;
        if (room > range->size)
            room = range->size;
        if (room < size || range->base + room == size)
            continue;
        room += range->base - size;
        if ((!grow(room, size) && vmi__memory_add(room, size, VMI_MEMORY_LIBRARY)) ||
            vmi__memory_publish())
            return 0;
        return (uint32_t)room;
    }
    return 0;
}
