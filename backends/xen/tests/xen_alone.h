/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What mmu.c needs of the library's other parts where a CPU is at work by itself, no memory of a
 * device is mapped and no descriptor is looked at. To be included behind mmu.c and played.h.
 */
#ifndef VMI_XEN_TESTS_XEN_ALONE_H
#define VMI_XEN_TESTS_XEN_ALONE_H

HYPERCALL intptr_t vmi__xen_hypercall_update_descriptor(uint64_t address, uint64_t descriptor)
{
    (void)address, (void)descriptor;
    return 0;
}

bool vmi__cpu_set_exists(const uint32_t *set, uint32_t bits)
{
    (void)set, (void)bits;
    return false;
}

uint32_t vmi__cpu_set_next(const uint32_t *set, uint32_t bits, uint32_t self, uint32_t from)
{
    (void)set, (void)bits, (void)self, (void)from;
    return ~0u;
}

bool vmi__device_mapped(uint64_t physical)
{
    (void)physical;
    return false;
}

#endif
