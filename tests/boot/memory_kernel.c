/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A kernel that touches a few pages all over its memory: the ends of every usable range and places
 * in it, and for each such place below 4 GiB those that differ from it in one address bit. It maps
 * them by tables of its own, puts into each where it is, and looks whether all is there afterwards.
 */
#include <vmi/vmi.h>

#define PAGE      4096u
#define ENTRIES   512u
#define PRESENT   1u
#define WRITABLE  2u
#define FOUR_GIB  (1ull << 32)
#define PARTS     8u
#define ADDRESSES 52 /* bits of a page-table entry's address */
#define ROOT      1  /* entry of the top table, which nothing uses */

#ifdef __x86_64__
#define LEVELS 4
#define WINDOW 0x8000000000ull
#else
#define LEVELS 3
#define WINDOW 0x40000000u
#endif

static const struct vmi_boot_info *info;
static uint64_t places[ENTRIES];
static uint32_t count;
static uint64_t tables; /* guest-physical address of the first of them */

static void print(const char *text)
{
    uint32_t length = 0;

    while (text[length])
        length++;
    vmi_console_write(text, length);
}

static void print_number(const char *before, uint64_t number)
{
    char text[17] = {0};
    uint32_t i;

    for (i = 0; i < 16; i++)
        text[i] = "0123456789abcdef"[number >> (60 - 4 * i) & 15];
    print(before);
    print(text);
}

static void __attribute__((noreturn)) end(const char *text, uint64_t at)
{
    print_number(text, at);
    print("\r\n");
    vmi_shutdown_reason(VMI_SHUTDOWN_CRASH, VMI_STATUS_FAIL);
    __builtin_unreachable();
}

static uint64_t *linear(uint64_t physical)
{
    return (uint64_t *)((uintptr_t)info->linear_base + (uintptr_t)physical);
}

static void write_entry(uint64_t *entry, uint64_t value, uint32_t kind)
{
#ifdef __x86_64__
    vmi_set_pxe_long(value, entry, kind);
#else
    vmi_set_pxe_long((uint32_t)value, (uint32_t)(value >> 32), entry, kind);
#endif
}

/* Whether a page is the kernel's to use. */
static int usable(uint64_t page)
{
    uint32_t i;

    if (page >= tables && page - tables < LEVELS * PAGE)
        return 0;
    for (i = 0; i < info->memory_count; i++) {
        const struct vmi_memory_range *range = &info->memory[i];

        if (range->kind == VMI_MEMORY_USABLE && page >= range->base &&
            page - range->base < range->size)
            return 1;
    }
    return 0;
}

static void add(uint64_t page)
{
    uint32_t i;

    if (count == ENTRIES || !usable(page))
        return;
    for (i = 0; i < count; i++)
        if (places[i] == page)
            return;
    places[count++] = page;
}

/* Takes pages for the tables in the part that is mapped, off the end of a range. */
static void take_tables(void)
{
    uint64_t most = (uint64_t)info->linear_pages * PAGE;
    uint32_t i, j;

    for (i = 0; i < info->memory_count && !tables; i++) {
        const struct vmi_memory_range *range = &info->memory[i];

        if (range->kind == VMI_MEMORY_USABLE && range->size >= 1u << 20 &&
            range->base + (1u << 20) <= most)
            tables = range->base + (1u << 19);
    }
    if (!tables)
        end("no place for tables ", most);
    for (j = 0; j < LEVELS * PAGE / 8; j++)
        linear(tables)[j] = 0;
}

static void choose(void)
{
    uint32_t i, part, low, bit;

    for (i = 0; i < info->memory_count; i++) {
        const struct vmi_memory_range *range = &info->memory[i];

        if (range->kind != VMI_MEMORY_USABLE)
            continue;
        print_number("usable ", range->base);
        print_number(" ", range->base + range->size);
        print("\r\n");
        for (part = 0; part < PARTS; part++)
            add((range->base + (range->size >> 3) * part) & ~(uint64_t)(PAGE - 1));
        add(range->base + range->size - PAGE);
    }
    low = count;
    for (i = 0; i < low; i++)
        for (bit = 12; bit < ADDRESSES; bit++)
            if (places[i] < FOUR_GIB)
                add(places[i] ^ 1ull << bit);
}

/* One table of each level below the top one; the last one has the places. */
static void map(void)
{
    static const uint32_t kinds[] = {VMI_PAGE_PT, VMI_PAGE_PD, VMI_PAGE_PDP, VMI_PAGE_PML4};
    uint64_t *entry = linear(info->boot_cr3 & ~31u) + ROOT;
    uint64_t table = tables;
    uint32_t level, i;

    if (*entry & PRESENT)
        end("the window is in use: ", *entry);
    for (level = LEVELS - 1; level; level--, table += PAGE) {
        vmi_allocate_page((uint32_t)(table / PAGE), kinds[level - 1], 0, 0, 0);
        /* PAE's topmost entries have no bit for writing. */
        write_entry(entry, table | PRESENT | (level == 2 && LEVELS == 3 ? 0 : WRITABLE),
                    kinds[level]);
        entry = linear(table);
    }
    for (i = 0; i < count; i++)
        write_entry(entry + i, places[i] | PRESENT | WRITABLE, VMI_PAGE_PT);
#ifdef __x86_64__
    vmi_set_cr3(info->boot_cr3, 0);
#else
    vmi_set_cr3(info->boot_cr3);
#endif
}

void kernel_main(const struct vmi_boot_info *boot)
{
    volatile uint64_t *window = (volatile uint64_t *)(uintptr_t)WINDOW;
    uint64_t highest = 0;
    uint32_t i;

    info = boot;
    take_tables();
    choose();
    map();
    for (i = 0; i < count; i++) {
        window[i * (PAGE / 8)] = places[i];
        window[i * (PAGE / 8) + PAGE / 8 - 1] = ~places[i];
        if (places[i] > highest)
            highest = places[i];
    }
    for (i = 0; i < count; i++)
        if (window[i * (PAGE / 8)] != places[i] ||
            window[i * (PAGE / 8) + PAGE / 8 - 1] != ~places[i])
            end("another page is there as well: ", places[i]);
    print_number("pages ", count);
    print_number(" highest ", highest);
    print("\r\n");
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS);
}
