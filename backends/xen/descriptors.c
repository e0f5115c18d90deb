/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Descriptor tables. Xen holds the real ones: the GDT is a page of the library's into which the
 * kernel's code and data descriptors are copied (Xen accepts no TSS or LDT descriptor there), the
 * LDT is the kernel's own page, read-only while it is loaded, and the IDT becomes a trap table.
 */
#include "internal.h"

/* Bits of a descriptor's second word (Intel SDM vol. 3A, 3.4.5). */
#define DESCRIPTOR_TYPE(high) ((high) >> 8 & 0xf)
#define DESCRIPTOR_DPL(high)  ((high) >> 13 & 3)
#define DESCRIPTOR_SEGMENT    0x00001000u /* code or data, not a system descriptor */
#define DESCRIPTOR_DPL_1      0x00002000u
#define DESCRIPTOR_PRESENT    0x00008000u
#define TYPE_LDT              2
#define TYPE_INTERRUPT_GATE   14
#define TYPE_TRAP_GATE        15

#define SYSTEM_DESCRIPTOR_BASE(low, high) ((low) >> 16 | ((high)&0xff) << 16 | ((high)&0xff000000u))

/* IDT vector that is Xen's hypercall gate for 32-bit guests. */
#define HYPERCALL_VECTOR 0x82

#define VECTOR_NMI 2

/* Vectors of faults that a load of a segment register raises (Intel SDM vol. 3A, table 6-1). */
#define VECTOR_NOT_PRESENT 11
#define VECTOR_PROTECTION  13

/* `lsl` with a requested privilege of 3 reads it from any ring. */
#define CPU_DESCRIPTOR(number) (0x0000f20000000000ull | (number))

static struct vmi__xen_lock lock;
static struct trap_info
    table[256 + 1]; /* under the lock: what set_trap_table reads, ended by address 0 */

/* ---- GDT
 * -------------------------------------------------------------------------------------------------
 * --------
 */

/* A descriptor of the kernel's as Xen may have it: at ring 1 instead of 0, 0 for what Xen does not
 * take. */
static uint64_t accepted(uint64_t descriptor)
{
    uint32_t high = (uint32_t)(descriptor >> 32);

    if (!(high & DESCRIPTOR_PRESENT) || !(high & DESCRIPTOR_SEGMENT))
        return 0;
    if (DESCRIPTOR_DPL(high) == 0)
        high |= DESCRIPTOR_DPL_1;
    return (uint64_t)high << 32 | (uint32_t)descriptor;
}

uint32_t vmi__xen_gdt_prepare(struct vmi__xen_cpu *cpu, uint32_t number)
{
    cpu->gdt_page[VMI__XEN_GDT_KERNEL] = CPU_DESCRIPTOR(number);
    return vmi__xen_mfn(vmi__physical(cpu->gdt_page) >> VMI__PAGE_SHIFT);
}

/* Queues a descriptor for what Xen holds of a CPU's GDT; events are masked. */
static void write_gdt(const uint64_t *page, uint32_t call, uint32_t index, uint64_t descriptor)
{
    uint64_t machine = vmi__xen_machine(&page[index]);

    vmi__xen_queue(vmi__xen_self(), call, __HYPERVISOR_update_descriptor, (uint32_t)machine,
                   (uint32_t)(machine >> 32), (uint32_t)descriptor, (uint32_t)(descriptor >> 32));
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
        uint64_t descriptor = i < count ? accepted(from[i]) : 0;

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

VMI__ROUTINE void vmi__xen_write_gdt_entry(void *gdt, uint32_t index, uint32_t low, uint32_t high)
{
    uint64_t descriptor = (uint64_t)high << 32 | low;
    uint32_t mask = vmi__xen_mask();

    ((uint64_t *)gdt)[index] = descriptor;
    descriptor = accepted(descriptor);
    /* Every CPU that has loaded this table has a copy of it. */
    for (uint32_t i = 0; i < vmi__xen_cpu_count; i++) {
        const struct vmi__xen_cpu *cpu = vmi__xen_cpus[i];

        if ((uint32_t)(uintptr_t)gdt == cpu->gdt.base && index < (cpu->gdt.limit + 1u) / 8)
            write_gdt(cpu->gdt_page, VMI_ORDINAL_WRITE_GDT_ENTRY, index, descriptor);
    }
    if (!(vmi__xen_self()->lazy & VMI_LAZY_CPU))
        vmi__xen_carry_out(vmi__xen_self());
    vmi__xen_unmask(mask);
}

/* ---- LDT
 * -------------------------------------------------------------------------------------------------
 * --------
 */

/* Base and pages of the LDT that a selector names in the kernel's own GDT; 0 pages for none,
 * VMI_EINVAL for no LDT. */
static int32_t find_ldt(const struct vmi_dtr *gdt, uint32_t selector, uint32_t *base,
                        uint32_t *entries)
{
    const uint32_t *descriptor;

    *base = *entries = 0;
    if (selector < 8)
        return VMI_OK;
    if ((selector & 4) || (selector | 7u) > gdt->limit)
        return VMI_EINVAL;
    descriptor = (const uint32_t *)(gdt->base + (selector & ~7u));
    if (!(descriptor[1] & DESCRIPTOR_PRESENT) || descriptor[1] & DESCRIPTOR_SEGMENT ||
        DESCRIPTOR_TYPE(descriptor[1]) != TYPE_LDT)
        return VMI_EINVAL;
    *base = SYSTEM_DESCRIPTOR_BASE(descriptor[0], descriptor[1]);
    *entries = ((descriptor[0] & 0xffff) + 1) / 8;
    return *base & (VMI__PAGE_SIZE - 1) ? VMI_EINVAL : VMI_OK;
}

static uint32_t pages_of(uint32_t entries)
{
    return (entries * 8 + VMI__PAGE_SIZE - 1) >> VMI__PAGE_SHIFT;
}

static int is_loaded(uint32_t address)
{
    for (uint32_t i = 0; i < vmi__xen_cpu_count; i++)
        if ((address - vmi__xen_cpus[i]->ldt_base) >> VMI__PAGE_SHIFT < vmi__xen_cpus[i]->ldt_pages)
            return 1;
    return 0;
}

/* Under the lock. Pages of an LDT are read-only while any CPU has it loaded. */
static int32_t protect_ldt(uint32_t base, uint32_t pages, uint32_t read_only, uint32_t call)
{
    for (uint32_t i = 0; i < pages; i++) {
        uint32_t address = base + (i << VMI__PAGE_SHIFT), pfn = vmi__xen_linear_pfn(address);
        uint8_t *state;

        if (pfn >= vmi__xen_memory.linear_pages)
            return VMI_EINVAL;
        state = &vmi__xen_memory.state[pfn];
        if (read_only == (*state & VMI__XEN_DESCRIPTORS) / VMI__XEN_DESCRIPTORS ||
            (!read_only && is_loaded(address)))
            continue;
        if (read_only)
            *state |= VMI__XEN_DESCRIPTORS;
        else
            *state &= (uint8_t)~VMI__XEN_DESCRIPTORS;
        if (vmi__xen_protect(pfn, read_only, call) < 0)
            return VMI_EIO;
    }
    return VMI_OK;
}

VMI__ROUTINE void vmi__xen_set_ldt(uint32_t selector)
{
    uint32_t mask = vmi__xen_take(&lock), base, entries, old_base, old_pages;
    struct vmi__xen_cpu *cpu = vmi__xen_self();
    int32_t result = find_ldt(&cpu->gdt, selector, &base, &entries);

    if (result >= 0)
        result = protect_ldt(base, pages_of(entries), 1, VMI_ORDINAL_SET_LDT);
    if (result >= 0) {
        vmi__xen_queue_ext(cpu, VMI_ORDINAL_SET_LDT, MMUEXT_SET_LDT, base, entries);
        result = vmi__xen_carry_out(cpu);
    } else {
        vmi__xen_report(VMI_ORDINAL_SET_LDT, selector, entries, result);
    }
    if (result >= 0) {
        old_base = cpu->ldt_base;
        old_pages = cpu->ldt_pages;
        cpu->ldt = selector;
        cpu->ldt_base = base;
        cpu->ldt_pages = pages_of(entries);
        protect_ldt(old_base, old_pages, 0, VMI_ORDINAL_SET_LDT);
    }
    vmi__xen_give(&lock, mask);
}

VMI__ROUTINE uint32_t vmi__xen_get_ldt(void)
{
    uint32_t mask = vmi__xen_mask(), value = vmi__xen_self()->ldt;

    vmi__xen_unmask(mask);
    return value;
}

VMI__ROUTINE void vmi__xen_write_ldt_entry(void *ldt, uint32_t index, uint32_t low, uint32_t high)
{
    uint64_t *entry = (uint64_t *)ldt + index;
    uint32_t pfn = vmi__xen_linear_pfn((uint32_t)(uintptr_t)entry), mask;
    uint64_t machine;
    struct vmi__xen_cpu *cpu;

    if (pfn >= vmi__xen_memory.linear_pages ||
        !(vmi__xen_memory.state[pfn] & VMI__XEN_DESCRIPTORS)) {
        *entry = (uint64_t)high << 32 | low;
        return;
    }
    machine = vmi__xen_machine(entry);
    mask = vmi__xen_mask();
    cpu = vmi__xen_self();
    vmi__xen_queue(cpu, VMI_ORDINAL_WRITE_LDT_ENTRY, __HYPERVISOR_update_descriptor,
                   (uint32_t)machine, (uint32_t)(machine >> 32), low, high);
    if (!(cpu->lazy & VMI_LAZY_CPU))
        vmi__xen_carry_out(cpu);
    vmi__xen_unmask(mask);
}

/* ---- IDT
 * -------------------------------------------------------------------------------------------------
 * --------
 */

/* A gate as Xen has it; address 0 for one that is not present or no 32-bit interrupt or trap gate.
 */
static struct trap_info gate_of(uint32_t vector, uint32_t low, uint32_t high)
{
    uint32_t type = DESCRIPTOR_TYPE(high);
    struct trap_info gate = {.vector = (uint8_t)vector};

    if (!(high & DESCRIPTOR_PRESENT) || high & DESCRIPTOR_SEGMENT || vector == HYPERCALL_VECTOR ||
        (type != TYPE_INTERRUPT_GATE && type != TYPE_TRAP_GATE))
        return gate;
    TI_SET_DPL(&gate, (uint8_t)DESCRIPTOR_DPL(high));
    TI_SET_IF(&gate, type == TYPE_INTERRUPT_GATE);
    gate.cs = (uint16_t)(low >> 16);
    gate.address = (high & 0xffff0000u) | (low & 0xffff);
    return gate;
}

/*
 * A gate as Xen is to have it: for NMIs, whose end is told to Xen, and for faults that the library
 * may cause itself, with the library's entry point, which goes on to the kernel's. Events are
 * masked there, whatever the kernel's gate says.
 */
static struct trap_info installed(struct trap_info gate)
{
    const char *entry = gate.vector == VECTOR_NOT_PRESENT  ? vmi__xen_segment_not_present
                        : gate.vector == VECTOR_PROTECTION ? vmi__xen_protection_fault
                        : gate.vector == VECTOR_NMI        ? vmi__xen_nmi
                                                           : 0;

    if (entry) {
        TI_SET_IF(&gate, 1);
        gate.cs = FLAT_KERNEL_CS;
        gate.address = (uint32_t)(uintptr_t)entry;
    }
    return gate;
}

static void read_gates(struct vmi__xen_cpu *cpu)
{
    const uint32_t *idt = (const uint32_t *)cpu->idt.base;
    uint32_t count = (cpu->idt.limit + 1u) / 8;

    for (uint32_t i = 0; i < 256; i++)
        cpu->gate[i] = gate_of(i, i < count ? idt[2 * i] : 0, i < count ? idt[2 * i + 1] : 0);
}

/* The whole of this CPU's trap table. Xen cannot take a gate back, so everything is, first. */
static void set_gates(struct vmi__xen_cpu *cpu, uint32_t call)
{
    uint32_t mask = vmi__xen_take(&lock), count = 0;
    int32_t result;

    for (uint32_t i = 0; i < 256; i++)
        if (installed(cpu->gate[i]).address)
            table[count++] = installed(cpu->gate[i]);
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

VMI__ROUTINE void vmi__xen_write_idt_entry(void *idt, uint32_t index, uint32_t low, uint32_t high)
{
    uint32_t mask = vmi__xen_mask(), base = (uint32_t)(uintptr_t)idt, self = vmi__xen_this(),
             cleared;
    struct vmi__xen_cpu *cpu = vmi__xen_cpus[self];
    struct trap_info gate, one[2] = {{0}, {0}};
    int32_t result;

    ((uint32_t *)idt)[2 * index] = low;
    ((uint32_t *)idt)[2 * index + 1] = high;
    if (base == cpu->idt.base && index < (cpu->idt.limit + 1u) / 8) {
        gate = gate_of(index, low, high);
        one[0] = installed(gate);
        cleared = cpu->gate[index].address && !one[0].address;
        cpu->gate[index] = gate;
        if (cleared) {
            set_gates(cpu, VMI_ORDINAL_WRITE_IDT_ENTRY);
        } else if (one[0].address) {
            result = vmi__xen_hypercall_set_trap_table(one);
            if (result < 0)
                vmi__xen_report(VMI_ORDINAL_WRITE_IDT_ENTRY, index, (uint64_t)high << 32 | low,
                                result);
        }
    }
    /* A trap table belongs to one CPU; those that use the same IDT read it again. */
    for (uint32_t i = 0; i < vmi__xen_cpu_count; i++) {
        if (i != self && vmi__xen_cpus[i]->started && vmi__xen_cpus[i]->idt.base == base) {
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

VMI__ROUTINE void vmi__xen_update_kernel_stack(uint32_t ss0, uint32_t esp0)
{
    uint32_t mask = vmi__xen_mask();
    struct vmi__xen_cpu *cpu = vmi__xen_self();

    vmi__xen_queue(cpu, VMI_ORDINAL_UPDATE_KERNEL_STACK, __HYPERVISOR_stack_switch, ss0, esp0, 0,
                   0);
    if (!(cpu->lazy & VMI_LAZY_CPU))
        vmi__xen_carry_out(cpu);
    vmi__xen_unmask(mask);
}

/* ---- a further CPU
 * -----------------------------------------------------------------------------------------------
 */

int32_t vmi__xen_descriptors_of(struct vmi__xen_cpu *cpu, const struct vmi_ap_state *state,
                                struct vcpu_guest_context *context)
{
    const uint64_t *gdt = (const uint64_t *)state->gdtr_base;
    uint32_t count = (state->gdtr_limit + 1u) / 8, mask, base, entries;
    int32_t result;

    if (count > VMI__XEN_GDT_KERNEL)
        return VMI_EINVAL;
    mask = vmi__xen_mask();
    for (uint32_t i = 0; i < count; i++)
        if (cpu->gdt_page[i] != accepted(gdt[i]))
            write_gdt(cpu->gdt_page, VMI_ORDINAL_SET_INITIAL_AP_STATE, i, accepted(gdt[i]));
    vmi__xen_carry_out(vmi__xen_self());
    vmi__xen_unmask(mask);
    cpu->gdt.base = state->gdtr_base;
    cpu->gdt.limit = state->gdtr_limit;
    context->gdt_frames[0] = vmi__xen_mfn(vmi__physical(cpu->gdt_page) >> VMI__PAGE_SHIFT);
    context->gdt_ents = VMI__XEN_GDT_ENTRIES;

    mask = vmi__xen_take(&lock);
    result = find_ldt(&cpu->gdt, state->ldtr, &base, &entries);
    if (result >= 0)
        result = protect_ldt(base, pages_of(entries), 1, VMI_ORDINAL_SET_INITIAL_AP_STATE);
    vmi__xen_give(&lock, mask);
    if (result < 0)
        return result;
    cpu->ldt = state->ldtr;
    cpu->ldt_base = base;
    cpu->ldt_pages = pages_of(entries);
    context->ldt_base = base;
    context->ldt_ents = entries;

    cpu->idt.base = state->idtr_base;
    cpu->idt.limit = state->idtr_limit;
    read_gates(cpu);
    for (uint32_t i = 0; i < 256; i++)
        context->trap_ctxt[i] = installed(cpu->gate[i]);
    return VMI_OK;
}
