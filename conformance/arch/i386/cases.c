/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Arguments of calls that are i386's own, or have arguments of their own there. */
#include <vmi/vmi.h>

#include "cases.h"
#include "checks.h"
#include "contract.h"
#include "descriptors.h"
#include "entry.h"
#include "frames.h"
#include "layout.h"
#include "paging.h"
#include "threads.h"
#include "traps.h"
#include "x86.h"

static uint8_t target[64]; /* of descriptors */

void cases_give_entry(struct contract_registers *in, uint64_t value, uint64_t *entry)
{
    give_set_pxe_long(in, (uint32_t)value, (uint32_t)(value >> 32), entry, VMI_PAGE_PT);
}

/* ---- descriptor tables ---- */

CASE(set_ldt)
{
    give_set_ldt(in, 0);
}

PLAIN(get_ldt)

AFTER(get_ldt)
{
    contract_expect("the LDT's selector", result_get_ldt(out), 0);
}

static struct descriptor target_descriptor(void)
{
    return descriptor_data((uintptr_t)target, sizeof(target) - 1);
}

CASE(write_gdt_entry)
{
    struct descriptor entry = target_descriptor();
    give_write_gdt_entry(in, (void *)descriptors_gdt().base, GDT_SCRATCH, entry.low, entry.high);
}

AFTER(write_gdt_entry)
{
    (void)out;
    vmi_write_gdt_entry((void *)descriptors_gdt().base, GDT_SCRATCH, 0, 0);
}

/* A page of its own: the LDT of a hypervisor's guest is read-only while it is loaded. */
static struct descriptor ldt[PAGE_SIZE / sizeof(struct descriptor)]
    __attribute__((aligned(PAGE_SIZE)));

CASE(write_ldt_entry)
{
    struct descriptor table = descriptor_ldt((uintptr_t)ldt, 2 * sizeof(ldt[0]) - 1);
    struct descriptor entry = target_descriptor();
    vmi_write_gdt_entry((void *)descriptors_gdt().base, GDT_LDT, table.low, table.high);
    vmi_set_ldt(SELECTOR(GDT_LDT, 0));
    give_write_ldt_entry(in, ldt, 1, entry.low, entry.high);
}

AFTER(write_ldt_entry)
{
    struct descriptor entry = target_descriptor();
    (void)out;
    contract_effect("the descriptor's lower half", ldt[1].low, entry.low);
    contract_expect("the descriptor's upper half", ldt[1].high, entry.high);
    vmi_set_ldt(0);
}

CASE(write_idt_entry)
{
    struct descriptor gate =
        descriptor_gate((uintptr_t)trap_entries + VECTOR_UNUSED * TRAP_ENTRY_SIZE, 0);
    give_write_idt_entry(in, (void *)descriptors_idt().base, VECTOR_UNUSED, gate.low, gate.high);
}

CASE(update_kernel_stack)
{
    give_update_kernel_stack(in, kernel_ss(), thread_stack_top(thread_current()));
}

/* ---- control registers ---- */

CASE(set_cr3)
{
    give_set_cr3(in, aspace_cr3(&kernel_aspace));
}

AFTER(set_cr3)
{
    (void)out;
    contract_expect("CR3", vmi_get_cr3() & ~(uintptr_t)0x1f, aspace_cr3(&kernel_aspace));
}

/* ---- page tables of 32-bit entries ---- */

static uint32_t frame;

static bool take_table(void)
{
    frame = cases_take_frame();
    if (frame != FRAME_NONE)
        vmi_allocate_page(frame, VMI_PAGE_PT | VMI_PAGE_ZEROED, 0, 0, 0);
    return frame != FRAME_NONE;
}

static void give_table_back(void)
{
    vmi_release_page(frame, VMI_PAGE_PT);
    frame_release(frame);
}

CASE(set_pxe)
{
    if (take_table())
        give_set_pxe(in, (uint32_t)pte_value(frame, PTE_PRESENT), frame_address(frame),
                     VMI_PAGE_PT);
}

AFTER(set_pxe)
{
    (void)out;
    contract_effect("the entry", *(volatile uint32_t *)frame_address(frame),
                    (uint32_t)pte_value(frame, PTE_PRESENT));
    give_table_back();
}

CASE(update_pxe)
{
    if (take_table())
        give_update_pxe(in, frame_address(frame), VMI_PAGE_PT);
}

AFTER(update_pxe)
{
    (void)out;
    give_table_back();
}

/* ---- ports ---- */

CASE(set_iopl_mask)
{
    give_set_iopl_mask(in, checks_boot_info->kernel_rpl << 12);
}
