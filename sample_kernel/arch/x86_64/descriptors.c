/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "descriptors.h"

#include <stddef.h>

#include "cpus.h"
#include "layout.h"
#include "traps.h"
#include "x86.h"

/* Task-state segment, Intel SDM vol. 3A, 7.7: stacks of entries from ring 3, and of a few vectors.
 */
struct tss {
    uint32_t reserved;
    uint64_t rsp0, rsp1, rsp2;
    uint64_t reserved_too;
    uint64_t ist[7];
    uint64_t reserved_last;
    uint16_t none, io_map; /* an I/O map beyond the limit: ring 3 may use no port */
} __attribute__((packed, aligned(8)));
_Static_assert(sizeof(struct tss) == 104, "Intel SDM vol. 3A, figure 7-11");

/* Stacks of vectors that may come at any instruction, by the gate's IST number. */
enum { IST_NMI = 1, IST_DOUBLE_FAULT, IST_MACHINE_CHECK, IST_DEBUG, IST_STACKS = IST_DEBUG };

/*
 * Type and attributes, bits 40-55 of a descriptor. "Accessed" is set, so the processor never
 * writes to the table.
 */
#define ATTRIBUTE_PRESENT    (1ull << 47)
#define ATTRIBUTE_DPL(dpl)   ((uint64_t)(dpl) << 45)
#define ATTRIBUTE_CODE       (0x1bull << 40)
#define ATTRIBUTE_DATA       (0x13ull << 40)
#define ATTRIBUTE_TSS        (0x09ull << 40)
#define ATTRIBUTE_INTERRUPT  (0x0eull << 40)
#define ATTRIBUTE_64BIT      (1ull << 53)
#define ATTRIBUTE_32BIT      (1ull << 54)
#define ATTRIBUTE_4KIB_UNITS (1ull << 55)
#define LIMIT_ALL            0x000f00000000ffffull

#define GDT_ENTRIES (GDT_TSS + 2 * CPUS_MAX)

/* The area that the kernel's GS base names begins with what belongs to the library. */
struct area {
    uint8_t library[VMI_PERCPU_SIZE];
    uint64_t kernel_stack;
} __attribute__((aligned(16)));

/* A page of its own: SetGDT may make it read-only. */
static uint64_t gdt[PAGE_SIZE / sizeof(uint64_t)] __attribute__((aligned(PAGE_SIZE)));
static struct descriptor idt[TRAP_COUNT] __attribute__((aligned(PAGE_SIZE)));
static struct tss tss[CPUS_MAX];
static struct area areas[CPUS_MAX];
_Static_assert(offsetof(struct area, kernel_stack) == AREA_KERNEL_STACK, "entry.S reads it");

/* The stack of a vector, which names its CPU's area where frames end: entry.S looks there. */
struct own_stack {
    uint8_t bytes[IST_SIZE];
    uintptr_t area;
} __attribute__((aligned(16)));
static struct own_stack stacks[CPUS_MAX][IST_STACKS];

static const struct vmi_boot_info *boot_info;

/* descriptors.S */
void segments_load(uint32_t cs, uint32_t ss);

uint32_t kernel_cs(void)
{
    return boot_info->kernel_cs;
}

uint32_t kernel_ss(void)
{
    return boot_info->kernel_ss;
}

uint32_t user_cs(void)
{
    return boot_info->user_cs;
}

uint32_t user_ss(void)
{
    return boot_info->user_ss;
}

uint32_t tss_selector(uint32_t cpu)
{
    return SELECTOR(GDT_TSS + 2 * cpu, 0);
}

struct vmi_dtr descriptors_gdt(void)
{
    return (struct vmi_dtr){.limit = GDT_ENTRIES * sizeof(gdt[0]) - 1, .base = (uintptr_t)gdt};
}

struct vmi_dtr descriptors_idt(void)
{
    return (struct vmi_dtr){.limit = sizeof(idt) - 1, .base = (uintptr_t)idt};
}

uintptr_t descriptors_area(uint32_t cpu)
{
    return (uintptr_t)&areas[cpu];
}

static uint64_t segment(uint64_t base, uint64_t limit, uint64_t attributes)
{
    return (base & 0xff000000) << 32 | (base & 0xffffff) << 16 | (limit & 0xf0000) << 32 |
           (limit & 0xffff) | attributes;
}

struct descriptor descriptor_gate(uintptr_t address, uint32_t dpl)
{
    return (struct descriptor){
        .low = (address & 0xffff) | (uint64_t)kernel_cs() << 16 | ATTRIBUTE_PRESENT |
               ATTRIBUTE_DPL(dpl) | ATTRIBUTE_INTERRUPT | (address >> 16 & 0xffff) << 48,
        .high = address >> 32,
    };
}

uint64_t descriptor_data(uintptr_t base, uint32_t limit)
{
    return segment(base, limit,
                   ATTRIBUTE_DATA | ATTRIBUTE_PRESENT | ATTRIBUTE_DPL(RPL_USER) | ATTRIBUTE_32BIT);
}

void descriptors_kernel_stack(uint32_t cpu, uintptr_t stack)
{
    tss[cpu].rsp0 = stack;
    areas[cpu].kernel_stack = stack;
    vmi_update_kernel_stack(stack);
}

void descriptors_add_cpu(uint32_t cpu)
{
    uintptr_t base = (uintptr_t)&tss[cpu];

    tss[cpu].io_map = sizeof(struct tss);
    for (uint32_t i = 0; i < IST_STACKS; i++) {
        stacks[cpu][i].area = descriptors_area(cpu);
        tss[cpu].ist[i] = (uintptr_t)&stacks[cpu][i].area;
    }
    vmi_write_gdt_entry(gdt, GDT_TSS + 2 * cpu,
                        segment(base, sizeof(struct tss) - 1, ATTRIBUTE_TSS | ATTRIBUTE_PRESENT));
    vmi_write_gdt_entry(gdt, GDT_TSS + 2 * cpu + 1, base >> 32);
}

void descriptors_start_cpu(uint32_t cpu)
{
    vmi_set_tr(tss_selector(cpu));
}

static uint32_t ist_of(uint32_t vector)
{
    switch (vector) {
    case TRAP_NMI:
        return IST_NMI;
    case TRAP_DOUBLE_FAULT:
        return IST_DOUBLE_FAULT;
    case TRAP_MACHINE_CHECK:
        return IST_MACHINE_CHECK;
    case TRAP_DEBUG:
        return IST_DEBUG;
    default:
        return 0;
    }
}

uintptr_t descriptors_stack_of(uint32_t cpu, uint32_t vector)
{
    uint32_t ist = ist_of(vector);

    return ist != 0 ? (uintptr_t)&stacks[cpu][ist - 1] : 0;
}

void descriptors_init(const struct vmi_boot_info *boot, const char *entries)
{
    const uint64_t flat = LIMIT_ALL | ATTRIBUTE_PRESENT | ATTRIBUTE_4KIB_UNITS;

    boot_info = boot;
    vmi_set_gs_base(descriptors_area(0));
    gdt[GDT_KERNEL_CODE] = flat | ATTRIBUTE_CODE | ATTRIBUTE_64BIT;
    gdt[GDT_KERNEL_DATA] = flat | ATTRIBUTE_DATA | ATTRIBUTE_32BIT;
    gdt[GDT_USER_CODE32] = flat | ATTRIBUTE_CODE | ATTRIBUTE_32BIT | ATTRIBUTE_DPL(RPL_USER);
    gdt[GDT_USER_DATA] = flat | ATTRIBUTE_DATA | ATTRIBUTE_32BIT | ATTRIBUTE_DPL(RPL_USER);
    gdt[GDT_USER_CODE] = flat | ATTRIBUTE_CODE | ATTRIBUTE_64BIT | ATTRIBUTE_DPL(RPL_USER);
    struct vmi_dtr gdt_register = descriptors_gdt();
    vmi_set_gdt(&gdt_register);
    segments_load(kernel_cs(), kernel_ss());

    for (uint32_t vector = 0; vector < TRAP_COUNT; vector++) {
        idt[vector] = descriptor_gate((uintptr_t)entries + vector * TRAP_ENTRY_SIZE,
                                      vector == VECTOR_SYSCALL ? RPL_USER : 0);
        idt[vector].low |= (uint64_t)ist_of(vector) << 32;
    }
    struct vmi_dtr idt_register = descriptors_idt();
    vmi_set_idt(&idt_register);

    descriptors_add_cpu(0);
    descriptors_start_cpu(0);
}
