/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A Xen for mmu.c and what it includes, where page tables are all that is looked at: hypercalls
 * that are made together, and those of other things, which do nothing. A file has of itself
 * vmi__xen_hypercall_mmu_update and vmi__xen_hypercall_mmuext_op, and where it says so
 * (VMI__XEN_TESTS_MEMORY_OP) vmi__xen_hypercall_memory_op. To be included behind mmu.c and
 * played.h.
 */
#ifndef VMI_XEN_TESTS_XEN_TABLES_H
#define VMI_XEN_TESTS_XEN_TABLES_H

HYPERCALL intptr_t vmi__xen_hypercall_multicall(void *calls, uint32_t count)
{
    struct multicall_entry *op = calls;

    for (uint32_t i = 0; i < count; i++) {
        op[i].result = 0;
        if (op[i].op == __HYPERVISOR_mmu_update)
            vmi__xen_hypercall_mmu_update((void *)op[i].args[0], (uint32_t)op[i].args[1],
                                          (void *)op[i].args[2], 0);
        else if (op[i].op == __HYPERVISOR_mmuext_op)
            vmi__xen_hypercall_mmuext_op((void *)op[i].args[0], (uint32_t)op[i].args[1], 0, 0);
        else
            EXPECT(false);
    }
    return 0;
}

HYPERCALL intptr_t vmi__xen_hypercall_update_va_mapping(uintptr_t address, uint64_t entry,
                                                        uintptr_t flags)
{
    (void)address, (void)entry, (void)flags;
    return 0;
}

HYPERCALL intptr_t vmi__xen_hypercall_stack_switch(uint32_t ss, uintptr_t sp)
{
    (void)ss, (void)sp;
    return 0;
}

HYPERCALL intptr_t vmi__xen_hypercall_fpu_taskswitch(uint32_t set)
{
    (void)set;
    return 0;
}

#ifdef __x86_64__
HYPERCALL intptr_t vmi__xen_hypercall_set_segment_base(uint32_t which, uintptr_t base)
{
    (void)which, (void)base;
    return 0;
}
#endif

#ifndef VMI__XEN_TESTS_MEMORY_OP
HYPERCALL intptr_t vmi__xen_hypercall_memory_op(uint32_t command, void *argument)
{
    (void)command, (void)argument;
    return 0;
}
#endif

bool vmi__xen_m2p_read(const xen_pfn_t *at, uintptr_t *pfn)
{
    *pfn = *at;
    return true;
}

#endif
