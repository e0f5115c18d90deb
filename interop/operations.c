/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The kernel's own routines for the operations, those that stand between an operation and a call of
 * the ROM, and the rewriting of calls.
 */
#include "operations.h"

#define CALL_RELATIVE 0xe8
#define SITE_LENGTH   6

#define REGPARM __attribute__((regparm(3)))

const void *client_operations[OPERATIONS];

/* ---- the kernel's own ---- */

/* Each ends as a C function without a frame ends. */
#define OWN(name, code)                                                                            \
    __asm__(".text; own_" #name ": " code "; ret");                                                \
    extern const char own_##name[]

OWN(irq_disable, "cli");
OWN(irq_enable, "sti");
OWN(save_flags, "pushf; pop %eax");
OWN(restore_flags, "push %eax; popf");
OWN(read_cr2, "mov %cr2, %eax");
OWN(write_cr3, "mov %eax, %cr3");
OWN(flush_all, "mov %cr3, %eax; mov %eax, %cr3");
OWN(flush_one, "invlpg (%eax)");
OWN(nothing, "");
#if CLIENT_PAE
/* eax: entry; edx, ecx: halves. */
OWN(set_pte, "mov %ecx, 4(%eax); mov %edx, (%eax)");
/* edi, ebx and ebp are kept. */
OWN(set_pte_atomic, "push %ebx; push %edi; mov %eax, %edi; mov %edx, %ebx; mov (%edi), %eax;"
                    "mov 4(%edi), %edx; 1: lock cmpxchg8b (%edi); jnz 1b; pop %edi; pop %ebx");
#else
OWN(set_pte, "mov %edx, (%eax)");
#define own_set_pte_atomic own_set_pte
#endif

/* ---- between an operation and the ROM ---- */

static const void *rom_set, *rom_update, *rom_allocate, *rom_release, *rom_flush, *rom_lazy;

/* SetPxE and SetPxELong with flags, which are the kind of table and what else is known. */
static void set(pxe *entry, pxe value, uint32_t flags)
{
#if CLIENT_PAE
    uint32_t low = (uint32_t)value, high = (uint32_t)(value >> 32);

    __asm__ volatile("push %4; call *%3; pop %4"
                     : "+a"(low), "+d"(high), "+c"(entry)
                     : "m"(rom_set), "b"(flags)
                     : "memory", "cc");
#else
    __asm__ volatile("call *%3"
                     : "+a"(value), "+d"(entry), "+c"(flags)
                     : "m"(rom_set)
                     : "memory", "cc");
#endif
}

static void call(const void *const *routine, uint32_t eax, uint32_t edx)
{
    uint32_t ecx = 0;

    __asm__ volatile("call *%3" : "+a"(eax), "+d"(edx), "+c"(ecx) : "m"(*routine) : "memory", "cc");
}

#if CLIENT_PAE
#define VALUE       uint32_t low, uint32_t high
#define VALUE_WHOLE (low | (pxe)high << 32)
#else
#define VALUE       uint32_t low
#define VALUE_WHOLE low
#endif

static REGPARM void set_pte(pxe *entry, VALUE)
{
    set(entry, VALUE_WHOLE, PAGE_KIND_PT);
}

static REGPARM void set_pte_at(pxe *entry, VALUE)
{
    set(entry, VALUE_WHOLE, PAGE_KIND_PT | PXE_CURRENT_AS);
}

static REGPARM void set_pmd(pxe *entry, VALUE)
{
    set(entry, VALUE_WHOLE, PAGE_KIND_PD);
}

static REGPARM void update(pxe *entry)
{
    call(&rom_update, (uint32_t)(uintptr_t)entry, PAGE_KIND_PT | PXE_CURRENT_AS);
}

static REGPARM void set_pte_atomic(pxe *entry, VALUE)
{
#if CLIENT_PAE
    pxe was = *entry;

    __asm__ volatile("1: lock cmpxchg8b %1; jnz 1b"
                     : "+A"(was), "+m"(*entry)
                     : "b"(low), "c"(high)
                     : "memory", "cc");
    /* Without asking whether there is such a call. */
    call(&rom_update, (uint32_t)(uintptr_t)entry, PAGE_KIND_PT);
#else
    set(entry, VALUE_WHOLE, PAGE_KIND_PT);
#endif
}

static REGPARM void allocate_pte(uint32_t frame)
{
    call(&rom_allocate, frame, PAGE_KIND_PT | PAGE_KIND_WIDTH);
}

static REGPARM void allocate_clone(uint32_t frame)
{
    call(&rom_allocate, frame, PAGE_KIND_PD | PAGE_KIND_WIDTH | PAGE_CLONE);
}

static REGPARM void release_pte(uint32_t frame)
{
    call(&rom_release, frame, PAGE_KIND_PT | PAGE_KIND_WIDTH);
}

static REGPARM void release_pmd(uint32_t frame)
{
    call(&rom_release, frame, PAGE_KIND_PD | PAGE_KIND_WIDTH);
}

static REGPARM void flush_all(void)
{
    call(&rom_flush, FLUSH_TLB, 0);
}

static REGPARM void lazy_enter(void)
{
    call(&rom_lazy, LAZY_MMU, 0);
}

static REGPARM void lazy_leave(void)
{
    call(&rom_lazy, LAZY_NONE, 0);
}

/* ---- the table ---- */

#define SET    (CLIENT_PAE ? CALL_SET_PXE_LONG : CALL_SET_PXE)
#define UPDATE (CLIENT_PAE ? CALL_UPDATE_PXE_LONG : CALL_UPDATE_PXE)

static const struct {
    const void *own;
    uint32_t inline_length; /* the instructions alone, without the return: stand at sites */
    uint32_t ordinal;
    const void *between;  /* 0: the ROM's routine itself */
    const void **routine; /* where `between` finds the ROM's routine */
    bool rewritten;       /* with a ROM too */
} operations[OPERATIONS] = {
    [IRQ_DISABLE] = {own_irq_disable, 1, CALL_DISABLE_INTERRUPTS, 0, 0, true},
    [IRQ_ENABLE] = {own_irq_enable, 1, CALL_ENABLE_INTERRUPTS, 0, 0, true},
    [SAVE_FLAGS] = {own_save_flags, 2, CALL_GET_INTERRUPT_MASK, 0, 0, true},
    [RESTORE_FLAGS] = {own_restore_flags, 2, CALL_SET_INTERRUPT_MASK, 0, 0, true},
    [READ_CR2] = {own_read_cr2, 3, CALL_GET_CR2, 0, 0, false},
    [WRITE_CR3] = {own_write_cr3, 3, CALL_SET_CR3, 0, 0, false},
    [SET_PTE] = {own_set_pte, 0, SET, set_pte, &rom_set, false},
    [SET_PTE_AT] = {own_set_pte, 0, SET, set_pte_at, &rom_set, false},
    [SET_PTE_ATOMIC] = {own_set_pte_atomic, 0, SET, set_pte_atomic, &rom_set, false},
    [SET_PMD] = {own_set_pte, 0, SET, set_pmd, &rom_set, false},
    [PTE_UPDATE] = {own_nothing, 0, UPDATE, update, &rom_update, false},
    [ALLOC_PTE] = {own_nothing, 0, CALL_ALLOCATE_PAGE, allocate_pte, &rom_allocate, false},
    [ALLOC_PMD_CLONE] = {own_nothing, 0, CALL_ALLOCATE_PAGE, allocate_clone, &rom_allocate, false},
    [RELEASE_PTE] = {own_nothing, 0, CALL_RELEASE_PAGE, release_pte, &rom_release, false},
    [RELEASE_PMD] = {own_nothing, 0, CALL_RELEASE_PAGE, release_pmd, &rom_release, false},
    [FLUSH_ALL] = {own_flush_all, 0, CALL_FLUSH_TLB, flush_all, &rom_flush, false},
    [FLUSH_ONE] = {own_flush_one, 3, CALL_INVAL_PAGE, 0, 0, false},
    [LAZY_ENTER] = {own_nothing, 0, CALL_SET_LAZY_MODE, lazy_enter, &rom_lazy, false},
    [LAZY_LEAVE] = {own_nothing, 0, CALL_SET_LAZY_MODE, lazy_leave, &rom_lazy, false},
};

/* ---- rewriting ---- */

/* One no-operation of each length (Intel SDM vol. 2B, NOP, table 4-12). */
static const uint8_t no_operations[SITE_LENGTH + 1][SITE_LENGTH] = {
    {0},
    {0x90},
    {0x66, 0x90},
    {0x0f, 0x1f, 0x00},
    {0x0f, 0x1f, 0x40, 0x00},
    {0x0f, 0x1f, 0x44, 0x00, 0x00},
    {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
};

static void write_site(uint8_t *site, const uint8_t *code, uint32_t length)
{
    uint32_t i;

    for (i = 0; i < length; i++)
        site[i] = code[i];
    for (; i < SITE_LENGTH; i++)
        site[i] = no_operations[SITE_LENGTH - length][i - length];
}

static void write_call(uint8_t *site, uint32_t target)
{
    uint8_t code[5] = {CALL_RELATIVE};
    uint32_t distance = target - ((uint32_t)(uintptr_t)site + sizeof(code)), i;

    for (i = 0; i < 4; i++)
        code[1 + i] = (uint8_t)(distance >> (8 * i));
    write_site(site, code, sizeof(code));
}

static void rewrite_without_rom(const struct operation_site *site)
{
    const void *own = operations[site->operation].own;

    if (operations[site->operation].inline_length)
        write_site(site->address, own, operations[site->operation].inline_length);
    else if (own == own_nothing)
        write_site(site->address, 0, 0);
    else
        write_call(site->address, (uint32_t)(uintptr_t)own);
}

static void rewrite_with_rom(const struct operation_site *site)
{
    struct relocation relocation =
        client_relocation(client_rom, operations[site->operation].ordinal);

    if (!operations[site->operation].rewritten)
        return;
    if (relocation.kind == RELOCATION_CALL)
        write_call(site->address, relocation.target);
    else if (relocation.kind == RELOCATION_NOP)
        write_site(site->address, 0, 0);
}

/* An operation is the ROM's only if the answer is a call. */
static void fill(uint32_t operation)
{
    struct relocation relocation = {.kind = RELOCATION_NONE};

    client_operations[operation] = operations[operation].own;
    if (client_rom)
        relocation = client_relocation(client_rom, operations[operation].ordinal);
    if (relocation.kind != RELOCATION_CALL)
        return;
    client_operations[operation] = (const void *)(uintptr_t)relocation.target;
    if (operations[operation].between) {
        *operations[operation].routine = client_operations[operation];
        client_operations[operation] = operations[operation].between;
    }
}

void client_operations_init(void)
{
    const struct operation_site *site;
    uint32_t i;

    for (i = 0; i < OPERATIONS; i++)
        fill(i);
    for (site = client_operation_sites; site < client_operation_sites_end; site++) {
        if (client_rom)
            rewrite_with_rom(site);
        else
            rewrite_without_rom(site);
    }
    __asm__ volatile("cpuid" : : "a"(0) : "ebx", "ecx", "edx", "memory");
}
