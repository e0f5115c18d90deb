/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The builder's tables on x86-64 (xen/xen.h, "Start-of-day memory layout"). They map the image and
 * what the builder has put behind it, and by a note the list of frames (entry.S). All memory is
 * mapped beside that, in pages, by three hypercalls whatever its size:
 *
 *   1. tables of the frames in which most of the page tables will lie, and the way to them;
 *   2. these page tables, which can be filled now;
 *   3. the image alone, by its protections, in place of all that the builder has mapped with it,
 *      and the first table of the device window.
 */
#include "../../builder.h"

#include <xen/memory.h>

#define ROOT_SHIFT    39
#define POINTER_SHIFT 30
#define LARGE_SHIFT   21

#define CPUID_EXTENDED_1 0x80000001u
#define CPUID_NX         (1u << 20)

#define INDEX(address, shift) ((address) >> (shift) & (VMI__XEN_TABLE_ENTRIES - 1))

/* Frames [start, end). */
struct range {
    uintptr_t start, end;
};

/*
 * The map of all memory. Page tables number `near` and the next few are the first hypercall's,
 * those that map the others among them; these lie in frames from `far` on.
 */
static struct {
    uint64_t *pointers, *directories, *near;
    uintptr_t tables, near_first, near_count, far;
    /* The builder's tables, the list of frames, the tables below; code and constants. */
    struct range read_only[4];
} map;

static struct mmu_update updates[VMI__XEN_TABLE_ENTRIES];

const char *vmi__xen_take_list(const struct start_info *info)
{
    uintptr_t pages = vmi__xen_pages_of(info->nr_pages * sizeof(xen_pfn_t));

    if (info->mfn_list == VMI__XEN_P2M_BASE) {
        if (info->nr_p2m_frames < pages || info->first_p2m_pfn >= info->nr_pages ||
            info->nr_p2m_frames > info->nr_pages - info->first_p2m_pfn)
            return "Xen's start_info does not say where its list of frames is";
    } else if (!vmi__xen_behind_image(info->mfn_list, info->nr_pages * sizeof(xen_pfn_t)) ||
               info->mfn_list & (VMI__PAGE_SIZE - 1)) {
        return "Xen's start_info has no list of frames";
    }
    vmi__xen_memory.p2m = (xen_pfn_t *)info->mfn_list;
    vmi__xen_memory.pages = info->nr_pages;
    return 0;
}

void vmi__xen_start_translation(void)
{
    struct xen_machphys_mapping mapping = {0};
    uintptr_t entries;

    if (vmi__xen_hypercall_memory_op(XENMEM_machphys_mapping, &mapping) < 0)
        vmi__fatal("Xen does not say where its tables are");
    if (mapping.v_start < MACH2PHYS_VIRT_START || mapping.v_start >= mapping.v_end ||
        mapping.v_end > HYPERVISOR_VIRT_END || mapping.v_start & (sizeof(xen_pfn_t) - 1))
        vmi__fatal("Xen's list of frames is not where a guest's part of it is");
    entries = (mapping.v_end - mapping.v_start) / sizeof(xen_pfn_t);
    vmi__xen_memory.m2p = (const xen_pfn_t *)mapping.v_start;
    vmi__xen_memory.m2p_last = mapping.max_mfn < entries ? mapping.max_mfn : entries - 1;
    vmi__boot.virtual_end = VMI__DEVICE_BASE;
}

/* ---- the builder's tables ---- */

/* The table that a present entry of a tree names; its frame is the domain's and mapped. */
static uint64_t *table_of(uint64_t entry)
{
    uintptr_t pfn = vmi__xen_pfn((entry & VMI__PTE_FRAME) >> VMI__PAGE_SHIFT);

    if (pfn >= vmi__xen_memory.linear_pages)
        vmi__fatal("the domain builder's page tables are not the domain's");
    return vmi__linear(pfn << VMI__PAGE_SHIFT);
}

/* Machine address of an entry of a table that another entry names. */
static uint64_t entry_in(uint64_t table, uintptr_t index)
{
    return (table & VMI__PTE_FRAME) + index * sizeof(uint64_t);
}

/* What the builder's page tables hold for one of its addresses, and where; 0 if nothing. */
static uint64_t builders_entry(const uint64_t *root, uintptr_t address, uint64_t *where)
{
    uint64_t entry = root[INDEX(address, ROOT_SHIFT)];

    for (uint32_t shift = POINTER_SHIFT; entry & VMI__PTE_PRESENT; shift -= VMI__XEN_TABLE_BITS) {
        uintptr_t index = INDEX(address, shift);

        *where = entry_in(entry, index);
        entry = table_of(entry)[index];
        if (shift == VMI__PAGE_SHIFT)
            break;
    }
    return entry & VMI__PTE_PRESENT ? entry : 0;
}

/* ---- all memory ---- */

static bool is_read_only(uintptr_t pfn)
{
    for (uint32_t i = 0; i < sizeof(map.read_only) / sizeof(map.read_only[0]); i++)
        if (pfn >= map.read_only[i].start && pfn < map.read_only[i].end)
            return true;
    return false;
}

static void fill(uint64_t *table, uintptr_t number)
{
    for (uintptr_t i = 0; i < VMI__XEN_TABLE_ENTRIES; i++) {
        uintptr_t pfn = number * VMI__XEN_TABLE_ENTRIES + i;
        uintptr_t mfn =
            pfn < vmi__xen_memory.linear_pages ? vmi__xen_memory.p2m[pfn] : VMI__XEN_NO_FRAME;

        table[i] = 0;
        if (mfn != VMI__XEN_NO_FRAME)
            table[i] =
                (uint64_t)mfn << VMI__PAGE_SHIFT | VMI__XEN_ENTRY | vmi__xen_memory.no_execute;
        if (is_read_only(pfn))
            table[i] &= ~(uint64_t)VMI__PTE_WRITE;
    }
}

static uint64_t machine_of(const void *page)
{
    return (uint64_t)vmi__xen_mfn(vmi__physical(page) >> VMI__PAGE_SHIFT) << VMI__PAGE_SHIFT;
}

static uint64_t naming(const void *table)
{
    return machine_of(table) | VMI__XEN_ENTRY;
}

static void carry_out(const struct mmu_update *list, uintptr_t count)
{
    if (count && vmi__xen_hypercall_mmu_update(list, (uint32_t)count, 0, DOMID_SELF) < 0)
        vmi__fatal("Xen refuses page tables for the linear region");
}

static uintptr_t parts(uintptr_t count)
{
    return (count + VMI__XEN_TABLE_ENTRIES - 1) / VMI__XEN_TABLE_ENTRIES;
}

/* The list of the second hypercall lies behind the tables that it is about: two updates for each.
 */
static uintptr_t list_pages(void)
{
    return vmi__xen_pages_of(2 * map.tables * sizeof(struct mmu_update));
}

/* The tables of the first hypercall, which are in pages that the builder has mapped. */
static void begin(const struct start_info *info)
{
    const uint64_t *root = (const uint64_t *)info->pt_base;
    uintptr_t directories, pointers, own;
    uint32_t count = 0;
    uint64_t where;

    map.tables = parts(vmi__xen_memory.linear_pages);
    directories = parts(map.tables);
    pointers = parts(directories);
    map.near_first = map.far / VMI__XEN_TABLE_ENTRIES;
    map.near_count = parts(map.far + map.tables + list_pages()) - map.near_first;
    if (map.near_first + map.near_count > map.tables)
        vmi__fatal("too little memory for page tables of all of it");
    own = pointers + directories + map.near_count;
    if (own + pointers > sizeof(updates) / sizeof(updates[0]))
        vmi__fatal("more memory than the first tables can have");
    map.pointers = vmi__xen_take_pages(own);
    map.directories = map.pointers + pointers * VMI__XEN_TABLE_ENTRIES;
    map.near = map.directories + directories * VMI__XEN_TABLE_ENTRIES;
    map.read_only[2].start = vmi__physical(map.pointers) >> VMI__PAGE_SHIFT;
    map.read_only[2].end = map.read_only[2].start + own;

    for (uintptr_t i = 0; i < map.near_count; i++) {
        uint64_t *table = map.near + i * VMI__XEN_TABLE_ENTRIES;

        fill(table, map.near_first + i);
        map.directories[map.near_first + i] = naming(table);
    }
    for (uintptr_t i = 0; i < directories; i++)
        map.pointers[i] = naming(map.directories + i * VMI__XEN_TABLE_ENTRIES);
    for (uintptr_t i = 0; i < own; i++) {
        const uint64_t *table = map.pointers + i * VMI__XEN_TABLE_ENTRIES;
        uint64_t entry = builders_entry(root, (uintptr_t)table, &where);

        updates[count].ptr = where;
        updates[count++].val = entry & ~(uint64_t)VMI__PTE_WRITE;
    }
    for (uintptr_t i = 0; i < pointers; i++) {
        updates[count].ptr =
            machine_of(root) + (INDEX(VMI__LINEAR_BASE, ROOT_SHIFT) + i) * sizeof(uint64_t);
        updates[count++].val = naming(map.pointers + i * VMI__XEN_TABLE_ENTRIES);
    }
    carry_out(updates, count);
}

/* Machine address of the entry of the map of all memory for a frame. */
static uint64_t entry_for(uintptr_t pfn)
{
    return entry_in(map.directories[pfn / VMI__XEN_TABLE_ENTRIES], pfn % VMI__XEN_TABLE_ENTRIES);
}

static void read_only_update(struct mmu_update *update, uintptr_t pfn)
{
    update->ptr = entry_for(pfn);
    update->val = ((uint64_t)vmi__xen_memory.p2m[pfn] << VMI__PAGE_SHIFT | VMI__XEN_ENTRY |
                   vmi__xen_memory.no_execute) &
                  ~(uint64_t)VMI__PTE_WRITE;
}

/* All other page tables; returns the first frame behind them. */
static uintptr_t complete(void)
{
    struct mmu_update *list = vmi__linear((map.far + map.tables) << VMI__PAGE_SHIFT);
    uintptr_t at = map.far, count = 0;

    for (uintptr_t number = 0; number < map.tables; number++) {
        uint64_t *table;

        if (number - map.near_first < map.near_count)
            continue;
        table = vmi__linear(at << VMI__PAGE_SHIFT);
        fill(table, number);
        read_only_update(&list[count++], at++);
        list[count].ptr = entry_in(map.pointers[number / VMI__XEN_TABLE_ENTRIES],
                                   number % VMI__XEN_TABLE_ENTRIES);
        list[count++].val = naming(table);
    }
    carry_out(list, count);
    return at;
}

/* ---- the image ---- */

/*
 * The image by its protections: code, then what is only read, then what is written. And an empty
 * table of pointers for the device window.
 */
static void map_image(const uint64_t *root)
{
    uintptr_t address = (uintptr_t)vmi__kernel.image_start, end = (uintptr_t)vmi__kernel.image_end;
    uintptr_t blocks = (end - VMI__IMAGE_BASE + (1ul << LARGE_SHIFT) - 1) >> LARGE_SHIFT;
    /* Frames that the builder's tables do not map writable. */
    struct vmi__xen_pool *pool = &vmi__xen_pools[VMI__XEN_POOL_REST];
    uint64_t *directory = vmi__linear(pool->next << VMI__PAGE_SHIFT),
             *tables = directory + VMI__XEN_TABLE_ENTRIES,
             *devices = tables + blocks * VMI__XEN_TABLE_ENTRIES;
    uintptr_t own = 2 + blocks;
    uint32_t count = 0;

    if (pool->end - pool->next < own || own + 2 > sizeof(updates) / sizeof(updates[0]))
        vmi__fatal("too little memory for page tables of the image");
    pool->next += own;
    memset(directory, 0, own << VMI__PAGE_SHIFT);

    for (; address < end; address += VMI__PAGE_SIZE) {
        uint64_t entry = machine_of((const void *)address) | VMI__XEN_ENTRY;

        if (address < (uintptr_t)vmi__kernel.rodata_end &&
            !(vmi__kernel.unbound && address < (uintptr_t)vmi__kernel.text_end))
            entry &= ~(uint64_t)VMI__PTE_WRITE;
        if (address >= (uintptr_t)vmi__kernel.text_end)
            entry |= vmi__xen_memory.no_execute;
        tables[(address - VMI__IMAGE_BASE) >> VMI__PAGE_SHIFT] = entry;
    }
    for (uintptr_t i = 0; i < blocks; i++)
        directory[i] = naming(tables + i * VMI__XEN_TABLE_ENTRIES);
    for (uintptr_t i = 0; i < own; i++)
        read_only_update(&updates[count++], (vmi__physical(directory) >> VMI__PAGE_SHIFT) + i);
    updates[count].ptr =
        entry_in(root[INDEX(VMI__IMAGE_BASE, ROOT_SHIFT)], INDEX(VMI__IMAGE_BASE, POINTER_SHIFT));
    updates[count++].val = naming(directory);
    updates[count].ptr = machine_of(root) + INDEX(VMI__DEVICE_BASE, ROOT_SHIFT) * sizeof(uint64_t);
    updates[count++].val = naming(devices);
    carry_out(updates, count);
    vmi__xen_devices = (struct vmi__xen_devices){VMI__DEVICE_BASE, VMI__DEVICE_SIZE, devices};
    vmi__xen_image_mapping((uintptr_t)vmi__kernel.image_start,
                           (end - (uintptr_t)vmi__kernel.image_start) >> VMI__PAGE_SHIFT,
                           vmi__physical(vmi__kernel.image_start) >> VMI__PAGE_SHIFT);
}

/* ---- together ---- */

/* Notes what kind of table each page of the tables is. They stay for good. */
static void mark_tables(const uint64_t *table, uint32_t kind)
{
    for (uint32_t i = 0; i < VMI__XEN_TABLE_ENTRIES; i++) {
        const uint64_t *below;

        if (!(table[i] & VMI__PTE_PRESENT) ||
            (kind & VMI_PAGE_PML4 && i >= VMI__XEN_SLOTS_START && i < VMI__XEN_SLOTS_END))
            continue;
        below = table_of(table[i]);
        vmi__xen_mark(below, kind >> 1 | VMI__XEN_SHARED);
        if (kind > VMI_PAGE_PD)
            mark_tables(below, kind >> 1);
    }
}

/* Without execution where the processor can; asked as this domain is to see it. */
static uint64_t no_execute(void)
{
    uint32_t eax = CPUID_EXTENDED_1, ebx, ecx = 0, edx;

    __asm__(XEN_CPUID : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return edx & CPUID_NX ? VMI__PTE_NO_EXECUTE : 0;
}

void vmi__xen_start_tables(const struct start_info *info)
{
    const uint64_t *root = (const uint64_t *)info->pt_base;
    struct vmi__xen_pool *pools = vmi__xen_pools;
    bool apart = info->mfn_list == VMI__XEN_P2M_BASE;
    uintptr_t mapped = vmi__xen_builder.end;
    uint64_t where;

    while (mapped < vmi__xen_memory.linear_pages &&
           builders_entry(root, VMI__IMAGE_BASE + (mapped << VMI__PAGE_SHIFT), &where))
        mapped++;
    pools[VMI__XEN_POOL_LOW].end = vmi__physical(vmi__kernel.image_start) >> VMI__PAGE_SHIFT;
    pools[VMI__XEN_POOL_BUILDER] =
        (struct vmi__xen_pool){vmi__xen_builder.end, vmi__xen_builder.end, mapped};
    vmi__xen_memory.no_execute = no_execute();
    map.read_only[3].start = vmi__physical(vmi__kernel.image_start) >> VMI__PAGE_SHIFT;
    map.read_only[3].end = vmi__physical(vmi__kernel.rodata_end) >> VMI__PAGE_SHIFT;
    map.read_only[0].start = vmi__xen_builders(info->pt_base);
    map.read_only[0].end = map.read_only[0].start + info->nr_pt_frames;
    map.far = mapped;
    if (apart) {
        map.read_only[1].start = info->first_p2m_pfn;
        map.read_only[1].end = info->first_p2m_pfn + info->nr_p2m_frames;
        if (map.read_only[1].start < mapped)
            vmi__fatal("Xen's list of frames is not behind what the domain builder has mapped");
        map.far = map.read_only[1].end;
    }
    pools[VMI__XEN_POOL_REST].start = apart ? map.read_only[1].start : map.far;

    begin(info);
    vmi__boot.linear_base = VMI__LINEAR_BASE;
    pools[VMI__XEN_POOL_REST].next = complete();
    root = vmi__linear(vmi__physical(root));
    map.pointers = vmi__linear(vmi__physical(map.pointers));
    map.directories = vmi__linear(vmi__physical(map.directories));
    pools[VMI__XEN_POOL_REST].end = vmi__xen_memory.linear_pages;
    if (!apart)
        vmi__xen_memory.p2m = vmi__linear(vmi__physical(vmi__xen_memory.p2m));
    map_image(root);

    vmi__xen_memory.boot_cr3 = vmi__physical(root);
    vmi__boot.boot_cr3 = vmi__physical(root);
    vmi__xen_memory.state = vmi__xen_take_pages(
        vmi__xen_pages_of(vmi__xen_memory.linear_pages * sizeof(vmi__xen_memory.state[0])));
    vmi__xen_mark(root, VMI_PAGE_PML4 | VMI__XEN_PINNED);
    mark_tables(root, VMI_PAGE_PML4);
}
