/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "descriptors.h"

#include "cpus.h"

#include "frame.h"
#include "layout.h"
#include "traps.h"
#include "x86.h"

/*
 * Task-state segment, Intel SDM vol. 3A, 7.2.1. This kernel uses it for one thing: the stack of
 * entries from ring 3.
 */
struct tss {
    uint32_t previous;
    uint32_t esp0, ss0;
    uint32_t other_stacks[4];
    uint32_t registers[17];
    uint32_t ldt;
    uint16_t trap, io_map; /* an I/O map beyond the limit: ring 3 may use no port */
};
_Static_assert(sizeof(struct tss) == 104, "Intel SDM vol. 3A, figure 7-2");

/*
 * Type and attributes, bits 8-15 of the upper word. "Accessed" is set, so the processor never
 * writes to the table.
 */
#define ATTRIBUTE_PRESENT    0x8000
#define ATTRIBUTE_DPL(dpl)   ((dpl) << 13)
#define ATTRIBUTE_CODE       0x1b00
#define ATTRIBUTE_DATA       0x1300
#define ATTRIBUTE_LDT        0x0200
#define ATTRIBUTE_TSS        0x0900
#define ATTRIBUTE_INTERRUPT  0x0e00
#define ATTRIBUTE_32BIT      0x00400000
#define ATTRIBUTE_4KIB_UNITS 0x00800000

#define GDT_ENTRIES (GDT_TSS + CPUS_MAX)

/* A page of its own: SetGDT may make it read-only. */
static struct descriptor gdt[PAGE_SIZE / sizeof(struct descriptor)]
    __attribute__((aligned(PAGE_SIZE)));
static struct descriptor idt[TRAP_COUNT] __attribute__((aligned(PAGE_SIZE)));
static struct tss tss[CPUS_MAX];

static uint32_t rpl;

/* descriptors.S */
void segments_load(uint32_t cs, uint32_t ss) FROM_ASSEMBLY;

uint32_t kernel_cs(void)
{
    return SELECTOR(GDT_KERNEL_CODE, rpl);
}

uint32_t kernel_ss(void)
{
    return SELECTOR(GDT_KERNEL_DATA, rpl);
}

uint32_t user_cs(void)
{
    return USER_CS;
}

uint32_t user_ss(void)
{
    return USER_DS;
}

uint32_t tss_selector(uint32_t cpu)
{
    return SELECTOR(GDT_TSS + cpu, 0);
}

struct vmi_dtr descriptors_gdt(void)
{
    return (struct vmi_dtr){.limit = GDT_ENTRIES * sizeof(struct descriptor) - 1,
                            .base = (uintptr_t)gdt};
}

struct vmi_dtr descriptors_idt(void)
{
    return (struct vmi_dtr){.limit = sizeof(idt) - 1, .base = (uintptr_t)idt};
}

static struct descriptor segment(uintptr_t base, uint32_t limit, uint32_t attributes)
{
    return (struct descriptor){
        .low = base << 16 | (limit & 0xffff),
        .high = (base & 0xff000000) | attributes | (limit & 0x000f0000) | (base >> 16 & 0xff),
    };
}

static struct descriptor flat_segment(uint32_t type, uint32_t dpl)
{
    return segment(0, 0xfffff,
                   type | ATTRIBUTE_PRESENT | ATTRIBUTE_DPL(dpl) | ATTRIBUTE_32BIT |
                       ATTRIBUTE_4KIB_UNITS);
}

struct descriptor descriptor_gate(uintptr_t address, uint32_t dpl)
{
    return (struct descriptor){
        .low = kernel_cs() << 16 | (address & 0xffff),
        .high =
            (address & 0xffff0000) | ATTRIBUTE_PRESENT | ATTRIBUTE_DPL(dpl) | ATTRIBUTE_INTERRUPT,
    };
}

struct descriptor descriptor_data(uintptr_t base, uint32_t limit)
{
    return segment(base, limit,
                   ATTRIBUTE_DATA | ATTRIBUTE_PRESENT | ATTRIBUTE_DPL(RPL_USER) | ATTRIBUTE_32BIT);
}

struct descriptor descriptor_ldt(uintptr_t base, uint32_t limit)
{
    return segment(base, limit, ATTRIBUTE_LDT | ATTRIBUTE_PRESENT);
}

void descriptors_kernel_stack(uint32_t cpu, uintptr_t stack)
{
    tss[cpu].ss0 = kernel_ss();
    tss[cpu].esp0 = stack;
    vmi_update_kernel_stack(kernel_ss(), stack);
}

void descriptors_add_cpu(uint32_t cpu)
{
    tss[cpu].io_map = sizeof(struct tss);
    tss[cpu].ss0 = kernel_ss();
    struct descriptor entry =
        segment((uintptr_t)&tss[cpu], sizeof(struct tss) - 1, ATTRIBUTE_TSS | ATTRIBUTE_PRESENT);
    vmi_write_gdt_entry(gdt, GDT_TSS + cpu, entry.low, entry.high);
}

void descriptors_start_cpu(uint32_t cpu)
{
    vmi_set_ldt(0);
    vmi_set_tr(tss_selector(cpu));
}

void descriptors_init(const struct vmi_boot_info *boot, const char *entries)
{
    rpl = boot->kernel_rpl;

    gdt[GDT_KERNEL_CODE] = flat_segment(ATTRIBUTE_CODE, 0);
    gdt[GDT_KERNEL_DATA] = flat_segment(ATTRIBUTE_DATA, 0);
    gdt[GDT_USER_CODE] = flat_segment(ATTRIBUTE_CODE, RPL_USER);
    gdt[GDT_USER_DATA] = flat_segment(ATTRIBUTE_DATA, RPL_USER);
    struct vmi_dtr gdt_register = descriptors_gdt();
    vmi_set_gdt(&gdt_register);
    segments_load(kernel_cs(), kernel_ss());

    for (uint32_t vector = 0; vector < TRAP_COUNT; vector++)
        idt[vector] = descriptor_gate((uintptr_t)entries + vector * TRAP_ENTRY_SIZE,
                                      vector == VECTOR_SYSCALL ? RPL_USER : 0);
    struct vmi_dtr idt_register = descriptors_idt();
    vmi_set_idt(&idt_register);

    descriptors_add_cpu(0);
    descriptors_start_cpu(0);
}
