/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What is done about traps.
 */
#include "client.h"

#define PIC1 0x20
#define HLT  0xf4

volatile uint32_t client_interrupts[256], client_alarms[CLIENT_CPUS_MAX];
volatile uint32_t client_last_cs, client_last_eflags;
void (*volatile client_fault)(void);
volatile uint32_t client_expected_vector, client_expected_resume, client_page_faults;

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

/*
 * Behind STI a processor takes no interrupt before the next instruction, so none returns to a HLT
 * that is behind it. QEMU's emulated virtualization takes one there if the guest is left in
 * between, and that HLT might have nothing to wait for any more.
 */
static void skip_halt(struct trap_frame *frame)
{
    if (!(frame->cs & 3) && *(volatile uint8_t *)(uintptr_t)frame->eip == HLT)
        frame->eip++;
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
    if (vector >= 32)
        skip_halt(frame);
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
