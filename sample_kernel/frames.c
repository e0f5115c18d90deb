/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <stdbool.h>

#include "frames.h"
#include "layout.h"
#include "lock.h"
#include "panic.h"
#include "string.h"
#include "x86.h"

/* References per frame; 0 is free. */
#define NOT_MEMORY UINT16_MAX
static uint16_t references[FRAMES_MAX];

static struct spinlock lock;
static uintptr_t linear_base;
static uint32_t linear_pages;
static uint32_t total, free_count;
static uint32_t hint; /* where the search begins: behind the frame that was handed out last */

void frames_init(const struct vmi_boot_info *boot)
{
    linear_base = boot->linear_base;
    linear_pages = (uint32_t)(boot->linear_pages < FRAMES_MAX ? boot->linear_pages : FRAMES_MAX);
    for (uint32_t pfn = 0; pfn < linear_pages; pfn++)
        references[pfn] = NOT_MEMORY;

    for (uint32_t i = 0; i < boot->memory_count; i++) {
        const struct vmi_memory_range *range = &boot->memory[i];
        if (range->kind != VMI_MEMORY_USABLE)
            continue;
        /* Whole frames only, and only those that the linear mapping reaches. */
        uint64_t first = (range->base + PAGE_SIZE - 1) >> PAGE_SHIFT;
        uint64_t end = (range->base + range->size) >> PAGE_SHIFT;
        if (first == FRAME_NONE)
            first++;
        for (uint64_t pfn = first; pfn < end && pfn < linear_pages; pfn++) {
            references[pfn] = 0;
            total++;
        }
    }
    free_count = total;
    if (total == 0)
        panic("no usable memory");
}

/* Takes `count` neighbouring frames, the first on a multiple of `step`. The lock is held. */
static uint32_t take(uint32_t count, uint32_t step)
{
    uintptr_t start = hint - hint % step;
    for (uint32_t searched = 0; searched < linear_pages; searched += step) {
        uint32_t pfn = start + searched;
        if (pfn >= linear_pages)
            pfn -= linear_pages - linear_pages % step;
        uint32_t available = 0;
        while (available < count && pfn + available < linear_pages &&
               references[pfn + available] == 0)
            available++;
        if (available < count)
            continue;
        for (uint32_t i = 0; i < count; i++)
            references[pfn + i] = 1;
        free_count -= count;
        hint = pfn + count < linear_pages ? pfn + count : 0;
        return pfn;
    }
    return FRAME_NONE;
}

static uint32_t take_locked(uint32_t count, uint32_t step)
{
    uint32_t flags = lock_acquire(&lock);
    uint32_t pfn = take(count, step);
    lock_release(&lock, flags);
    return pfn;
}

uint32_t frame_allocate(void)
{
    return take_locked(1, 1);
}

uint32_t frame_allocate_zeroed(void)
{
    uint32_t pfn = frame_allocate();
    if (pfn != FRAME_NONE)
        memset(frame_address(pfn), 0, PAGE_SIZE);
    return pfn;
}

uint32_t frame_allocate_pair(void)
{
    return take_locked(2, 2);
}

uint32_t frame_allocate_run(uint32_t count)
{
    return take_locked(count, 1);
}

static void check_in_use(uint32_t pfn)
{
    if (pfn >= linear_pages || references[pfn] == 0 || references[pfn] == NOT_MEMORY)
        panic("frame 0x%x is not in use", pfn);
}

void frame_share(uint32_t pfn)
{
    uint32_t flags = lock_acquire(&lock);
    check_in_use(pfn);
    references[pfn]++;
    lock_release(&lock, flags);
}

void frame_release(uint32_t pfn)
{
    uint32_t flags = lock_acquire(&lock);
    check_in_use(pfn);
    if (--references[pfn] == 0)
        free_count++;
    lock_release(&lock, flags);
}

void frame_release_run(uint32_t pfn, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        frame_release(pfn + i);
}

uint32_t frame_references(uint32_t pfn)
{
    uint32_t flags = lock_acquire(&lock);
    check_in_use(pfn);
    uint32_t count = references[pfn];
    lock_release(&lock, flags);
    return count;
}

uint32_t frames_free(void)
{
    return __atomic_load_n(&free_count, __ATOMIC_RELAXED);
}

uint32_t frames_total(void)
{
    return total;
}

void *frame_address(uint32_t pfn)
{
    return (void *)(linear_base + ((uintptr_t)pfn << PAGE_SHIFT));
}

uint32_t frame_of(const void *address)
{
    uintptr_t linear = (uintptr_t)address;

    /* The image may be mapped a second time. */
    return (uint32_t)((linear - (linear >= KERNEL_BASE ? KERNEL_BASE : linear_base)) >> PAGE_SHIFT);
}
