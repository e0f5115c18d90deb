/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Descriptor tables. Xen holds the real ones: the GDT is a page of the library's into which the
 * kernel's code and data descriptors are copied (Xen accepts no TSS or LDT descriptor there), the
 * LDT is the kernel's own page, read-only while it is loaded, and the IDT becomes a trap table.
 */
#include "traps.h"

#include "gates.h"

const char *vmi__xen_trap_entries[VMI__XEN_TRAP_ENTRIES];

static struct vmi__xen_lock lock;
static struct trap_info
    table[256 + 1]; /* under the lock: what set_trap_table reads, ended by address 0 */

/* ---- GDT
 * -------------------------------------------------------------------------------------------------
 * --------
 */

uintptr_t vmi__xen_gdt_prepare(struct vmi__xen_cpu *cpu, uint32_t number)
{
    vmi__xen_gdt_fill(cpu->gdt_page, number);
    return vmi__xen_mfn(vmi__physical(cpu->gdt_page) >> VMI__PAGE_SHIFT);
}

/* Queues a descriptor for what Xen holds of a CPU's GDT; events are masked. */
static void write_gdt(const uint64_t *page, uint32_t call, uint32_t index, uint64_t descriptor)
{
    vmi__xen_queue_descriptor(vmi__xen_self(), call, vmi__xen_machine(&page[index]), descriptor);
}

VMI__ROUTINE void vmi__xen_set_gdt(const struct vmi_dtr *dtr)
{
    const uint64_t *from = (const uint64_t *)dtr->base;
    uint32_t count = (dtr->limit + 1u) / 8, mask;
    struct vmi__xen_cpu *cpu;

    if (count > VMI__XEN_GDT_KERNEL) {
        vmi__xen_report(VMI_ORDINAL_SET_GDT, dtr->base, dtr->limit, VMI_EINVAL);
        return;
    }
    mask = vmi__xen_mask();
    cpu = vmi__xen_self();
    for (uint32_t i = 0; i < VMI__XEN_GDT_KERNEL; i++) {
        uint64_t descriptor = i < count ? vmi__xen_accepted(from[i]) : 0;

        if (cpu->gdt_page[i] != descriptor)
            write_gdt(cpu->gdt_page, VMI_ORDINAL_SET_GDT, i, descriptor);
    }
    vmi__xen_carry_out(cpu);
    cpu->gdt = *dtr;
    vmi__xen_unmask(mask);
}

VMI__ROUTINE void vmi__xen_get_gdt(struct vmi_dtr *dtr)
{
    uint32_t mask = vmi__xen_mask();

    *dtr = vmi__xen_self()->gdt;
    vmi__xen_unmask(mask);
}

void vmi__xen_gdt_write(void *gdt, uint32_t index, uint64_t descriptor)
{
    uint32_t mask = vmi__xen_mask();

    ((uint64_t *)gdt)[index] = descriptor;
    descriptor = vmi__xen_accepted(descriptor);
    /* Every CPU that has loaded this table has a copy of it. */
    for (uint32_t i = 0; i < vmi__xen_cpu_count; i++) {
        const struct vmi__xen_cpu *cpu = vmi__xen_cpus[i];

        if ((uintptr_t)gdt == cpu->gdt.base && index < (cpu->gdt.limit + 1u) / 8)
            write_gdt(cpu->gdt_page, VMI_ORDINAL_WRITE_GDT_ENTRY, index, descriptor);
    }
    vmi__xen_carry_out_unless_lazy(vmi__xen_self());
    vmi__xen_unmask(mask);
}

/* ---- IDT
 * -------------------------------------------------------------------------------------------------
 * --------
 */

static void read_gates(struct vmi__xen_cpu *cpu)
{
    const vmi__xen_gate *idt = (const vmi__xen_gate *)cpu->idt.base;
    uint32_t count = (cpu->idt.limit + 1u) / sizeof(idt[0]);

    for (uint32_t i = 0; i < 256; i++)
        cpu->arch.gate[i] =
            i < count ? vmi__xen_gate_of(i, &idt[i]) : (struct trap_info){.vector = (uint8_t)i};
}

/* The whole of this CPU's trap table. Xen cannot take a gate back, so everything is, first. */
static void set_gates(struct vmi__xen_cpu *cpu, uint32_t call)
{
    uint32_t mask = vmi__xen_take(&lock), count = 0;
    intptr_t result;

    for (uint32_t i = 0; i < 256; i++)
        if (vmi__xen_installed(cpu->arch.gate[i]).address)
            table[count++] = vmi__xen_installed(cpu->arch.gate[i]);
    table[count].address = 0;
    result = vmi__xen_hypercall_set_trap_table(0);
    if (result >= 0)
        result = vmi__xen_hypercall_set_trap_table(table);
    vmi__xen_give(&lock, mask);
    if (result < 0)
        vmi__xen_report(call, cpu->idt.base, cpu->idt.limit, result);
}

VMI__ROUTINE void vmi__xen_set_idt(const struct vmi_dtr *dtr)
{
    uint32_t mask = vmi__xen_mask();
    struct vmi__xen_cpu *cpu = vmi__xen_self();

    cpu->idt = *dtr;
    read_gates(cpu);
    set_gates(cpu, VMI_ORDINAL_SET_IDT);
    vmi__xen_unmask(mask);
}

void vmi__xen_gates_again(struct vmi__xen_cpu *cpu)
{
    read_gates(cpu);
    set_gates(cpu, VMI_ORDINAL_WRITE_IDT_ENTRY);
}

VMI__ROUTINE void vmi__xen_get_idt(struct vmi_dtr *dtr)
{
    uint32_t mask = vmi__xen_mask();

    *dtr = vmi__xen_self()->idt;
    vmi__xen_unmask(mask);
}

void vmi__xen_gate_written(const void *idt, uint32_t index)
{
    const vmi__xen_gate *entry = (const vmi__xen_gate *)idt + index;
    uint32_t mask = vmi__xen_mask(), self = vmi__xen_this(), cleared;
    struct vmi__xen_cpu *cpu = vmi__xen_cpus[self];
    struct trap_info gate, one[2] = {{0}, {0}};
    intptr_t result;

    if ((uintptr_t)idt == cpu->idt.base && index < (cpu->idt.limit + 1u) / sizeof(*entry)) {
        gate = vmi__xen_gate_of(index, entry);
        one[0] = vmi__xen_installed(gate);
        cleared = cpu->arch.gate[index].address && !one[0].address;
        cpu->arch.gate[index] = gate;
        if (cleared) {
            set_gates(cpu, VMI_ORDINAL_WRITE_IDT_ENTRY);
        } else if (one[0].address) {
            result = vmi__xen_hypercall_set_trap_table(one);
            if (result < 0)
                vmi__xen_report(VMI_ORDINAL_WRITE_IDT_ENTRY, index, gate.address, result);
        }
    }
    /* A trap table belongs to one CPU; those that use the same IDT read it again. */
    for (uint32_t i = 0; i < vmi__xen_cpu_count; i++) {
        if (i != self && vmi__xen_cpus[i]->started &&
            vmi__xen_cpus[i]->idt.base == (uintptr_t)idt) {
            vmi__xen_cpus[i]->gates_changed = 1;
            vmi__xen_prod(i);
        }
    }
    vmi__xen_unmask(mask);
}

/* ---- task register
 * -----------------------------------------------------------------------------------------------
 */

VMI__ROUTINE void vmi__xen_set_tr(uint32_t selector)
{
    uint32_t mask = vmi__xen_mask();

    vmi__xen_self()->tr = selector;
    vmi__xen_unmask(mask);
}

VMI__ROUTINE uint32_t vmi__xen_get_tr(void)
{
    uint32_t mask = vmi__xen_mask(), value = vmi__xen_self()->tr;

    vmi__xen_unmask(mask);
    return value;
}

/* ---- a further CPU
 * -----------------------------------------------------------------------------------------------
 */

int32_t vmi__xen_descriptors_of(struct vmi__xen_cpu *cpu, const struct vmi_ap_state *state,
                                struct vcpu_guest_context *context)
{
    const uint64_t *gdt = (const uint64_t *)state->gdtr_base;
    uint32_t count = (state->gdtr_limit + 1u) / 8, mask;
    int32_t result;

    if (count > VMI__XEN_GDT_KERNEL)
        return VMI_EINVAL;
    mask = vmi__xen_mask();
    for (uint32_t i = 0; i < count; i++)
        if (cpu->gdt_page[i] != vmi__xen_accepted(gdt[i]))
            write_gdt(cpu->gdt_page, VMI_ORDINAL_SET_INITIAL_AP_STATE, i,
                      vmi__xen_accepted(gdt[i]));
    vmi__xen_carry_out(vmi__xen_self());
    vmi__xen_unmask(mask);
    cpu->gdt.base = state->gdtr_base;
    cpu->gdt.limit = state->gdtr_limit;
    context->gdt_frames[0] = vmi__xen_mfn(vmi__physical(cpu->gdt_page) >> VMI__PAGE_SHIFT);
    context->gdt_ents = VMI__XEN_GDT_ENTRIES;
    result = vmi__xen_ldt_of(cpu, state, context);
    if (result < 0)
        return result;

    cpu->idt.base = state->idtr_base;
    cpu->idt.limit = state->idtr_limit;
    read_gates(cpu);
    for (uint32_t i = 0; i < 256; i++)
        context->trap_ctxt[i] = vmi__xen_installed(cpu->arch.gate[i]);
    return VMI_OK;
}
