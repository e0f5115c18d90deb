/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "watch.h"

#include "../faults.h"
#include "../writable.h"
#include "frames.h"
#include "lock.h"
#include "say.h"
#include "state.h"

#define PRESENT     0x001ull
#define WRITE       0x002ull
#define LARGE_PAGE  0x080ull
#define FRAME_BITS  0x000ffffffffff000ull
#define ENTRIES     512u
#define LEVEL_BITS  9
#define LARGE_SHIFT 21
#define LARGE_BYTES ((uintptr_t)1 << LARGE_SHIFT)

#ifdef __x86_64__
#define ROOT_SHIFT 39
#define ROOT_MASK  0xfffu /* of CR3: what is not the root's address */
#else
#define ROOT_SHIFT 30
#define ROOT_MASK  0x1fu
#endif

#define VECTOR_PAGE_FAULT 14
#define GATE_WORDS        (sizeof(uintptr_t) / 2)
#define GATE_PRESENT      0x8000u
#define GATE_TYPE         0x0700u
#define GATE_TYPE_TASK    0x0500u
#define GATE_INTERRUPT    0x8e00u /* present, DPL 0 (Intel SDM vol. 3A, 6.11) */

/* Tables that were stored to, and are to be read-only again. */
#define OPENED_MOST 16

extern uintptr_t vmi__checked_fault_handlers[VMI__FAULT_HANDLERS];

uint32_t vmi__checked_opened;

static bool watching;
static uintptr_t opened[OPENED_MOST];

/* Control registers as they were. */
struct control {
    uintptr_t cr0, cr4;
};

/* A CPU that is in a call which writes to what is read-only: the call's frame, 0 for none. */
static struct {
    struct vmi__flavour_frame *frame;
    struct control control;
    uintptr_t gates; /* the table that WriteIDTEntry writes to, or 0 */
    bool interrupts; /* that were let in */
} writing[VMI__CHECKED_CPUS];

/* ---- mappings ---- */

static uintptr_t frame_of(uint64_t entry)
{
    return (uintptr_t)((entry & FRAME_BITS) >> VMI__FRAME_SHIFT);
}

/* Frames of the linear mapping that are watched. */
static uintptr_t watched_pages(void)
{
    return vmi__boot.linear_pages < VMI__FRAMES ? vmi__boot.linear_pages : VMI__FRAMES;
}

static void drop(uintptr_t address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

/*
 * The entry that maps an address in the tree of a root, as far as stores may be made there by the
 * tables above it; *shift says how much it maps. 0 if there is none.
 */
static uint64_t *mapping_of(uint64_t root, uintptr_t address, uint32_t *shift)
{
    uint64_t *table = (uint64_t *)(vmi__frame_address(frame_of(root)) + (uintptr_t)(root & 0xfff));

    *shift = ROOT_SHIFT;
    if (frame_of(root) >= vmi__boot.linear_pages)
        return 0;
    for (;; *shift -= LEVEL_BITS) {
        uint64_t *entry = &table[address >> *shift & (ENTRIES - 1)];

        if (!(*entry & PRESENT))
            return 0;
        if (*shift == VMI__FRAME_SHIFT || (*shift <= LARGE_SHIFT && *entry & LARGE_PAGE))
            return entry;
        /* The entries of a PAE root have no such bit. */
        if (!(*entry & WRITE) && *shift != 30)
            return 0;
        if (frame_of(*entry) >= vmi__boot.linear_pages)
            return 0;
        table = (uint64_t *)vmi__frame_address(frame_of(*entry));
    }
}

static uint64_t current_root(void)
{
    uintptr_t root;

    __asm__ volatile("mov %%cr3, %0" : "=r"(root));
    return root & ~(uintptr_t)ROOT_MASK;
}

/* Where the image is mapped beside the linear mapping: not on i386. */
static bool in_image(uintptr_t address)
{
#ifdef __x86_64__
    return address >= (uintptr_t)vmi__kernel.image_start &&
           address < (uintptr_t)vmi__kernel.image_end;
#else
    (void)address;
    return false;
#endif
}

/* The entry of the boot tables that maps a page of 4 KiB there, 0 if there is none. */
static uint64_t *own_mapping(uintptr_t address)
{
    uint32_t shift;
    uint64_t *entry;

    if ((address - vmi__boot.linear_base) >> VMI__FRAME_SHIFT >= watched_pages() &&
        !in_image(address))
        return 0;
    entry = mapping_of(vmi__boot.boot_cr3, address, &shift);
    return shift == VMI__FRAME_SHIFT ? entry : 0;
}

/* Halves, because the processor may set bits of the entry meanwhile. */
static void set_writable(uintptr_t address, bool may)
{
    uint32_t *entry = (uint32_t *)own_mapping(address);

    if (!entry)
        return;
    if (may)
        __atomic_fetch_or(entry, (uint32_t)WRITE, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(entry, ~(uint32_t)WRITE, __ATOMIC_RELAXED);
    drop(address);
}

/* Whether a frame is read-only for good: code and constants. */
static bool is_constant(uintptr_t pfn)
{
    return pfn >= vmi__physical(vmi__kernel.image_start) >> VMI__FRAME_SHIFT &&
           pfn < vmi__physical(vmi__kernel.rodata_end) >> VMI__FRAME_SHIFT;
}

/*
 * Makes a frame writable for the kernel, or not, wherever the library maps it. Others of these CPUs
 * that have the page in their TLB may store there for a while longer, or fault once for nothing.
 */
static void let(uintptr_t pfn, bool may)
{
    uintptr_t beside = pfn << VMI__FRAME_SHIFT;

    if (!watching || pfn >= watched_pages() || (may && is_constant(pfn)))
        return;
    set_writable(vmi__frame_address(pfn), may);
#ifdef __x86_64__
    beside += (uintptr_t)vmi__kernel.image_start - vmi__physical(vmi__kernel.image_start);
    if (in_image(beside))
        set_writable(beside, may);
#else
    (void)beside;
#endif
}

/* Whether a frame is one of the kernel's tables. */
static bool is_closed(uintptr_t pfn)
{
    uint32_t kind = vmi__frame_kind(pfn);

    return kind && !(kind & VMI__FRAME_BOOT);
}

static void let_again(uintptr_t pfn)
{
    let(pfn, !is_closed(pfn));
}

/* How many large pages map a range; they are tables from `table` on if that is not 0. */
static uint32_t split(uintptr_t from, uintptr_t bytes, uint64_t *table)
{
    uint32_t count = 0, shift;

    for (uintptr_t at = 0; at < bytes; at += LARGE_BYTES) {
        uint64_t *entry = mapping_of(vmi__boot.boot_cr3, from + at, &shift);

        if (!entry || shift != LARGE_SHIFT)
            continue;
        if (table) {
            uint64_t *pages = table + count * ENTRIES;

            for (uint32_t i = 0; i < ENTRIES; i++)
                pages[i] = (*entry & ~LARGE_PAGE) + ((uint64_t)i << VMI__FRAME_SHIFT);
            *entry = vmi__physical(pages) | PRESENT | WRITE;
        }
        count++;
    }
    return count;
}

static uint32_t split_all(uint64_t *table)
{
    uint32_t count = split(vmi__boot.linear_base, watched_pages() << VMI__FRAME_SHIFT, table);
#ifdef __x86_64__
    uintptr_t from = (uintptr_t)vmi__kernel.image_start & ~(LARGE_BYTES - 1);

    count +=
        split(from, (uintptr_t)vmi__kernel.image_end - from, table ? table + count * ENTRIES : 0);
#endif
    return count;
}

/* ---- gates ---- */

/* The entry that leads on to a handler, 0 if there is none left. */
static uintptr_t entry_for(uintptr_t handler)
{
    for (uint32_t i = 0; i < VMI__FAULT_HANDLERS; i++) {
        uintptr_t *known = &vmi__checked_fault_handlers[i];
        uintptr_t entry = (uintptr_t)vmi__checked_fault_entries + i * VMI__WATCH_ENTRY_SIZE;

        if (!*known)
            *known = handler;
        if (*known == handler || entry == handler)
            return entry;
    }
    return 0;
}

/*
 * Lets this CPU write what is read-only, until the registers are as they were. CR4.CET goes first,
 * as in ../writable.h, whose calls would lead through the flavour.
 */
static struct control write_anything(void)
{
    struct control control;

    __asm__ volatile("mov %%cr0, %0\n\tmov %%cr4, %1" : "=r"(control.cr0), "=r"(control.cr4));
    if (control.cr4 & VMI__CR4_CET)
        __asm__ volatile("mov %0, %%cr4" : : "r"(control.cr4 & ~(uintptr_t)VMI__CR4_CET));
    __asm__ volatile("mov %0, %%cr0" : : "r"(control.cr0 & ~(uintptr_t)VMI__CR0_WP) : "memory");
    return control;
}

static void as_before(struct control control)
{
    __asm__ volatile("mov %0, %%cr0" : : "r"(control.cr0) : "memory");
    if (control.cr4 & VMI__CR4_CET)
        __asm__ volatile("mov %0, %%cr4" : : "r"(control.cr4));
}

static bool is_mapped(uintptr_t address)
{
    uint32_t shift;

    return mapping_of(current_root(), address, &shift);
}

/*
 * Has the gate of page faults of a table lead to the library. A gate that is not there yet would be
 * the machine's end, so it is the library's own.
 */
static void front(uintptr_t base, uint32_t bytes)
{
    volatile uint32_t *gate = (volatile uint32_t *)base + VECTOR_PAGE_FAULT * GATE_WORDS;
    uint32_t words[GATE_WORDS];
    struct control control;
    uintptr_t handler;

    if (!watching || bytes < (VECTOR_PAGE_FAULT + 1) * 4 * GATE_WORDS ||
        !is_mapped((uintptr_t)gate))
        return;
    for (uint32_t i = 0; i < GATE_WORDS; i++)
        words[i] = gate[i];
    if (!(words[1] & GATE_PRESENT)) {
        words[0] = vmi__boot.kernel_cs << 16;
        words[1] = GATE_INTERRUPT;
        handler = (uintptr_t)vmi__fault_entries + VECTOR_PAGE_FAULT * VMI__FAULT_ENTRY_SIZE;
    } else if ((words[1] & GATE_TYPE) == GATE_TYPE_TASK) {
        return;
    } else {
        handler = (words[0] & 0xffffu) | (words[1] & 0xffff0000u);
#ifdef __x86_64__
        handler |= (uintptr_t)words[2] << 32;
#endif
    }
    handler = entry_for(handler);
    if (!handler)
        return;
    words[0] = (words[0] & 0xffff0000u) | (uint32_t)(handler & 0xffff);
    words[1] = (words[1] & 0xffffu) | (uint32_t)(handler & 0xffff0000u);
#ifdef __x86_64__
    words[2] = (uint32_t)(handler >> 32);
#endif
    vmi__idt_gate_changes(base, VECTOR_PAGE_FAULT, words);
    control = write_anything();
    for (uint32_t i = 0; i < GATE_WORDS; i++)
        gate[i] = words[i];
    as_before(control);
}

void vmi__checked_watch_start(void)
{
    struct {
        uint16_t limit;
        uintptr_t base;
    } __attribute__((packed)) idt;
    uint64_t end = (uint64_t)vmi__boot.linear_pages << VMI__FRAME_SHIFT;
    uint32_t count = split_all(0), at = 0;

    if (count) {
        at = vmi__memory_claim(count << VMI__FRAME_SHIFT,
                               end > UINT32_MAX ? UINT32_MAX : (uint32_t)end);
        if (!at) {
            vmi__print("# checked: stores to tables are not seen: there is no memory to map it by "
                       "pages\r\n");
            return;
        }
        split_all(vmi__linear(at));
        __asm__ volatile("mov %0, %%cr3" : : "r"((uintptr_t)vmi__boot.boot_cr3) : "memory");
    }
    watching = true;
    __asm__ volatile("sidt %0" : "=m"(idt));
    front(idt.base, idt.limit + 1u);
}

/* ---- calls ---- */

void vmi__checked_watch_note(const struct vmi__call *call)
{
    while (vmi__checked_opened)
        let_again(opened[--vmi__checked_opened]);
    if (call->ordinal == VMI_ORDINAL_ALLOCATE_PAGE || call->ordinal == VMI_ORDINAL_RELEASE_PAGE) {
        let_again(vmi__argument(call, 0));
    } else if (call->ordinal == VMI_ORDINAL_SET_IDT) {
        const struct vmi_dtr *dtr = (const struct vmi_dtr *)vmi__argument(call, 0);

        front(dtr->base, dtr->limit + 1u);
    } else if (call->ordinal == VMI_ORDINAL_SET_INITIAL_AP_STATE) {
        const struct vmi_ap_state *state = (const struct vmi_ap_state *)vmi__argument(call, 0);

        front(state->idtr_base, state->idtr_limit + 1u);
    }
}

/* The entry that a call writes, 0 if it writes none. */
static uintptr_t entry_of(const struct vmi__call *call)
{
    if (call->ordinal == VMI_ORDINAL_SET_PXE_LONG)
        return vmi__argument(call, sizeof(uintptr_t) == 4 ? 2 : 1);
#ifdef __i386__
    if (call->ordinal == VMI_ORDINAL_SET_PXE)
        return vmi__argument(call, 1);
#endif
    return 0;
}

void vmi__checked_watch_enter(const struct vmi__call *call, struct vmi__flavour_frame *frame)
{
    uint32_t cpu = call->cpu;
    bool gate = call->ordinal == VMI_ORDINAL_WRITE_IDT_ENTRY;

    if (!watching || writing[cpu].frame || (!gate && !is_closed(vmi__frame_at(entry_of(call)))))
        return;
    writing[cpu].frame = frame;
    writing[cpu].gates = gate ? vmi__argument(call, 0) : 0;
    writing[cpu].interrupts = frame->flags & VMI__FLAG_INTERRUPT;
    frame->flags &= ~(uintptr_t)VMI__FLAG_INTERRUPT;
    writing[cpu].control = write_anything();
}

void vmi__checked_watch_leave(struct vmi__flavour_frame *frame)
{
    uint32_t cpu = vmi__flavour_cpu() % VMI__CHECKED_CPUS;

    if (writing[cpu].frame != frame)
        return;
    writing[cpu].frame = 0;
    as_before(writing[cpu].control);
    if (writing[cpu].gates && vmi__checked_take(cpu, true)) {
        front(writing[cpu].gates, (VECTOR_PAGE_FAULT + 1) * 4 * GATE_WORDS);
        vmi__checked_give();
    }
    if (writing[cpu].interrupts)
        frame->flags |= VMI__FLAG_INTERRUPT;
}

/* ---- the fault ---- */

static void name(uint32_t cpu, uintptr_t from, uintptr_t address, uintptr_t pfn)
{
    struct vmi__finding finding;

    if (!vmi__checked_take(cpu, false))
        return;
    vmi__found(&finding, "a page table was stored to", "address", address, "frame", pfn);
    vmi__checked_stored(&vmi__checked_store_entries_by_calls, &finding, from);
    if (vmi__checked_opened < OPENED_MOST)
        opened[vmi__checked_opened++] = pfn;
    vmi__checked_give();
}

VMI__ROUTINE void vmi__checked_page_fault(uint32_t nothing, struct vmi__flavour_frame *frame)
{
    uintptr_t address, pfn;
    uint64_t *entry;
    uint32_t shift;

    (void)nothing;
    __asm__ volatile("cli\n\tmov %%cr2, %0" : "=r"(address) : : "memory");
    entry = own_mapping(address);
    if (!entry || mapping_of(current_root(), address, &shift) != entry)
        return;
    pfn = frame_of(*entry);
    if (!(*entry & WRITE)) {
        /* Else the kernel's code or constants. */
        if (!is_closed(pfn))
            return;
        name(vmi__flavour_cpu() % VMI__CHECKED_CPUS, frame->stack[2], address, pfn);
        let(pfn, true);
    }
    drop(address);
    frame->stack[0] = 0;
}
