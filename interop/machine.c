/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Descriptor tables, traps, interrupt controllers and free pages of the client.
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

volatile uint32_t client_interrupts[256], client_alarms[CLIENT_CPUS_MAX];
volatile uint32_t client_last_cs, client_last_eflags;
void (*volatile client_fault)(void);
volatile uint32_t client_expected_vector, client_expected_resume, client_page_faults;

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

/*
 * With PAE the root's entries have no bit that says accessed, and no processor sets one. QEMU 7.2's
 * emulated one does when it walks through them, and a hypervisor that looks at entries refuses to
 * load the root then. True if that was so: what refused, at `eip`, can be done again.
 */
static bool root_was_marked(uint32_t eip)
{
    volatile pxe *root = client_root;
    bool marked = false;
    uint32_t i;

    /* What runs from here to there must need no walk any more; nor must the second row of stores.
     */
    (void)*(volatile uint8_t *)(uintptr_t)eip;
    for (i = 0; CLIENT_PAE && i < 8; i++) {
        marked |= (root[i & 3] & PXE_ACCESSED) != 0;
        root[i & 3] &= ~(pxe)PXE_ACCESSED;
    }
    return marked;
}

uint32_t client_this_cpu(void)
{
    return *(volatile uint32_t *)(uintptr_t)(APIC_LINEAR + APIC_ID) >> 24;
}

bool client_trap(struct trap_frame *frame)
{
    uint32_t vector = frame->vector, address;

    if (vector == 13 && root_was_marked(frame->eip))
        return false;
    if (vector == 14 && client_fault) {
        (*client_fault)();
        return true;
    }
    client_last_cs = frame->cs & 0xffff;
    client_last_eflags = frame->eflags;
    __sync_fetch_and_add(&client_interrupts[vector], 1);
    if (vector < 32) {
        if (vector != client_expected_vector || !client_expected_resume) {
            __asm__ volatile("mov %%cr2, %0" : "=r"(address));
            client_print("# trap vector=%u error=0x%x eip=0x%x cs=0x%x cr2=0x%x\n", vector,
                         frame->error, frame->eip, frame->cs, address);
            client_panic("a trap that nothing asked for");
        }
        client_page_faults++;
        frame->eip = client_expected_resume;
        client_expected_resume = 0;
    } else if (vector == VECTOR_SYSCALL && (frame->cs & 3)) {
        client_user_done(frame->eax);
    } else if (vector >= VECTOR_IRQ0 && vector < VECTOR_IRQ0 + 8) {
        client_outb(PIC1, 0x20);
    } else if (vector == VECTOR_LVTT || vector == VECTOR_LVTT2) {
        client_alarms[client_this_cpu()]++;
        client_call(CALL_APIC_WRITE, APIC_EOI, 0, 0);
    } else if (vector == VECTOR_WAKE) {
        client_call(CALL_APIC_WRITE, APIC_EOI, 0, 0);
    }
    return true;
}

void *client_page(void)
{
    if (pages_used == sizeof(pages) / sizeof(pages[0]))
        client_panic("no page is free");
    return pages[pages_used++];
}
