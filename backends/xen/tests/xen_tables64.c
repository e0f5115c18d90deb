/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * How the image is mapped on x86-64, and whether memory can be without execution, as a Linux
 * process: this file plays Xen, which has the machine frame MFN(pfn) for each of the domain.
 */
#include "xen/builder.h"

#include "backends/plain_memory.h"
#include "backends/played.h"

/* The domain's own CPUID is an invalid opcode in a process. */
static uint32_t edx_of_cpuid __attribute__((used));
#undef XEN_CPUID
#define XEN_CPUID "mov edx_of_cpuid(%%rip), %%edx\n    xor %%ebx, %%ebx"

#include "xen/arch/x86_64/tables.c"

#define MFN(pfn) ((pfn) + 0x1000)

/* Of the image, in pages: code from FIRST on, then constants, then what is written. */
#define FIRST     256
#define TEXT      3
#define CONSTANTS 2
#define DATA      4

/* Where the tables of the image will be, and the root: pages of the domain's from POOL on. */
#define POOL  0x300
#define PAGES 16

static uint64_t memory[PAGES][VMI__XEN_TABLE_ENTRIES] __attribute__((aligned(4096)));
static uint64_t directories[VMI__XEN_TABLE_ENTRIES];
static xen_pfn_t frames[POOL + PAGES];

struct vmi_boot_info vmi__boot;
struct vmi__kernel vmi__kernel;
struct vmi__xen_memory vmi__xen_memory;
struct vmi__xen_pool vmi__xen_pools[VMI__XEN_POOL_REST + 1];
struct vmi__xen_devices vmi__xen_devices;

static struct {
    uint32_t count, updated;
    uintptr_t start, pages, first;
} xen;

HYPERCALL intptr_t vmi__xen_hypercall_mmu_update(const void *requests, uint32_t count, void *done,
                                                 uint32_t domain)
{
    (void)requests, (void)done;
    EXPECT(domain == DOMID_SELF);
    xen.count++;
    xen.updated = count;
    return 0;
}

uintptr_t vmi__xen_mfn(uintptr_t pfn)
{
    return MFN(pfn);
}

void vmi__xen_image_mapping(uintptr_t linear, uintptr_t pages, uintptr_t pfn)
{
    xen.start = linear;
    xen.pages = pages;
    xen.first = pfn;
}

void vmi__fatal(const char *reason)
{
    put(reason);
    for (;;)
        call(SYS_EXIT, 1, 0, 0);
}

static const char *page_of_the_image(uint32_t number)
{
    return (const char *)VMI__IMAGE_BASE + ((uintptr_t)number << VMI__PAGE_SHIFT);
}

/* Maps the image; returns the first page table of it. The root is the last page. */
static const uint64_t *map_it(bool unbound)
{
    memset(memory, 0, sizeof(memory));
    memset(&xen, 0, sizeof(xen));
    for (uint32_t i = 0; i < POOL + PAGES; i++)
        frames[i] = MFN(i);
    vmi__boot.linear_base = (uintptr_t)memory - ((uintptr_t)POOL << VMI__PAGE_SHIFT);
    vmi__xen_memory.p2m = frames;
    vmi__xen_memory.no_execute = VMI__PTE_NO_EXECUTE;
    vmi__xen_pools[VMI__XEN_POOL_REST] = (struct vmi__xen_pool){POOL, POOL, POOL + PAGES - 1};
    map.directories = directories;
    vmi__kernel.image_start = page_of_the_image(FIRST);
    vmi__kernel.text_end = page_of_the_image(FIRST + TEXT);
    vmi__kernel.rodata_end = page_of_the_image(FIRST + TEXT + CONSTANTS);
    vmi__kernel.image_end = page_of_the_image(FIRST + TEXT + CONSTANTS + DATA);
    vmi__kernel.unbound = unbound;
    map_image(memory[PAGES - 1]);
    EXPECT(xen.count == 1);
    return memory[1];
}

static void each_page_has_its_protection(void)
{
    const uint64_t *table = map_it(false);

    for (uint32_t i = 0; i < VMI__XEN_TABLE_ENTRIES; i++) {
        bool mapped = i >= FIRST && i < FIRST + TEXT + CONSTANTS + DATA;
        uint64_t entry = table[i];

        EXPECT(!(entry & VMI__PTE_PRESENT) == !mapped);
        if (!mapped)
            continue;
        EXPECT((entry & VMI__PTE_FRAME) >> VMI__PAGE_SHIFT == MFN(i));
        EXPECT(!(entry & VMI__PTE_WRITE) == (i < FIRST + TEXT + CONSTANTS));
        EXPECT(!(entry & VMI__PTE_NO_EXECUTE) == (i < FIRST + TEXT));
    }
    EXPECT(xen.start == (uintptr_t)page_of_the_image(FIRST) && xen.first == FIRST &&
           xen.pages == TEXT + CONSTANTS + DATA);
}

/* Code that is still to be bound is written, constants are not. */
static void code_is_written_until_it_is_bound(void)
{
    const uint64_t *table = map_it(true);

    for (uint32_t i = FIRST; i < FIRST + TEXT + CONSTANTS; i++)
        EXPECT(!(table[i] & VMI__PTE_WRITE) == (i >= FIRST + TEXT));
}

/* Xen refuses a table that is mapped to be written. Pages of one update each, and two roots'
 * entries. */
static void tables_are_only_read_before_they_are_named(void)
{
    map_it(false);
    EXPECT(xen.updated == 3 + 2);
    for (uint32_t i = 0; i < 3; i++) {
        EXPECT(updates[i].val >> VMI__PAGE_SHIFT << VMI__PAGE_SHIFT ==
               (VMI__PTE_NO_EXECUTE | (uint64_t)MFN(POOL + i) << VMI__PAGE_SHIFT));
        EXPECT(updates[i].val & VMI__PTE_PRESENT && !(updates[i].val & VMI__PTE_WRITE));
    }
    EXPECT((updates[3].val & VMI__PTE_FRAME) >> VMI__PAGE_SHIFT == MFN(POOL));
    EXPECT((updates[4].val & VMI__PTE_FRAME) >> VMI__PAGE_SHIFT == MFN(POOL + 2));
}

static void memory_is_without_execution_where_the_processor_can(void)
{
    edx_of_cpuid = ~CPUID_NX;
    EXPECT(no_execute() == 0);
    edx_of_cpuid = CPUID_NX;
    EXPECT(no_execute() == VMI__PTE_NO_EXECUTE);
}

static const struct played_check checks[] = {
    CHECK(each_page_has_its_protection),
    CHECK(code_is_written_until_it_is_bound),
    CHECK(tables_are_only_read_before_they_are_named),
    CHECK(memory_is_without_execution_where_the_processor_can),
};

PLAY(checks)
