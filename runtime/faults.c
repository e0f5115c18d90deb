/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Until a kernel calls SetIDT, an exception would be a triple fault, a reset that says nothing. The
 * library's IDT has each of them print one line instead, and end with VMI_STATUS_PANIC.
 */
#include "faults.h"

#define VECTOR_PAGE_FAULT 14

#define INTERRUPT_GATE 0x8e00u                 /* present, DPL 0 (Intel SDM vol. 3A, 6.11) */
#define GATE_WORDS     (sizeof(uintptr_t) / 2) /* 2 on i386, 4 on x86-64 (6.14.1) */

static uint32_t idt[VMI__FAULT_VECTORS][GATE_WORDS] __attribute__((aligned(8)));

/* Names of vectors (Intel SDM vol. 3A, table 6-1); the others have their number. */
static const struct {
    uint8_t vector;
    char name[25];
} names[] = {
    {0, "divide error"},
    {1, "debug exception"},
    {2, "non-maskable interrupt"},
    {3, "breakpoint"},
    {6, "invalid opcode"},
    {7, "device not available"},
    {8, "double fault"},
    {10, "invalid TSS"},
    {11, "segment not present"},
    {12, "stack fault"},
    {13, "general protection fault"},
    {VECTOR_PAGE_FAULT, "page fault"},
    {17, "alignment check"},
};

void vmi__faults_catch(bool paged)
{
    struct vmi_dtr dtr = {
        .limit = sizeof(idt) - 1,
        .base = paged ? (uintptr_t)idt : vmi__physical(idt),
    };

    for (uint32_t i = 0; i < VMI__FAULT_VECTORS; i++) {
        uint64_t entry = (uintptr_t)vmi__fault_entries + i * VMI__FAULT_ENTRY_SIZE;
        const uint32_t gate[4] = {
            vmi__boot.kernel_cs << 16 | (entry & 0xffff),
            (entry & 0xffff0000u) | INTERRUPT_GATE,
            (uint32_t)(entry >> 32),
        };

        memcpy(idt[i], gate, sizeof(idt[i]));
    }
    vmi_set_idt(&dtr);
}

static VMI__RUN_ONCE char *append(char *to, const char *text)
{
    while (*text)
        *to++ = *text++;
    return to;
}

static VMI__RUN_ONCE char *append_hex(char *to, const char *before, uintptr_t value)
{
    uint32_t shift = 0;

    to = append(append(to, before), "0x");
    while (value >> shift >> 4 && shift + 4 < 8 * sizeof(value))
        shift += 4;
    for (;; shift -= 4) {
        *to++ = "0123456789abcdef"[value >> shift & 15];
        if (!shift)
            return to;
    }
}

static VMI__RUN_ONCE char *append_name(char *to, uint32_t vector)
{
    for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].vector == vector)
            return append(to, names[i].name);
    return append_hex(to, "exception ", vector);
}

static VMI__RUN_ONCE void describe(uint32_t vector, uint32_t error, uintptr_t ip)
{
    char line[192], *end = append(line, "vmi: the kernel faulted before it had an IDT: ");

    end = append_hex(append_name(end, vector), " at ", ip);
    if (vector == VECTOR_PAGE_FAULT)
        end = append_hex(end, " of address ", vmi_get_cr2());
    if (VMI__FAULT_HAS_ERROR >> vector & 1)
        end = append_hex(end, ", error ", error);
    end = append(end, "\r\n");
    vmi_console_write(line, (uint32_t)(end - line));
}

VMI__ROUTINE void vmi__fault(uint32_t vector, uint32_t error, uintptr_t ip)
{
    static const struct vmi_dtr nothing;
    static bool nested;

    if (nested) {
        /* That it can be said is not sure: one more exception ends the machine by itself. */
        vmi_set_idt(&nothing);
    } else {
        nested = true;
        describe(vector, error, ip);
    }
    vmi_shutdown_reason(VMI_SHUTDOWN_CRASH, VMI_STATUS_PANIC);
}
