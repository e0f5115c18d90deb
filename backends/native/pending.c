/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Interrupts that firmware has left in the first CPU's local APIC: UEFI's timer may have asked for
 * one just before the loader masked it. Only the processor can take a request back, by taking the
 * interrupt. Source: Intel SDM vol. 3A, 11.8.4 and 11.8.5.
 */
#include "native.h"

#define VECTORS    256
#define WORDS      (VECTORS / 32) /* registers, 16 bytes apart, of a bit for each vector */
#define GATE_WORDS (sizeof(uintptr_t) / 2)

#define INTERRUPT_GATE 0x8e00u /* present, DPL 0 (Intel SDM vol. 3A, 6.11) */

/* Whether any vector's bit is set in the registers from here on. */
static bool any(uint32_t reg)
{
    uint32_t found = 0, i;

    for (i = 0; i < WORDS; i++)
        found |= vmi__native_apic_read(reg + 16 * i);
    return found != 0;
}

void vmi__native_pending_forget(void)
{
    uint32_t gates[VECTORS][GATE_WORDS] __attribute__((aligned(8))), i;
    uint64_t entry = (uintptr_t)vmi__native_pending_taken;
    const uint32_t gate[4] = {
        vmi__boot.kernel_cs << 16 | (entry & 0xffff),
        (entry & 0xffff0000u) | INTERRUPT_GATE,
        (uint32_t)(entry >> 32),
    };
    const struct vmi_dtr idt = {.limit = sizeof(gates) - 1, .base = (uintptr_t)gates};
    struct vmi_dtr before;

    /* What is in service keeps others from coming. */
    for (i = 0; i < VECTORS && any(VMI__APIC_ISR); i++)
        vmi__native_apic_write(VMI_APIC_EOI, 0);
    if (!any(VMI__APIC_IRR))
        return;
    for (i = 0; i < VECTORS; i++)
        memcpy(gates[i], gate, sizeof(gates[i]));
    __asm__ volatile("sidt %0; lidt %1" : "=m"(before) : "m"(idt), "m"(gates) : "memory");
    /* An input of an I/O APIC asks at most once more, for it is masked. */
    for (i = 0; i < 2 * VECTORS && vmi__native_pending_take(); i++)
        vmi__native_apic_write(VMI_APIC_EOI, 0);
    __asm__ volatile("lidt %0" : : "m"(before) : "memory");
}
