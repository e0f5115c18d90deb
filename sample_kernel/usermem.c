/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <stddef.h>
#include <vmi/vmi.h>

#include "attempt.h"
#include "frames.h"
#include "layout.h"
#include "lock.h"
#include "paging.h"
#include "programs.h"
#include "string.h"
#include "usermem.h"
#include "x86.h"

#define USER_PAGE (PTE_PRESENT | PTE_USER)

/* A part of a process's address space. */
struct region {
    uintptr_t start, end;
    bool writable;
    bool text; /* filled from the program; else from zeroes */
};

static const struct region regions[] = {
    {USER_TEXT, USER_TEXT + USER_TEXT_PAGES *PAGE_SIZE, .writable = false, .text = true},
    {USER_DATA, USER_DATA + USER_DATA_PAGES *PAGE_SIZE, .writable = true},
    {USER_STACK_TOP - USER_STACK_PAGES * PAGE_SIZE, USER_STACK_TOP, .writable = true},
};

static uint32_t copied_pages;

uint32_t usermem_copied_pages(void)
{
    return __atomic_load_n(&copied_pages, __ATOMIC_RELAXED);
}

static const struct region *region_of(uintptr_t address)
{
    for (unsigned i = 0; i < sizeof(regions) / sizeof(regions[0]); i++)
        if (address >= regions[i].start && address < regions[i].end)
            return &regions[i];
    return NULL;
}

/* The first access to a page: a frame of zeroes, or of the program's text. */
static bool fill(struct aspace *aspace, const struct program *program, const struct region *region,
                 uintptr_t page, uint64_t *entry)
{
    uint32_t pfn = frame_allocate_zeroed();
    if (pfn == FRAME_NONE)
        return false;
    if (region->text) {
        uint32_t size = (uint32_t)(program->image_end - program->image);
        uint32_t offset = (uint32_t)(page - region->start);
        if (offset >= size) {
            frame_release(pfn);
            return false;
        }
        uint32_t rest = size - offset;
        memcpy(frame_address(pfn), program->image + offset, rest < PAGE_SIZE ? rest : PAGE_SIZE);
    }
    pte_write(aspace, entry, page,
              pte_value(pfn, USER_PAGE | (region->writable ? PTE_WRITE : 0) |
                                 (region->text ? 0 : pte_no_execute)));
    return true;
}

/* The same where there is no table yet: both entries may go to a hypervisor in one piece. */
static bool fill_new_table(struct aspace *aspace, const struct program *program,
                           const struct region *region, uintptr_t page)
{
    uint32_t flags = interrupts_mask(); /* a thread in a lazy mode is not to be preempted */
    vmi_set_lazy_mode(VMI_LAZY_MMU);
    uint64_t *entry = aspace_entry(aspace, page, true);
    bool filled = entry != NULL && fill(aspace, program, region, page, entry);
    vmi_set_lazy_mode(VMI_LAZY_NONE);
    interrupts_restore(flags);
    return filled;
}

/* A write to a page that is mapped read-only because it is, or was, shared. */
static bool copy_on_write(struct aspace *aspace, uintptr_t page, uint64_t *entry)
{
    uint32_t shared = pte_frame(pte_read(entry));
    uint32_t own = shared;

    if (frame_references(shared) > 1) {
        own = frame_allocate();
        if (own == FRAME_NONE)
            return false;
        memcpy(frame_address(own), frame_address(shared), PAGE_SIZE);
        __atomic_add_fetch(&copied_pages, 1, __ATOMIC_RELAXED);
    }
    pte_write(aspace, entry, page, pte_value(own, USER_PAGE | PTE_WRITE | pte_no_execute));
    vmi_inval_page(page);
    if (own != shared)
        frame_release(shared);
    return true;
}

bool usermem_fault(struct aspace *aspace, const struct program *program, uintptr_t address,
                   uint32_t error)
{
    const struct region *region = region_of(address);
    uintptr_t page = address & ~(uintptr_t)(PAGE_SIZE - 1);

    if (region == NULL || (error & FAULT_WRITE && !region->writable))
        return false;
    uint64_t *entry = aspace_entry(aspace, page, false);
    if (entry == NULL)
        return fill_new_table(aspace, program, region, page);
    if (!(pte_read(entry) & PTE_PRESENT))
        return fill(aspace, program, region, page, entry);
    if (error & FAULT_WRITE && error & FAULT_PRESENT)
        return copy_on_write(aspace, page, entry);
    return false;
}

struct fork {
    struct aspace *parent, *child;
    bool failed;
};

static void share(uintptr_t page, uint64_t *entry, void *context)
{
    struct fork *fork = context;
    uint64_t whole = pte_read(entry);
    uint32_t pfn = pte_frame(whole);
    uint64_t value = pte_value(pfn, USER_PAGE | (whole & PTE_NO_EXECUTE));
    uint64_t *copy = fork->failed ? NULL : aspace_entry(fork->child, page, true);

    if (copy == NULL) {
        fork->failed = true;
        return;
    }
    frame_share(pfn);
    pte_write(fork->parent, entry, page, value);
    pte_write(fork->child, copy, page, value);
}

bool usermem_fork(struct aspace *parent, struct aspace *child)
{
    struct fork fork = {.parent = parent, .child = child};

    aspace_visit(parent, share, &fork);
    vmi_flush_tlb(VMI_FLUSH_TLB);
    return !fork.failed;
}

struct copy {
    void *to;
    const void *from;
    uint32_t size;
};

/* A fault in between ends the access with it: trap handlers begin without (entry.S). */
static void FROM_ASSEMBLY copy_bytes(void *argument)
{
    const struct copy *copy = argument;
    vmi_begin_user_access();
    memcpy(copy->to, copy->from, copy->size);
    vmi_end_user_access();
}

/* A fault on the way is resolved as if the process had made it, or else ends the attempt. */
static bool copy(void *to, const void *from, uint32_t size, uintptr_t user)
{
    struct copy copy = {.to = to, .from = from, .size = size};
    return user < USER_END && size <= USER_END - user && attempt(copy_bytes, &copy, NULL);
}

bool usermem_read(void *to, uintptr_t from, uint32_t size)
{
    return copy(to, (const void *)(uintptr_t)from, size, from);
}

bool usermem_write(uintptr_t to, const void *from, uint32_t size)
{
    return copy((void *)(uintptr_t)to, from, size, to);
}
