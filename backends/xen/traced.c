/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The flavour `traced` in a PV domain (runtime/traced/machine.h). The first CPU cannot be asked for
 * before it has been started; events are masked until then.
 */
#include "domain.h"
#include "traced/machine.h"

/* The multicall that a CPU is making. It is made with events masked; one of an NMI's would be in
 * its place, and the results of the one before not be told. */
static struct {
    const struct vmi__flavour_frame *frame; /* 0: none */
    const struct multicall_entry *list;
    uint32_t count;
} multicalls[VMI__XEN_CPUS_MAX];

static bool started(void)
{
    return vmi__xen_cpus[0] && vmi__xen_cpus[0]->started;
}

uintptr_t vmi__trace_mask(void)
{
    return started() ? vmi__xen_mask() : 1;
}

void vmi__trace_unmask(uintptr_t mask)
{
    vmi__xen_unmask((uint32_t)mask);
}

uint32_t vmi__trace_cpu(void)
{
    return started() ? vmi__xen_this() : 0;
}

/* From Xen's factor (xen/xen.h, struct vcpu_time_info): nanoseconds are cycles, shifted, times
 * tsc_to_system_mul / 2^32. */
uint64_t vmi__trace_frequency(void)
{
    const struct vcpu_time_info *time = started() ? &vmi__xen_vcpu(0)->time : 0;
    uint64_t frequency;

    if (!time || !time->tsc_to_system_mul)
        return 0;
    frequency = vmi__div64((uint64_t)1000000000 << 32, time->tsc_to_system_mul);
    return time->tsc_shift < 0 ? frequency << -time->tsc_shift : frequency >> time->tsc_shift;
}

/* The number of an element of an array, or `count` if it is none of it. */
static uint32_t number_in(const void *array, uint32_t size, uint32_t count, const void *element)
{
    uintptr_t distance = (uintptr_t)element - (uintptr_t)array;

    return distance < (uintptr_t)size * count ? (uint32_t)(distance / size) : count;
}

/* Page-table updates know what calls they are of; operations are of that of the entry of the list,
 * `caller` as records have it. */
static void note_elements(const struct vmi__xen_cpu *cpu, uint32_t number, uintptr_t list,
                          uintptr_t count, uintptr_t caller, const struct vmi__flavour_frame *frame)
{
    const struct mmu_update *updates = (const struct mmu_update *)list;
    const struct mmuext_op *operations = (const struct mmuext_op *)list;

    for (uintptr_t i = 0; number == __HYPERVISOR_mmu_update && i < count; i++) {
        const uint64_t values[] = {updates[i].ptr, updates[i].val};
        uint32_t kept =
            cpu ? number_in(cpu->update, sizeof(cpu->update[0]), VMI__XEN_BATCH, &updates[i])
                : VMI__XEN_BATCH;

        vmi__trace_note(VMI__TRACE_ELEMENT, number,
                        kept < VMI__XEN_BATCH ? 1u + cpu->update_call[kept] : caller, frame, values,
                        2);
    }
    for (uintptr_t i = 0; number == __HYPERVISOR_mmuext_op && i < count; i++) {
        const struct mmuext_op *operation = &operations[i];
        uint32_t command = operation->cmd;
        bool pointer = command == MMUEXT_INVLPG_MULTI || command == MMUEXT_TLB_FLUSH_MULTI;
        const uint64_t values[] = {command, operation->arg1.linear_addr,
                                   pointer ? (uintptr_t)operation->arg2.vcpumask.p
                                           : operation->arg2.nr_ents};

        vmi__trace_note(VMI__TRACE_ELEMENT, number, caller, frame, values, 3);
    }
}

void vmi__trace_list(uint32_t number, const uint64_t *arguments,
                     const struct vmi__flavour_frame *frame)
{
    const struct vmi__xen_cpu *cpu = started() ? vmi__xen_self() : 0;
    const struct multicall_entry *list = (const struct multicall_entry *)(uintptr_t)arguments[0];
    uint32_t count = (uint32_t)arguments[1];

    if (number != __HYPERVISOR_multicall) {
        /* One operation that was kept back alone is made as itself. */
        bool kept = cpu && number_in(cpu->ext, sizeof(cpu->ext[0]), VMI__XEN_OPS, list) == 0;

        note_elements(cpu, number, (uintptr_t)list, count, kept ? 1u + cpu->op_call[0] : 0, frame);
        return;
    }
    multicalls[vmi__trace_cpu()] = (typeof(multicalls[0])){frame, list, count};
    for (uint32_t i = 0; i < count; i++) {
        const struct multicall_entry *each = &list[i];
        uint64_t values[VMI__TRACE_WORDS];
        uint32_t kept = cpu ? number_in(cpu->lists[cpu->list], sizeof(*each), VMI__XEN_OPS, each)
                            : VMI__XEN_OPS;
        uintptr_t caller = kept < VMI__XEN_OPS ? 1u + cpu->op_call[kept] : 0;

        for (uint32_t word = 0; word < VMI__TRACE_WORDS; word++)
            values[word] = each->args[word];
        vmi__trace_note(VMI__TRACE_LISTED, (uint32_t)each->op, caller, frame, values,
                        VMI__TRACE_WORDS);
        note_elements(cpu, (uint32_t)each->op, each->args[0], each->args[1], caller, frame);
    }
}

void vmi__trace_list_made(const struct vmi__flavour_frame *frame)
{
    uint32_t cpu = vmi__trace_cpu();

    if (multicalls[cpu].frame != frame)
        return;
    multicalls[cpu].frame = 0;
    for (uint32_t i = 0; i < multicalls[cpu].count; i++) {
        uint64_t result = multicalls[cpu].list[i].result;

        vmi__trace_note(VMI__TRACE_RESULT, i, 0, frame, &result, 1);
    }
}
