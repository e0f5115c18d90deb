/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Two address spaces by PAE, on hardware and on every hypervisor: the page tables that docs/pae.md
 * walks through. There are no interrupts, so nothing preempts the lazy mode.
 */
#include <stdbool.h>
#include <stdint.h>
#include <vmi/vmi.h>

#define PAGE_SIZE  4096u
#define ENTRIES    512u
#define FRAME      0x000ffffffffff000ull
#define PRESENT    0x001u
#define WRITE      0x002u
#define USER       0x004u
#define KERNEL     3u          /* the root's entry for the top GiB */
#define USER_PAGE  0x00400000u /* where both spaces have a page of their own */
#define TABLE_BITS (PRESENT | WRITE | USER)

static const struct vmi_boot_info *boot;
static uint32_t next, end; /* frames of the largest usable range that are left */

static void print(const char *text)
{
    uint32_t length = 0;

    while (text[length] != 0)
        length++;
    vmi_console_write(text, length);
}

static void stop(const char *text, uint32_t status)
{
    print(text);
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, status);
}

/* ---- frames ---------------------------------------------------------------------------------- */

static uint64_t *table(uint32_t pfn)
{
    return (uint64_t *)(uintptr_t)(boot->linear_base + pfn * PAGE_SIZE);
}

static void find_frames(void)
{
    for (uint32_t i = 0; i < boot->memory_count; i++) {
        const struct vmi_memory_range *range = &boot->memory[i];
        uint64_t first = (range->base + PAGE_SIZE - 1) >> 12;
        uint64_t last = (range->base + range->size) >> 12;

        if (range->kind != VMI_MEMORY_USABLE)
            continue;
        if (last > boot->linear_pages)
            last = boot->linear_pages;
        if (last > first && last - first > end - next) {
            next = (uint32_t)first;
            end = (uint32_t)last;
        }
    }
}

static uint32_t take_frame(void)
{
    if (next == end)
        stop("no memory\r\n", VMI_STATUS_FAIL);
    for (uint32_t i = 0; i < ENTRIES; i++)
        table(next)[i] = 0;
    return next++;
}

/* ---- entries --------------------------------------------------------------------------------- */

/* What is read back may hold a machine frame. */
static uint32_t frame_in(const volatile uint64_t *entry)
{
    return (uint32_t)((vmi_machine_to_physical(*entry) & FRAME) >> 12);
}

/* Writes an entry; `kind` is that of the table it lies in. */
static void set(uint32_t pfn, uint32_t index, uint32_t frame, uint32_t bits, uint32_t kind)
{
    uint64_t value = (uint64_t)frame << 12 | bits;

    vmi_set_pxe_long((uint32_t)value, (uint32_t)(value >> 32), &table(pfn)[index], kind);
}

static uint32_t new_table(uint32_t kind)
{
    uint32_t pfn = take_frame();

    vmi_allocate_page(pfn, kind | VMI_PAGE_PAE | VMI_PAGE_ZEROED, 0, 0, 0);
    return pfn;
}

/* ---- address spaces -------------------------------------------------------------------------- */

/* A directory for the top GiB of one space, with what the boot tables map there. */
static uint32_t new_top(void)
{
    uint32_t from = frame_in(&table(boot->boot_cr3 >> 12)[KERNEL]);
    uint32_t top = take_frame();

    for (uint32_t i = 0; i < ENTRIES; i++)
        table(top)[i] = table(from)[i];
    vmi_allocate_page(top, VMI_PAGE_PD | VMI_PAGE_PAE | VMI_PAGE_CLONE, from, 0, ENTRIES);
    return top;
}

struct space {
    uint32_t root, top, directory, pages, page;
};

/* A space with the kernel, and one page of its own at USER_PAGE. */
static struct space create(uint32_t mark)
{
    struct space space;

    /* All tables first. */
    space.root = new_table(VMI_PAGE_PDP);
    space.top = new_top();
    space.directory = new_table(VMI_PAGE_PD);
    space.pages = new_table(VMI_PAGE_PT);
    space.page = take_frame();
    *(uint32_t *)(void *)table(space.page) = mark;

    /* Then what they map, gathered. */
    vmi_set_lazy_mode(VMI_LAZY_MMU);
    set(space.pages, USER_PAGE >> 12 & (ENTRIES - 1), space.page, TABLE_BITS, VMI_PAGE_PT);
    set(space.directory, USER_PAGE >> 21, space.pages, TABLE_BITS, VMI_PAGE_PD);
    set(space.root, 0, space.directory, PRESENT, VMI_PAGE_PDP);
    set(space.root, KERNEL, space.top, PRESENT, VMI_PAGE_PDP);
    vmi_set_lazy_mode(VMI_LAZY_NONE);
    return space;
}

/* Nobody has the space loaded. From the root down. */
static void destroy(const struct space *space)
{
    vmi_release_page(space->root, VMI_PAGE_PDP | VMI_PAGE_PAE);
    vmi_release_page(space->top, VMI_PAGE_PD | VMI_PAGE_PAE);
    vmi_release_page(space->directory, VMI_PAGE_PD | VMI_PAGE_PAE);
    vmi_release_page(space->pages, VMI_PAGE_PT | VMI_PAGE_PAE);
}

/* A frame that was a table is plain memory again: it holds what is stored there. */
static bool usable_again(uint32_t pfn)
{
    volatile uint64_t *word = table(pfn);

    *word = 0x5eed;
    return *word == 0x5eed;
}

void kernel_main(const struct vmi_boot_info *info)
{
    const volatile uint32_t *page = (const volatile uint32_t *)USER_PAGE;
    struct space first, second;

    boot = info;
    find_frames();
    first = create(1);
    second = create(2);

    vmi_set_cr3(first.root << 12);
    if (*page != 1)
        stop("the first space has the wrong page\r\n", VMI_STATUS_FAIL);
    vmi_set_cr3(second.root << 12);
    if (*page != 2)
        stop("the second space has the wrong page\r\n", VMI_STATUS_FAIL);

    /* The boot tables stay: they can be gone back to. */
    vmi_set_cr3(boot->boot_cr3);
    destroy(&first);
    destroy(&second);
    if (!usable_again(first.root) || !usable_again(second.pages))
        stop("a released table is not plain memory\r\n", VMI_STATUS_FAIL);
    stop("two address spaces, made and gone\r\n", VMI_STATUS_PASS);
}
