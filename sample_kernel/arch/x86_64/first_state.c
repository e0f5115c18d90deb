/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "first_state.h"

#include "descriptors.h"
#include "paging.h"
#include "x86.h"

#define EFER_NXE 0x800u /* the tables use it */

struct vmi_ap_state cpu_first_state(uint32_t cpu, void (*code)(void), const void *stack)
{
    struct vmi_dtr gdt = descriptors_gdt(), idt = descriptors_idt();

    return (struct vmi_ap_state){
        .cr0 = vmi_get_cr0(),
        .cr3 = aspace_cr3(&kernel_aspace),
        .cr4 = vmi_get_cr4(),
        .efer = pte_no_execute ? EFER_NXE : 0,
        .rip = (uintptr_t)code,
        .rflags = EFLAGS_FIXED,
        .rsp = (uintptr_t)stack,
        .gs_base = descriptors_area(cpu),
        .cs = (uint16_t)kernel_cs(),
        .ss = (uint16_t)kernel_ss(),
        .ds = USER_DS,
        .es = USER_DS,
        .gdtr_limit = gdt.limit,
        .gdtr_base = gdt.base,
        .idtr_base = idt.base,
        .idtr_limit = idt.limit,
    };
}
