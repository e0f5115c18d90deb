/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The list of CPUs, tables that have a row for each of them, and sets of them as calls have them.
 */
#include "runtime.h"

static struct vmi_cpu *cpus = vmi__cpus;
static uint32_t room = VMI__CPUS_FEW;

void *vmi__memory_table(uint32_t count, uint32_t size)
{
    uint64_t bytes = (uint64_t)count * size, end = (uint64_t)vmi__boot.linear_pages << 12;
    uint32_t limit = end > UINT32_MAX ? UINT32_MAX : (uint32_t)end, at;

    at = bytes && bytes < limit ? vmi__memory_claim((uint32_t)bytes, limit) : 0;
    return at ? memset(vmi__linear(at), 0, (size_t)bytes) : 0;
}

void vmi__cpus_expect(uint32_t count)
{
    struct vmi_cpu *more = count > room ? vmi__memory_table(count, sizeof(*more)) : 0;

    if (!more)
        return;
    memcpy(more, cpus, vmi__boot.cpu_count * sizeof(*cpus));
    cpus = more;
    room = count;
    vmi__boot.cpus = more;
}

void vmi__cpu_add(uint32_t apic_id)
{
    uint32_t count = vmi__boot.cpu_count;

    if (vmi__cpu_by_apic_id(apic_id) != count || count == room)
        return;
    cpus[count].apic_id = apic_id;
    cpus[count].node = VMI_NODE_UNKNOWN;
    vmi__boot.cpu_count++;
}

void vmi__cpu_is_near(uint32_t apic_id, uint32_t node)
{
    uint32_t cpu = vmi__cpu_by_apic_id(apic_id);

    if (cpu < vmi__boot.cpu_count)
        cpus[cpu].node = node;
}

void vmi__cpu_first(uint32_t apic_id)
{
    cpus[0].apic_id = apic_id;
    cpus[0].node = VMI_NODE_UNKNOWN;
}

uint32_t vmi__cpu_by_apic_id(uint32_t apic_id)
{
    uint32_t cpu = 0;

    while (cpu < vmi__boot.cpu_count && cpus[cpu].apic_id != apic_id)
        cpu++;
    return cpu;
}

void *vmi__cpu_rows(uint32_t size)
{
    void *rows;

    if (vmi__boot.cpu_count <= VMI__CPUS_FEW)
        return 0;
    rows = vmi__memory_table(vmi__boot.cpu_count - VMI__CPUS_FEW, size);
    if (!rows)
        vmi__boot.cpu_count = VMI__CPUS_FEW;
    return rows;
}

/* ---- sets ---- */

/* The lowest bit that is set from `from` on; `bits` if there is none. */
static uint32_t lowest(const uint32_t *set, uint32_t bits, uint32_t from)
{
    while (from < bits) {
        uint32_t word = set[from / 32] >> from % 32;

        if (word) {
            from += (uint32_t)__builtin_ctz(word);
            return from < bits ? from : bits;
        }
        from = (from | 31) + 1;
    }
    return bits;
}

bool vmi__cpu_set_exists(const uint32_t *set, uint32_t bits)
{
    if (bits >= VMI_CPUS_ALL_BUT_SELF)
        return true;
    return bits <= VMI_CPUS_LIMIT && lowest(set, bits, vmi__boot.cpu_count) >= bits;
}

uint32_t vmi__cpu_set_next(const uint32_t *set, uint32_t bits, uint32_t self, uint32_t from)
{
    uint32_t count = vmi__boot.cpu_count;

    if (bits < VMI_CPUS_ALL_BUT_SELF)
        from = lowest(set, bits < count ? bits : count, from);
    else if (bits == VMI_CPUS_ALL_BUT_SELF && from == self)
        from++;
    return from < count && (bits >= VMI_CPUS_ALL_BUT_SELF || from < bits) ? from : count;
}
