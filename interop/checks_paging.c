/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Checks of page-table and TLB calls, 32-bit entries or PAE by the build.
 */
#include "checks.h"

#define PRESENT_WRITE 0x3u
#define TABLE_FLAGS   0x7u /* present, writable, user */
#define PAGE_MASK     0xfffu

#define TABLE_MASK ((1u << TABLE_SHIFT) - 1)

/* Linear addresses that only these checks use. */
#define PLACE 0x00800000u

static void set_entry(pxe *entry, pxe value, uint32_t flags)
{
    uint32_t where = (uint32_t)(uintptr_t)entry;

#if CLIENT_PAE
    client_call_stack(CALL_SET_PXE_LONG, (uint32_t)value, (uint32_t)(value >> 32), where, flags, 0);
#else
    client_call(CALL_SET_PXE, value, where, flags);
#endif
}

static void update_entry(pxe *entry, uint32_t flags)
{
    client_call(CLIENT_PAE ? CALL_UPDATE_PXE_LONG : CALL_UPDATE_PXE, (uint32_t)(uintptr_t)entry,
                flags, 0);
}

static void allocate(const void *table, uint32_t flags)
{
    client_call_stack(CALL_ALLOCATE_PAGE, client_physical(table) >> 12, flags | PAGE_KIND_WIDTH, 0,
                      0, 0);
}

/* A table's address out of the entry that names it. */
static pxe *table_of(pxe entry)
{
    return client_linear((uint32_t)entry & ~PAGE_MASK);
}

static pxe *new_table(pxe *entry, uint32_t kind, pxe flags)
{
    pxe *table = client_page();

    allocate(table, kind | PAGE_ZEROED);
    set_entry(entry, client_physical(table) | flags,
              kind == PAGE_KIND_PT ? PAGE_KIND_PD : PAGE_KIND_PDP);
    /* A PDPT is read when CR3 is loaded (Intel SDM vol. 3A, 4.4.1). */
    if (kind == PAGE_KIND_PD)
        client_call(CALL_SET_CR3, client_physical(client_root), 0, 0);
    return table;
}

pxe *client_pxe_of(uint32_t address)
{
    pxe *entry;

#if CLIENT_PAE
    entry = &client_root[address >> 30];
    if (!(*entry & 1))
        new_table(entry, PAGE_KIND_PD, 1);
    entry = &table_of(*entry)[address >> 21 & TABLE_MASK];
#else
    entry = &client_root[address >> 22];
#endif
    if (!(*entry & 1))
        new_table(entry, PAGE_KIND_PT, TABLE_FLAGS);
    return &table_of(*entry)[address >> 12 & TABLE_MASK];
}

void client_map(uint32_t address, uint32_t value)
{
    set_entry(client_pxe_of(address), value, PAGE_KIND_PT | PXE_CURRENT_AS | address);
}

/* A page that holds a number. */
static uint32_t *numbered(uint32_t number)
{
    uint32_t *page = client_page();

    *page = number;
    return page;
}

#define AT(address) (*(volatile uint32_t *)(uintptr_t)(address))

const char *check_set_pxe(void)
{
    uint32_t *first = numbered(0x11111111), *second = numbered(0x22222222);
    pxe *entry = client_pxe_of(PLACE);

    set_entry(entry, client_physical(first) | PRESENT_WRITE, PAGE_KIND_PT);
    REQUIRE(AT(PLACE) == 0x11111111, "the page is not there");
    REQUIRE((*entry & ~(pxe)0x60) == (client_physical(first) | PRESENT_WRITE),
            "the entry reads back as another");
    AT(PLACE) = 0x33333333;
    REQUIRE(*first == 0x33333333, "it is another page");

    set_entry(entry, client_physical(second) | PRESENT_WRITE,
              PAGE_KIND_PT | PXE_CURRENT_AS | PLACE);
    client_call(CALL_INVAL_PAGE, PLACE, 0, 0);
    REQUIRE(AT(PLACE) == 0x22222222, "InvalPage leaves the old translation");

    set_entry(entry, client_physical(first) | PRESENT_WRITE,
              PAGE_KIND_PT | PXE_DEFER | PXE_CURRENT_AS | PLACE);
    client_call(CALL_FLUSH_TLB, FLUSH_TLB, 0, 0);
    REQUIRE(AT(PLACE) == 0x33333333, "FlushTLB leaves a deferred update or the old translation");
    return 0;
}

/* Reads an address that may fault; false if it does. */
static bool readable(uint32_t address)
{
    uint32_t faults = client_page_faults;

    client_expected_vector = 14;
    __asm__ volatile("movl $1f, %0; mov (%1), %%eax; 1: movl $0, %0"
                     : "=m"(client_expected_resume)
                     : "r"(address)
                     : "eax", "memory");
    return client_page_faults == faults;
}

const char *check_absent(void)
{
    pxe *entry = client_pxe_of(PLACE);

    set_entry(entry, client_physical(numbered(1)) | PRESENT_WRITE, PAGE_KIND_PT);
    client_call(CALL_INVAL_PAGE, PLACE, 0, 0);
    REQUIRE(readable(PLACE), "a page that was mapped is absent");
    set_entry(entry, 0, PAGE_KIND_PT);
    client_call(CALL_INVAL_PAGE, PLACE, 0, 0);
    REQUIRE(!readable(PLACE), "a page that was unmapped is there");
    REQUIRE((uint32_t)client_call(CALL_GET_CR2, 0, 0, 0) == PLACE,
            "GetCR2 does not tell the address of the fault");
    return 0;
}

const char *check_update_pxe(void)
{
    uint32_t *page = numbered(0x44444444);
    pxe *entry = client_pxe_of(PLACE + 4096);

    /* The kernel stores by itself and tells. */
    *(volatile pxe *)entry = client_physical(page) | PRESENT_WRITE;
    update_entry(entry, PAGE_KIND_PT | PXE_CURRENT_AS | (PLACE + 4096));
    client_call(CALL_INVAL_PAGE, PLACE + 4096, 0, 0);
    REQUIRE(AT(PLACE + 4096) == 0x44444444, "the page is not there");
    return 0;
}

const char *check_flush_global(void)
{
    uint32_t *first = numbered(0x55555555), *second = numbered(0x66666666), cr4;
    pxe *entry = client_pxe_of(PLACE + 2 * 4096);
    uint32_t edx = (uint32_t)(client_call(CALL_CPUID, 1, 0, 0) >> 32), seen;

    if (!(edx & 1u << 13))
        return SKIP "the processor has no global pages";
    cr4 = (uint32_t)client_call(CALL_GET_CR4, 0, 0, 0);
    client_call(CALL_SET_CR4, cr4 | 0x80, 0, 0);
    set_entry(entry, client_physical(first) | PRESENT_WRITE | 0x100, PAGE_KIND_PT);
    seen = AT(PLACE + 2 * 4096);
    set_entry(entry, client_physical(second) | PRESENT_WRITE | 0x100, PAGE_KIND_PT);
    client_call(CALL_FLUSH_TLB, FLUSH_TLB | FLUSH_GLOBAL, 0, 0);
    REQUIRE(seen == 0x55555555 && AT(PLACE + 2 * 4096) == 0x66666666,
            "a global translation outlives FlushTLB");
    REQUIRE(((uint32_t)client_call(CALL_GET_CR4, 0, 0, 0) & 0x80), "FlushTLB has changed CR4");
    client_call(CALL_SET_CR4, cr4, 0, 0);
    return 0;
}

const char *check_clone(void)
{
    uint32_t frame, i;
    pxe *root = client_page();

#if CLIENT_PAE
    pxe *top = client_page();

    for (i = 0; i < 512; i++)
        top[i] = client_directory[i];
    frame = client_physical(top) >> 12;
    client_call_stack(CALL_ALLOCATE_PAGE, frame, PAGE_KIND_PD | PAGE_KIND_PAE | PAGE_CLONE,
                      client_physical(client_directory) >> 12, 0, 512);
    allocate(root, PAGE_KIND_PDP | PAGE_ZEROED);
    set_entry(&root[3], client_physical(top) | 1, PAGE_KIND_PDP);
#else
    for (i = 0; i < 1024; i++)
        root[i] = i < LINEAR_BASE >> 22 ? 0 : client_root[i];
    frame = client_physical(root) >> 12;
    client_call_stack(CALL_ALLOCATE_PAGE, frame, PAGE_KIND_PD | PAGE_CLONE,
                      client_physical(client_root) >> 12, LINEAR_BASE >> 22, 256);
#endif
    (void)client_pxe_of(PLACE);
    client_call(CALL_SET_CR3, client_physical(root), 0, 0);
    REQUIRE((uint32_t)client_call(CALL_GET_CR3, 0, 0, 0) == client_physical(root),
            "GetCR3 does not tell the new root");
    REQUIRE(!readable(PLACE + 4096), "a new address space has the pages of the old one");
    client_call(CALL_SET_CR3, client_physical(client_root), 0, 0);
    REQUIRE(readable(PLACE + 4096), "the first address space has lost a page");
#if CLIENT_PAE
    client_call(CALL_RELEASE_PAGE, client_physical(root) >> 12, PAGE_KIND_PDP | PAGE_KIND_PAE, 0);
#endif
    client_call(CALL_RELEASE_PAGE, frame, PAGE_KIND_PD | PAGE_KIND_WIDTH, 0);
    root[0] = 0x12345;
    REQUIRE(root[0] == 0x12345, "a released page cannot be written");
    return 0;
}

const char *check_translation(void)
{
    uint32_t entry = client_physical(client_root) | 0x67;
    uint64_t machine = client_call(CALL_PHYSICAL_TO_MACHINE, entry, 0x80000000, 0), back;

    REQUIRE((machine & PAGE_MASK) == 0x67, "PhysicalToMachine changes bits below the frame");
    back = client_call(CALL_MACHINE_TO_PHYSICAL, (uint32_t)machine, (uint32_t)(machine >> 32), 0);
    REQUIRE(back == (0x8000000000000000ull | entry), "the way there and back ends elsewhere");
    return 0;
}

const char *check_linear_mapping(void)
{
    uint32_t *page = numbered(0x77777777);

    /* All memory, as a kernel does first; then a window of one page, and it is gone again. */
    client_call_stack(CALL_SET_LINEAR_MAPPING, 0, LINEAR_BASE, LINEAR_SIZE >> 12, 0, 0);
    client_map(PLACE + 3 * 4096, client_physical(page) | PRESENT_WRITE);
    client_call_stack(CALL_SET_LINEAR_MAPPING, 1, PLACE + 3 * 4096, 1, client_physical(page) >> 12,
                      0);
    REQUIRE(AT(PLACE + 3 * 4096) == 0x77777777, "the window shows another page");
    client_call_stack(CALL_SET_LINEAR_MAPPING, 1, 0, 0, 0, 0);
    return 0;
}

const char *check_lazy(void)
{
    uint32_t number, i;

    client_call(CALL_SET_LAZY_MODE, LAZY_MMU, 0, 0);
    for (i = 4; i < 12; i++)
        client_map(PLACE + i * 4096, client_physical(numbered(i)) | PRESENT_WRITE);
    client_call(CALL_SET_LAZY_MODE, LAZY_NONE, 0, 0);
    for (i = 4; i < 12; i++) {
        number = AT(PLACE + i * 4096);
        REQUIRE(number == i, "a page is not there when lazy mode is left");
    }
    client_call(CALL_SET_LAZY_MODE, LAZY_CPU, 0, 0);
    client_call(CALL_SET_CR3, client_physical(client_root), 0, 0);
    client_call(CALL_UPDATE_KERNEL_STACK, KERNEL_DS, client_tss[1], 0);
    client_call(CALL_SET_LAZY_MODE, LAZY_NONE, 0, 0);
    REQUIRE((uint32_t)client_call(CALL_GET_CR3, 0, 0, 0) == client_physical(client_root),
            "CR3 is another when lazy mode is left");
    return 0;
}
