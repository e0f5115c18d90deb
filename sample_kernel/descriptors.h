/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* GDT, IDT, and a TSS for each CPU. */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include <stdint.h>
#include <vmi/vmi.h>

/* A gate of the IDT, and on i386 a segment descriptor, as it lies in its table. */
struct descriptor {
    uintptr_t low, high;
};

/*
 * Builds GDT and IDT, whose gates lead to `entries` (entry.h), loads them and the TSS of the first
 * CPU. Exceptions reach the kernel from here on.
 */
void descriptors_init(const struct vmi_boot_info *boot, const char *entries);

/* Writes the TSS descriptor of a further CPU; called before it is started. */
void descriptors_add_cpu(uint32_t cpu);
/* On the further CPU, whose GDT and IDT came with its initial state: loads its TSS. */
void descriptors_start_cpu(uint32_t cpu);

/* Sets the stack that `cpu`, the running one, switches to at an entry from ring 3. */
void descriptors_kernel_stack(uint32_t cpu, uintptr_t stack);

/* Selectors as loaded in the kernel. */
uint32_t kernel_cs(void);
uint32_t kernel_ss(void);
uint32_t user_cs(void);
uint32_t user_ss(void);
uint32_t tss_selector(uint32_t cpu);

/* The registers as this kernel loaded them. */
struct vmi_dtr descriptors_gdt(void);
struct vmi_dtr descriptors_idt(void);

/* An interrupt gate for code at a linear address. */
struct descriptor descriptor_gate(uintptr_t address, uint32_t dpl);
#ifdef __x86_64__
/* A data segment of DPL 3 (base and a limit below 1 MiB in bytes). */
uint64_t descriptor_data(uintptr_t base, uint32_t limit);
/* The per-CPU area of a CPU, which its GS base names. */
uintptr_t descriptors_area(uint32_t cpu);
/* Where a CPU's stack for a vector begins, IST_SIZE bytes; 0 for vectors without one. */
uintptr_t descriptors_stack_of(uint32_t cpu, uint32_t vector);
#define IST_SIZE 4096
#else
/* A data segment of DPL 3 (base and a limit below 1 MiB in bytes). */
struct descriptor descriptor_data(uintptr_t base, uint32_t limit);
/* A local descriptor table. */
struct descriptor descriptor_ldt(uintptr_t base, uint32_t limit);
#endif

#endif
