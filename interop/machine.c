/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Descriptor tables, interrupt controllers and free pages of the client.
 */
#include "client.h"

#define PIC1 0x20
#define PIC2 0xa0

#define GATE_INTERRUPT 0x8e00u
#define GATE_USER      0xee00u

#define APIC_PHYSICAL 0xfee00000u
#define PXE_UNCACHED  0x1bu /* present, writable, write-through, not cached */

struct descriptor client_gdt[GDT_SLOTS] __attribute__((aligned(4096)));
struct descriptor client_ldt[512] __attribute__((aligned(4096)));
struct descriptor client_idt[256] __attribute__((aligned(4096)));
struct table_register client_gdtr = {sizeof(client_gdt) - 1, 0};
struct table_register client_idtr = {sizeof(client_idt) - 1, 0};
uint32_t client_tss[TSS_SIZE / 4];

static uint8_t pages[192][4096] __attribute__((aligned(4096)));
static uint32_t pages_used;

struct descriptor client_segment(uint32_t base, uint32_t limit, uint32_t access)
{
    struct descriptor made = {
        .low = (limit & 0xffff) | base << 16,
        .high = (base & 0xff000000) | (limit & 0xf0000) | access | (base >> 16 & 0xff),
    };
    return made;
}

static struct descriptor gate(uint32_t vector)
{
    uint32_t entry = (uint32_t)(uintptr_t)client_traps + 16 * vector;
    uint32_t access = vector == VECTOR_SYSCALL ? GATE_USER : GATE_INTERRUPT;
    struct descriptor made = {KERNEL_CS << 16 | (entry & 0xffff), (entry & 0xffff0000) | access};

    return made;
}

static void pic_init(uint16_t port, uint8_t vector, uint8_t wiring)
{
    client_outb(port, 0x11);
    client_outb(port + 1, vector);
    client_outb(port + 1, wiring);
    client_outb(port + 1, 0x01);
    client_outb(port + 1, 0xff);
}

void client_machine_init(void)
{
    uint32_t i;

    client_gdt[KERNEL_CS / 8] = client_segment(0, 0xfffff, 0x00c09b00);
    client_gdt[KERNEL_DS / 8] = client_segment(0, 0xfffff, 0x00c09300);
    client_gdt[USER_CS / 8] = client_segment(0, 0xfffff, 0x00c0fb00);
    client_gdt[USER_DS / 8] = client_segment(0, 0xfffff, 0x00c0f300);
    client_gdt[TSS_BSP / 8] =
        client_segment((uint32_t)(uintptr_t)client_tss, TSS_SIZE - 1, ACCESS_TSS);
    client_gdt[LDT / 8] =
        client_segment((uint32_t)(uintptr_t)client_ldt, sizeof(client_ldt) - 1, 0x00008200);
    client_tss[2] = KERNEL_DS;
    client_tss[25] = TSS_SIZE << 16;
    for (i = 0; i < 256; i++)
        client_idt[i] = gate(i);
    client_gdtr.base = (uint32_t)(uintptr_t)client_gdt;
    client_idtr.base = (uint32_t)(uintptr_t)client_idt;
    __asm__ volatile("lgdt %0; lidt %1" : : "m"(client_gdtr), "m"(client_idtr));
    __asm__ volatile("ljmp %0, $1f; 1: mov %1, %%ds; mov %1, %%es; mov %1, %%ss; mov %1, %%fs;"
                     "mov %1, %%gs"
                     :
                     : "i"(KERNEL_CS), "r"(KERNEL_DS)
                     : "memory");

    pic_init(PIC1, VECTOR_IRQ0, 1 << 2);
    pic_init(PIC2, VECTOR_IRQ0 + 8, 2);
    client_apic_table[(APIC_LINEAR >> 12) & ((1u << TABLE_SHIFT) - 1)] =
        APIC_PHYSICAL | PXE_UNCACHED;
}

void *client_page(void)
{
    if (pages_used == sizeof(pages) / sizeof(pages[0]))
        client_panic("no page is free");
    return pages[pages_used++];
}
