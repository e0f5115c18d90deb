/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Calls whose arguments are those of x86-64, segment bases, and where Xen enters the kernel.
 */
#include "../../traps.h"
#include "gates.h"

#include <xen/callback.h>

#define MSR_FS_BASE        0xc0000100u
#define MSR_KERNEL_GS_BASE 0xc0000102u

/* events.S */
extern const char vmi__xen_traps[], vmi__xen_syscall_callback[], vmi__xen_syscall_callback32[];

/* One of the entry points, at which events are masked. */
static intptr_t callback(uint16_t type, const char *address)
{
    struct callback_register entry = {
        .type = type,
        .flags = CALLBACKF_mask_events,
        .address = (uintptr_t)address,
    };

    return vmi__xen_hypercall_callback_op(CALLBACKOP_register, &entry);
}

intptr_t vmi__xen_callbacks_register(void)
{
    struct trap_info gates[2] = {{.vector = VECTOR_PAGE_FAULT}, {0}};
    intptr_t result;

    vmi__xen_trap_entries[ENTRY_FIRST] = vmi__xen_traps;
    vmi__xen_return = (const char *)(uintptr_t)vmi__xen_iret;
    TI_SET_IF(&gates[0], 1);
    gates[0] = vmi__xen_installed(gates[0]);
    result = vmi__xen_hypercall_set_trap_table(gates);
    if (result >= 0)
        result = callback(CALLBACKTYPE_event, vmi__xen_event_callback);
    if (result >= 0)
        result = callback(CALLBACKTYPE_failsafe, vmi__xen_failsafe_callback);
    if (result >= 0)
        result = callback(CALLBACKTYPE_syscall, vmi__xen_syscall_callback);
    if (result >= 0)
        callback(CALLBACKTYPE_syscall32, vmi__xen_syscall_callback32); /* AMD's only */
    return result;
}

/* ---- page tables, descriptors ---- */

VMI__ROUTINE void vmi__xen_set_pxe_long(uint64_t value, uint64_t *entry, uint32_t flags)
{
    (void)flags;
    vmi__xen_write_entry(value, entry);
}

VMI__ROUTINE void vmi__xen_set_cr3(uintptr_t value, uintptr_t user)
{
    vmi__xen_load_roots(value, user);
}

VMI__ROUTINE void vmi__xen_inval_pcid(uintptr_t type, const struct vmi_invpcid *what)
{
    (void)type;
    (void)what;
    vmi__xen_flush_tlb(VMI_FLUSH_TLB | VMI_FLUSH_GLOBAL);
}

VMI__ROUTINE void vmi__xen_write_gdt_entry(void *gdt, uint32_t index, uint64_t value)
{
    vmi__xen_gdt_write(gdt, index, value);
}

VMI__ROUTINE void vmi__xen_write_idt_entry(void *idt, uint32_t index, uint64_t low, uint64_t high)
{
    ((uint64_t *)idt)[2 * index] = low;
    ((uint64_t *)idt)[2 * index + 1] = high;
    vmi__xen_gate_written(idt, index);
}

VMI__ROUTINE void vmi__xen_update_kernel_stack(uintptr_t rsp0)
{
    uint32_t mask = vmi__xen_mask();
    struct vmi__xen_cpu *cpu = vmi__xen_self();

    cpu->arch.stack = rsp0;
    vmi__xen_queue(cpu, VMI_ORDINAL_UPDATE_KERNEL_STACK, __HYPERVISOR_stack_switch, FLAT_KERNEL_SS,
                   rsp0, 0, 0);
    vmi__xen_carry_out_unless_lazy(cpu);
    vmi__xen_unmask(mask);
}

/* ---- system calls, segment bases ---- */

VMI__ROUTINE void vmi__xen_set_syscall_entry(uintptr_t entry)
{
    uint32_t mask = vmi__xen_mask();

    vmi__xen_self()->arch.syscall = entry;
    vmi__xen_unmask(mask);
}

static void set_base(uint32_t call, uint32_t which, uintptr_t base)
{
    uint32_t mask = vmi__xen_mask();
    struct vmi__xen_cpu *cpu = vmi__xen_self();

    vmi__xen_queue(cpu, call, __HYPERVISOR_set_segment_base, which, base, 0, 0);
    vmi__xen_carry_out_unless_lazy(cpu);
    vmi__xen_unmask(mask);
}

/* What is kept back may be the base that is asked for. */
static uintptr_t get_base(uint32_t index)
{
    uint32_t low, high;

    vmi__xen_carry_out_here();
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
    return (uintptr_t)high << 32 | low;
}

VMI__ROUTINE void vmi__xen_set_fs_base(uintptr_t base)
{
    set_base(VMI_ORDINAL_SET_FS_BASE, SEGBASE_FS, base);
}

VMI__ROUTINE uintptr_t vmi__xen_get_fs_base(void)
{
    return get_base(MSR_FS_BASE);
}

VMI__ROUTINE void vmi__xen_set_gs_base(uintptr_t base)
{
    const void *area;
    intptr_t result;
    uint32_t mask = vmi__xen_mask();

    __asm__ volatile("mov %%gs:%c1, %0" : "=r"(area) : "i"(VMI_PERCPU_SELF));
    if ((uintptr_t)area != base)
        memcpy((void *)base, area, VMI_PERCPU_SIZE);
    *(uintptr_t *)(base + VMI_PERCPU_SELF) = base;
    result = vmi__xen_hypercall_set_segment_base(SEGBASE_GS_KERNEL, base);
    if (result < 0)
        vmi__xen_report(VMI_ORDINAL_SET_GS_BASE, base, 0, result);
    vmi__xen_unmask(mask);
}

VMI__ROUTINE void vmi__xen_set_user_gs_base(uintptr_t base)
{
    set_base(VMI_ORDINAL_SET_USER_GS_BASE, SEGBASE_GS_USER, base);
}

VMI__ROUTINE uintptr_t vmi__xen_get_user_gs_base(void)
{
    return get_base(MSR_KERNEL_GS_BASE);
}
