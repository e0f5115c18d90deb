/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Gates and descriptors on x86-64 (Intel SDM vol. 3A, 3.4.5 and 6.14.1).
 */
#ifndef VMI_XEN_ARCH_X86_64_GATES_H
#define VMI_XEN_ARCH_X86_64_GATES_H

#include "../../traps.h"

/* Bits of a descriptor's second word. */
#define DESCRIPTOR_TYPE(high) ((high) >> 8 & 0xf)
#define DESCRIPTOR_DPL(high)  ((high) >> 13 & 3)
#define DESCRIPTOR_SEGMENT    0x00001000u /* code or data, not a system descriptor */
#define DESCRIPTOR_DPL_3      0x00006000u
#define DESCRIPTOR_PRESENT    0x00008000u
#define TYPE_INTERRUPT_GATE   14
#define TYPE_TRAP_GATE        15

/* All vectors enter by events.S, where that much lies between one and the next. */
#define TRAP_ENTRY_SIZE 16
enum { ENTRY_FIRST, VMI__XEN_TRAP_ENTRIES };

typedef uint64_t vmi__xen_gate[2];

/* Beside the kernel's descriptors: nothing. */
static inline void vmi__xen_gdt_fill(uint64_t *page, uint32_t number)
{
    (void)page;
    (void)number;
}

static inline void vmi__xen_queue_descriptor(struct vmi__xen_cpu *cpu, uint32_t call,
                                             uint64_t machine, uint64_t descriptor)
{
    vmi__xen_queue(cpu, call, __HYPERVISOR_update_descriptor, machine, descriptor, 0, 0);
}

/* A descriptor of the kernel's as Xen may have it: at ring 3 instead of 0, 0 for what Xen does not
 * take. */
static inline uint64_t vmi__xen_accepted(uint64_t descriptor)
{
    uint32_t high = (uint32_t)(descriptor >> 32);

    if (!(high & DESCRIPTOR_PRESENT) || !(high & DESCRIPTOR_SEGMENT))
        return 0;
    if (DESCRIPTOR_DPL(high) == 0)
        high |= DESCRIPTOR_DPL_3;
    return (uint64_t)high << 32 | (uint32_t)descriptor;
}

/* A gate as Xen has it; address 0 for one that is not present or no interrupt or trap gate. */
static inline struct trap_info vmi__xen_gate_of(uint32_t vector, const vmi__xen_gate *entry)
{
    uint64_t low = (*entry)[0];
    uint32_t high = (uint32_t)(low >> 32), type = DESCRIPTOR_TYPE(high);
    struct trap_info gate = {.vector = (uint8_t)vector};

    if (!(high & DESCRIPTOR_PRESENT) || high & DESCRIPTOR_SEGMENT ||
        (type != TYPE_INTERRUPT_GATE && type != TYPE_TRAP_GATE))
        return gate;
    TI_SET_DPL(&gate, (uint8_t)DESCRIPTOR_DPL(high));
    TI_SET_IF(&gate, type == TYPE_INTERRUPT_GATE);
    gate.cs = (uint16_t)(low >> 16);
    gate.address = (*entry)[1] << 32 | (high & 0xffff0000u) | (low & 0xffff);
    return gate;
}

/* The vector whose entry the library needs itself (m2p.S). */
#define VECTOR_PAGE_FAULT 14

/* A gate as Xen is to have it: with the library's entry point, which goes on to the kernel's. */
static inline struct trap_info vmi__xen_installed(struct trap_info gate)
{
    if (gate.address || gate.vector == VECTOR_PAGE_FAULT) {
        gate.cs = FLAT_KERNEL_CS;
        gate.address =
            (uintptr_t)vmi__xen_trap_entries[ENTRY_FIRST] + TRAP_ENTRY_SIZE * gate.vector;
    }
    return gate;
}

/* The LDT of a started CPU's context: there is none. */
static inline int32_t vmi__xen_ldt_of(struct vmi__xen_cpu *cpu, const struct vmi_ap_state *state,
                                      struct vcpu_guest_context *context)
{
    (void)cpu;
    (void)state;
    (void)context;
    return VMI_OK;
}

#endif
