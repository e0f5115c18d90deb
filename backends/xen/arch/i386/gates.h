/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Gates and descriptors on i386 (Intel SDM vol. 3A, 3.4.5 and 6.11).
 */
#ifndef VMI_XEN_ARCH_I386_GATES_H
#define VMI_XEN_ARCH_I386_GATES_H

#include "../../traps.h"

/* Bits of a descriptor's second word. */
#define DESCRIPTOR_TYPE(high) ((high) >> 8 & 0xf)
#define DESCRIPTOR_DPL(high)  ((high) >> 13 & 3)
#define DESCRIPTOR_SEGMENT    0x00001000u /* code or data, not a system descriptor */
#define DESCRIPTOR_DPL_1      0x00002000u
#define DESCRIPTOR_PRESENT    0x00008000u
#define TYPE_LDT              2
#define TYPE_INTERRUPT_GATE   14
#define TYPE_TRAP_GATE        15

/* IDT vector that is Xen's hypercall gate for 32-bit guests. */
#define HYPERCALL_VECTOR 0x82

#define VECTOR_NMI 2

/* Vectors of faults that a load of a segment register raises (Intel SDM vol. 3A, table 6-1). */
#define VECTOR_NOT_PRESENT 11
#define VECTOR_PROTECTION  13

/* `lsl` with a requested privilege of 3 reads it from any ring. */
#define CPU_DESCRIPTOR(number) (0x0000f20000000000ull | (number))

/* What Xen enters in place of the kernel's handlers, for NMIs, #NP and #GP (vmi__xen_trap_entries).
 */
enum { ENTRY_NMI, ENTRY_NOT_PRESENT, ENTRY_PROTECTION, VMI__XEN_TRAP_ENTRIES };

typedef uint32_t vmi__xen_gate[2];

/* Beside the kernel's descriptors. */
static inline void vmi__xen_gdt_fill(uint64_t *page, uint32_t number)
{
    page[VMI__XEN_GDT_KERNEL] = CPU_DESCRIPTOR(number);
}

static inline void vmi__xen_queue_descriptor(struct vmi__xen_cpu *cpu, uint32_t call,
                                             uint64_t machine, uint64_t descriptor)
{
    vmi__xen_queue(cpu, call, __HYPERVISOR_update_descriptor, (uint32_t)machine,
                   (uint32_t)(machine >> 32), (uint32_t)descriptor, (uint32_t)(descriptor >> 32));
}

/* A descriptor of the kernel's as Xen may have it: at ring 1 instead of 0, 0 for what Xen does not
 * take. */
static inline uint64_t vmi__xen_accepted(uint64_t descriptor)
{
    uint32_t high = (uint32_t)(descriptor >> 32);

    if (!(high & DESCRIPTOR_PRESENT) || !(high & DESCRIPTOR_SEGMENT))
        return 0;
    if (DESCRIPTOR_DPL(high) == 0)
        high |= DESCRIPTOR_DPL_1;
    return (uint64_t)high << 32 | (uint32_t)descriptor;
}

/* A gate as Xen has it; address 0 for one that is not present or no 32-bit interrupt or trap gate.
 */
static inline struct trap_info vmi__xen_gate_of(uint32_t vector, const vmi__xen_gate *entry)
{
    uint32_t low = (*entry)[0], high = (*entry)[1];
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
static inline struct trap_info vmi__xen_installed(struct trap_info gate)
{
    const char *entry = gate.vector == VECTOR_NOT_PRESENT ? vmi__xen_trap_entries[ENTRY_NOT_PRESENT]
                        : gate.vector == VECTOR_PROTECTION ? vmi__xen_trap_entries[ENTRY_PROTECTION]
                        : gate.vector == VECTOR_NMI        ? vmi__xen_trap_entries[ENTRY_NMI]
                                                           : 0;

    if (entry) {
        TI_SET_IF(&gate, 1);
        gate.cs = FLAT_KERNEL_CS;
        gate.address = (uint32_t)(uintptr_t)entry;
    }
    return gate;
}

/* The LDT of a started CPU's context. Returns 0 or a VMI error. */
int32_t vmi__xen_ldt_of(struct vmi__xen_cpu *cpu, const struct vmi_ap_state *state,
                        struct vcpu_guest_context *context);

#endif
