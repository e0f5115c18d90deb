/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The LDT is the kernel's own page, read-only while it is loaded.
 */
#include "../../traps.h"

#include "gates.h"

#define SYSTEM_DESCRIPTOR_BASE(low, high) ((low) >> 16 | ((high)&0xff) << 16 | ((high)&0xff000000u))

static struct vmi__xen_lock lock;

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
        if ((address - vmi__xen_cpus[i]->arch.ldt_base) >> VMI__PAGE_SHIFT <
            vmi__xen_cpus[i]->arch.ldt_pages)
            return 1;
    return 0;
}

/* Under the lock. Pages of an LDT are read-only while any CPU has it loaded. */
static int32_t protect_ldt(uint32_t base, uint32_t pages, uint32_t read_only, uint32_t call)
{
    for (uint32_t i = 0; i < pages; i++) {
        uint32_t address = base + (i << VMI__PAGE_SHIFT), pfn = vmi__xen_linear_pfn(address);
        uint16_t *state;

        if (pfn >= vmi__xen_memory.linear_pages)
            return VMI_EINVAL;
        state = &vmi__xen_memory.state[pfn];
        if (read_only == (*state & VMI__XEN_DESCRIPTORS) / VMI__XEN_DESCRIPTORS ||
            (!read_only && is_loaded(address)))
            continue;
        if (read_only)
            *state |= VMI__XEN_DESCRIPTORS;
        else
            *state &= (uint16_t)~VMI__XEN_DESCRIPTORS;
        if (vmi__xen_protect(pfn, read_only, call) < 0)
            return VMI_EIO;
    }
    return VMI_OK;
}

VMI__ROUTINE void vmi__xen_set_ldt(uint32_t selector)
{
    uint32_t mask = vmi__xen_take(&lock), base, entries, old_base, old_pages;
    struct vmi__xen_cpu *cpu = vmi__xen_self();
    intptr_t result = find_ldt(&cpu->gdt, selector, &base, &entries);

    if (result >= 0)
        result = protect_ldt(base, pages_of(entries), 1, VMI_ORDINAL_SET_LDT);
    if (result >= 0) {
        vmi__xen_queue_ext(cpu, VMI_ORDINAL_SET_LDT, MMUEXT_SET_LDT, base, entries);
        result = vmi__xen_carry_out(cpu);
    } else {
        vmi__xen_report(VMI_ORDINAL_SET_LDT, selector, entries, result);
    }
    if (result >= 0) {
        old_base = cpu->arch.ldt_base;
        old_pages = cpu->arch.ldt_pages;
        cpu->arch.ldt = selector;
        cpu->arch.ldt_base = base;
        cpu->arch.ldt_pages = pages_of(entries);
        protect_ldt(old_base, old_pages, 0, VMI_ORDINAL_SET_LDT);
    }
    vmi__xen_give(&lock, mask);
}

VMI__ROUTINE uint32_t vmi__xen_get_ldt(void)
{
    uint32_t mask = vmi__xen_mask(), value = vmi__xen_self()->arch.ldt;

    vmi__xen_unmask(mask);
    return value;
}

VMI__ROUTINE void vmi__xen_write_ldt_entry(void *ldt, uint32_t index, uint32_t low, uint32_t high)
{
    uint64_t *entry = (uint64_t *)ldt + index;
    uint32_t pfn = vmi__xen_linear_pfn((uint32_t)(uintptr_t)entry), mask;
    struct vmi__xen_cpu *cpu;

    if (pfn >= vmi__xen_memory.linear_pages ||
        !(vmi__xen_memory.state[pfn] & VMI__XEN_DESCRIPTORS)) {
        *entry = (uint64_t)high << 32 | low;
        return;
    }
    mask = vmi__xen_mask();
    cpu = vmi__xen_self();
    vmi__xen_queue_descriptor(cpu, VMI_ORDINAL_WRITE_LDT_ENTRY, vmi__xen_machine(entry),
                              (uint64_t)high << 32 | low);
    vmi__xen_carry_out_unless_lazy(cpu);
    vmi__xen_unmask(mask);
}

int32_t vmi__xen_ldt_of(struct vmi__xen_cpu *cpu, const struct vmi_ap_state *state,
                        struct vcpu_guest_context *context)
{
    uint32_t mask = vmi__xen_take(&lock), base, entries;
    int32_t result = find_ldt(&cpu->gdt, state->ldtr, &base, &entries);

    if (result >= 0)
        result = protect_ldt(base, pages_of(entries), 1, VMI_ORDINAL_SET_INITIAL_AP_STATE);
    vmi__xen_give(&lock, mask);
    if (result < 0)
        return result;
    cpu->arch.ldt = state->ldtr;
    cpu->arch.ldt_base = base;
    cpu->arch.ldt_pages = pages_of(entries);
    context->ldt_base = base;
    context->ldt_ents = entries;
    return VMI_OK;
}
