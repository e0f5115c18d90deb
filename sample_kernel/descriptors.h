/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* GDT, IDT, and a TSS for each CPU. */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include <stdint.h>
#include <vmi/vmi.h>

/* A segment descriptor or gate as it lies in its table. */
struct descriptor {
    uint32_t low, high;
};

/*
 * Builds GDT and IDT, loads them and the TSS of the first CPU. Exceptions reach the kernel from
 * here on.
 */
void descriptors_init(const struct vmi_boot_info *boot);

/* Writes the TSS descriptor of a further CPU; called before it is started. */
void descriptors_add_cpu(uint32_t cpu);
/* On the further CPU, whose GDT and IDT came with its initial state: loads its TSS. */
void descriptors_start_cpu(uint32_t cpu);

/* Sets the stack that `cpu`, the running one, switches to at an entry from ring 3. */
void descriptors_kernel_stack(uint32_t cpu, uint32_t esp);

/* Selectors as loaded in the kernel. */
uint32_t kernel_cs(void);
uint32_t kernel_ss(void);
uint32_t tss_selector(uint32_t cpu);

/* The registers as this kernel loaded them. */
struct vmi_dtr descriptors_gdt(void);
struct vmi_dtr descriptors_idt(void);

/* An interrupt gate for code at a linear address. */
struct descriptor descriptor_gate(uint32_t address, uint32_t dpl);
/* A data segment of DPL 3 (base and a limit below 1 MiB in bytes). */
struct descriptor descriptor_data(uint32_t base, uint32_t limit);
/* A local descriptor table. */
struct descriptor descriptor_ldt(uint32_t base, uint32_t limit);

#endif
