/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "memory.h"

#include "print.h"

#define PAGE 4096u

static uintptr_t linear_base;
static uint64_t first, end; /* what is left, guest-physical */

/* Of the usable ranges the largest, as far as it is mapped. */
void memory_begin(const struct vmi_boot_info *boot)
{
    const uint64_t mapped = (uint64_t)boot->linear_pages * PAGE;

    linear_base = boot->linear_base;
    for (uint32_t i = 0; i < boot->memory_count; i++) {
        const struct vmi_memory_range *range = &boot->memory[i];
        uint64_t last = range->base + range->size;

        if (last > mapped)
            last = mapped;
        if (range->kind != VMI_MEMORY_USABLE || range->base >= last ||
            last - range->base <= end - first)
            continue;
        first = range->base;
        end = last;
    }
}

/* From the end, where no device has a limit that a PC's first megabytes would be needed for. */
void *memory_take(uint32_t size, uint32_t alignment, uint64_t limit)
{
    uint64_t top = limit && limit < end ? limit : end;
    uint64_t bytes = ((uint64_t)size + PAGE - 1) & ~(uint64_t)(PAGE - 1);

    if (alignment < PAGE)
        alignment = PAGE;
    if (top < first || top - first < bytes || ((top - bytes) & ~(uint64_t)(alignment - 1)) < first)
        stop(VMI_STATUS_FAIL, "there is too little memory");
    end = (top - bytes) & ~(uint64_t)(alignment - 1);
    return (void *)(linear_base + (uintptr_t)end);
}

uint64_t memory_physical(const void *memory)
{
    return (uintptr_t)memory - linear_base;
}
