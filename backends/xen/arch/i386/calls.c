/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Calls whose arguments are those of i386, and where Xen enters the kernel.
 */
#include "../../traps.h"
#include "gates.h"

#include <xen/callback.h>
#include <xen/physdev.h>

/* What Xen enters for #NP and #GP (events.S). */
extern const char vmi__xen_nmi[], vmi__xen_segment_not_present[], vmi__xen_protection_fault[];

/* Intel SDM vol. 4, table 2-2. */
#define MSR_SYSENTER_CS  0x174
#define MSR_SYSENTER_ESP 0x175
#define MSR_SYSENTER_EIP 0x176

#define IOPL_SHIFT 12

/* ESP and EIP have no effect: SYSENTER is not the guest's, Xen would enter by a callback of another
 * form. */
static uint32_t sysenter[VMI__XEN_CPUS_MAX][2];

intptr_t vmi__xen_callbacks_register(void)
{
    struct callback_register failsafe = {
        .type = CALLBACKTYPE_failsafe,
        .flags = CALLBACKF_mask_events,
        .address = {FLAT_KERNEL_CS, (uintptr_t)vmi__xen_failsafe_callback},
    };
    intptr_t result =
        vmi__xen_hypercall_set_callbacks(FLAT_KERNEL_CS, (uintptr_t)vmi__xen_event_callback,
                                         FLAT_KERNEL_CS, (uintptr_t)vmi__xen_failsafe_callback);

    vmi__xen_trap_entries[ENTRY_NMI] = vmi__xen_nmi;
    vmi__xen_trap_entries[ENTRY_NOT_PRESENT] = vmi__xen_segment_not_present;
    vmi__xen_trap_entries[ENTRY_PROTECTION] = vmi__xen_protection_fault;
    vmi__xen_return = (const char *)(uintptr_t)vmi__xen_iret;
    return result < 0 ? result : vmi__xen_hypercall_callback_op(CALLBACKOP_register, &failsafe);
}

/* ---- page tables, descriptors ---- */

VMI__ROUTINE void vmi__xen_set_pxe_long(uint32_t low, uint32_t high, uint64_t *entry,
                                        uint32_t flags)
{
    (void)flags;
    vmi__xen_write_entry((uint64_t)high << 32 | low, entry);
}

VMI__ROUTINE void vmi__xen_set_cr3(uintptr_t value)
{
    vmi__xen_load_roots(value, 0);
}

VMI__ROUTINE void vmi__xen_write_gdt_entry(void *gdt, uint32_t index, uint32_t low, uint32_t high)
{
    vmi__xen_gdt_write(gdt, index, (uint64_t)high << 32 | low);
}

VMI__ROUTINE void vmi__xen_write_idt_entry(void *idt, uint32_t index, uint32_t low, uint32_t high)
{
    ((uint32_t *)idt)[2 * index] = low;
    ((uint32_t *)idt)[2 * index + 1] = high;
    vmi__xen_gate_written(idt, index);
}

VMI__ROUTINE void vmi__xen_update_kernel_stack(uint32_t ss0, uintptr_t esp0)
{
    uint32_t mask = vmi__xen_mask();
    struct vmi__xen_cpu *cpu = vmi__xen_self();

    vmi__xen_queue(cpu, VMI_ORDINAL_UPDATE_KERNEL_STACK, __HYPERVISOR_stack_switch, ss0, esp0, 0,
                   0);
    vmi__xen_carry_out_unless_lazy(cpu);
    vmi__xen_unmask(mask);
}

/* ---- model-specific registers, I/O privilege ---- */

VMI__ROUTINE void vmi__xen_wrmsr(uint32_t index, uint64_t value)
{
    uint32_t mask, cpu;

    if (index < MSR_SYSENTER_CS || index > MSR_SYSENTER_EIP) {
        __asm__ volatile("wrmsr" : : "c"(index), "A"(value) : "memory");
        return;
    }
    mask = vmi__xen_mask();
    cpu = vmi__xen_this();
    if (index == MSR_SYSENTER_CS)
        vmi__xen_sysenter_cs[cpu] = (uint32_t)value & 0xfffc;
    else
        sysenter[cpu][index - MSR_SYSENTER_ESP] = (uint32_t)value;
    vmi__xen_unmask(mask);
}

VMI__ROUTINE uint64_t vmi__xen_rdmsr(uint32_t index)
{
    uint32_t mask, cpu;
    uint64_t value;

    if (index < MSR_SYSENTER_CS || index > MSR_SYSENTER_EIP) {
        __asm__ volatile("rdmsr" : "=A"(value) : "c"(index) : "memory");
        return value;
    }
    mask = vmi__xen_mask();
    cpu = vmi__xen_this();
    value = index == MSR_SYSENTER_CS ? vmi__xen_sysenter_cs[cpu]
                                     : sysenter[cpu][index - MSR_SYSENTER_ESP];
    vmi__xen_unmask(mask);
    return value;
}

VMI__ROUTINE void vmi__xen_set_iopl_mask(uint32_t mask)
{
    struct physdev_set_iopl level = {.iopl = mask >> IOPL_SHIFT & 3};
    int32_t result = vmi__xen_hypercall_physdev_op(PHYSDEVOP_set_iopl, &level);

    if (result < 0)
        vmi__xen_report(VMI_ORDINAL_SET_IOPL_MASK, level.iopl, mask, result);
}
