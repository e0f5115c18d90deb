/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Arguments of calls that are x86-64's own, or have arguments of their own there. */
#include <stddef.h>
#include <vmi/vmi.h>

#include "cases.h"
#include "checks.h"
#include "contract.h"
#include "cpus.h"
#include "descriptors.h"
#include "entry.h"
#include "frames.h"
#include "layout.h"
#include "paging.h"
#include "string.h"
#include "tables.h"
#include "threads.h"
#include "traps.h"
#include "x86.h"

#define FS_PROBE 0xf5f5000000005f5full

static uint64_t target[8] __attribute__((aligned(64))) = {FS_PROBE}; /* of bases and descriptors */

void cases_give_entry(struct contract_registers *in, uint64_t value, uint64_t *entry)
{
    give_set_pxe_long(in, value, entry, VMI_PAGE_PT);
}

/* ---- descriptor tables ---- */

CASE(write_gdt_entry)
{
    give_write_gdt_entry(in, (void *)descriptors_gdt().base, GDT_SCRATCH,
                         descriptor_data(0x1000, sizeof(target) - 1));
}

AFTER(write_gdt_entry)
{
    (void)out;
    vmi_write_gdt_entry((void *)descriptors_gdt().base, GDT_SCRATCH, 0);
}

static volatile uint32_t taken;

static void count(struct trap_frame *trap)
{
    taken++;
    vmi_end_of_interrupt(trap->vector);
}

/* Nothing of the gate is there before. */
CASE(write_idt_entry)
{
    memset((struct descriptor *)descriptors_idt().base + VECTOR_UNUSED, 0,
           sizeof(struct descriptor));
    struct descriptor gate =
        descriptor_gate((uintptr_t)trap_entries + VECTOR_UNUSED * TRAP_ENTRY_SIZE, 0);
    give_write_idt_entry(in, (void *)descriptors_idt().base, VECTOR_UNUSED, gate.low, gate.high);
}

AFTER(write_idt_entry)
{
    (void)out;
    trap_handler_set(VECTOR_UNUSED, count);
    taken = 0;
    cpus_interrupt(1, VECTOR_UNUSED);
    vmi_enable_interrupts();
    wait_for(&taken, PATIENCE_MILLISECONDS);
    vmi_disable_interrupts();
    trap_handler_set(VECTOR_UNUSED, NULL);
    contract_expect("times that the gate was gone through", taken, 1);
}

CASE(update_kernel_stack)
{
    give_update_kernel_stack(in, thread_stack_top(thread_current()));
}

/* ---- control registers ---- */

static uint32_t second = FRAME_NONE;

/* With a second root, which maps nothing, where the hypervisor takes one. */
CASE(set_cr3)
{
    second = checks_boot_info->user_root ? new_table(VMI_PAGE_PML4) : FRAME_NONE;
    give_set_cr3(in, aspace_cr3(&kernel_aspace),
                 second == FRAME_NONE ? 0 : (uintptr_t)second << PAGE_SHIFT);
}

AFTER(set_cr3)
{
    (void)out;
    contract_expect("CR3", vmi_get_cr3() & ~(uintptr_t)0x1f, aspace_cr3(&kernel_aspace));
    aspace_load(&kernel_aspace);
    if (second != FRAME_NONE)
        release_table(second, VMI_PAGE_PML4);
}

/* ---- segment bases ---- */

static uint64_t first_word(void)
{
    uint64_t word;

    __asm__ volatile("mov %%fs:0, %0" : "=r"(word));
    return word;
}

CASE(set_fs_base)
{
    give_set_fs_base(in, (uintptr_t)target);
}

AFTER(set_fs_base)
{
    (void)out;
    contract_effect("the base of FS", vmi_get_fs_base(), (uintptr_t)target);
    if (vmi_get_fs_base() == (uintptr_t)target)
        contract_expect("the word at FS", first_word(), FS_PROBE);
    vmi_set_fs_base(0);
}

CASE(get_fs_base)
{
    vmi_set_fs_base((uintptr_t)&target[1]);
    give_get_fs_base(in);
}

AFTER(get_fs_base)
{
    contract_expect("the base of FS", result_get_fs_base(out), (uintptr_t)&target[1]);
    vmi_set_fs_base(0);
}

/* Another area for this CPU, which gets what belongs to the library. */
static uint64_t area[VMI_PERCPU_SIZE / sizeof(uint64_t)] __attribute__((aligned(16)));

CASE(set_gs_base)
{
    memset(area, 0xff, sizeof(area));
    give_set_gs_base(in, (uintptr_t)area);
}

AFTER(set_gs_base)
{
    (void)out;
    contract_effect("the base of GS", vmi_get_gs_base(), (uintptr_t)area);
    contract_expect("the number of this CPU", vmi_current_cpu(), 0);
    vmi_set_gs_base(descriptors_area(0));
}

PLAIN(get_gs_base)

AFTER(get_gs_base)
{
    contract_expect("the base of GS", result_get_gs_base(out), descriptors_area(0));
}

CASE(set_user_gs_base)
{
    give_set_user_gs_base(in, (uintptr_t)&target[2]);
}

AFTER(set_user_gs_base)
{
    (void)out;
    contract_effect("the process's base of GS", vmi_get_user_gs_base(), (uintptr_t)&target[2]);
    contract_expect("the kernel's base of GS", vmi_get_gs_base(), descriptors_area(0));
    vmi_set_user_gs_base(0);
}

CASE(get_user_gs_base)
{
    vmi_set_user_gs_base((uintptr_t)&target[3]);
    give_get_user_gs_base(in);
}

AFTER(get_user_gs_base)
{
    contract_expect("the process's base of GS", result_get_user_gs_base(out),
                    (uintptr_t)&target[3]);
    vmi_set_user_gs_base(0);
}

/* Both bases are the kernel's: interrupts find it whichever is in use. ring3.c tells them apart. */
CASE(swap_gs)
{
    vmi_set_user_gs_base(descriptors_area(0));
    give_swap_gs(in);
}

AFTER(swap_gs)
{
    (void)out;
    contract_expect("the base of GS", vmi_get_gs_base(), descriptors_area(0));
    vmi_set_user_gs_base(0);
}

/* ---- translations ---- */

static const struct vmi_invpcid of_window = {.pcid = 0, .address = MAP_WINDOW};
static uint32_t other_frame, frame;

/* A page is in the TLB, and its entry names another frame. */
CASE(inval_pcid)
{
    frame = frame_allocate();
    other_frame = frame_allocate();
    *(volatile uint32_t *)frame_address(frame) = 1;
    *(volatile uint32_t *)frame_address(other_frame) = 2;
    window_map(MAP_WINDOW, frame, PTE_PRESENT | PTE_ACCESSED);
    vmi_inval_page(MAP_WINDOW);
    (void)*(volatile uint32_t *)MAP_WINDOW;
    window_map(MAP_WINDOW, other_frame, PTE_PRESENT | PTE_ACCESSED);
    give_inval_pcid(in, VMI_INVPCID_ADDRESS, &of_window);
}

AFTER(inval_pcid)
{
    (void)out;
    contract_effect("what is read from the page", *(volatile uint32_t *)MAP_WINDOW, 2);
    window_map(MAP_WINDOW, 0, 0);
    vmi_inval_page(MAP_WINDOW);
    frame_release(frame);
    frame_release(other_frame);
}

/* ---- system calls ---- */

CASE(set_syscall_entry)
{
    give_set_syscall_entry(in, (uintptr_t)syscall_entry);
}

/* This kernel has the SDK's entry: the library has been started. */
CASE(attach)
{
    static struct vmi_attach_info facts;
    static const struct vmi_boot_info *told;

    give_attach(in, &facts, &told);
}

AFTER(attach)
{
    contract_expect("the result", (uint32_t)result_attach(out), (uint32_t)VMI_EBUSY);
}
