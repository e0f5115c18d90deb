/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "first_state.h"

#include "descriptors.h"
#include "paging.h"
#include "x86.h"

struct vmi_ap_state cpu_first_state(uint32_t cpu, void (*code)(void), const void *stack)
{
    struct vmi_dtr gdt = descriptors_gdt(), idt = descriptors_idt();

    (void)cpu;
    return (struct vmi_ap_state){
        .cr0 = vmi_get_cr0(),
        .cr3 = aspace_cr3(&kernel_aspace),
        .cr4 = vmi_get_cr4(),
        .eip = (uintptr_t)code,
        .eflags = EFLAGS_FIXED,
        .esp = (uintptr_t)stack,
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
