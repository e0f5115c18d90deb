/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * I/O APICs. Source: Intel 82093AA data sheet, 3; ACPI 6.5, 5.2.12.5.
 */
#include "native.h"

#define SLOT 1 /* of the first, in the device window */

#define SELECT 0x00 /* byte offsets */
#define WINDOW 0x10

#define REGISTER_VERSION 0x01
#define REGISTER_ENTRIES 0x10

#define NOTHING_THERE UINT32_MAX

#define ENTRY_ACTIVE_LOW 0x02000
#define ENTRY_LEVEL      0x08000
#define ENTRY_MASKED     0x10000

#define OVERRIDE_LOW   0x3 /* in bits 0-1 */
#define OVERRIDE_LEVEL 0x3 /* in bits 2-3 */

static struct ioapic {
    volatile char *registers;
    uint32_t first_line, lines;
} ioapics[VMI__IOAPICS_MAX];

static struct vmi__lock lock; /* select and window go together */

static uint32_t read(const struct ioapic *ioapic, uint32_t reg)
{
    *(volatile uint32_t *)(ioapic->registers + SELECT) = reg;
    return *(volatile uint32_t *)(ioapic->registers + WINDOW);
}

static void write(const struct ioapic *ioapic, uint32_t reg, uint32_t value)
{
    *(volatile uint32_t *)(ioapic->registers + SELECT) = reg;
    *(volatile uint32_t *)(ioapic->registers + WINDOW) = value;
}

VMI__RUN_ONCE void vmi__native_ioapic_init(void)
{
    uint32_t i, input, version;

    for (i = 0; i < vmi__native_acpi.ioapics_count; i++) {
        const struct vmi__native_ioapic_info *info = &vmi__native_acpi.ioapics[i];
        struct ioapic *ioapic = &ioapics[i];

        ioapic->registers = vmi__window_map(SLOT + i, info->address);
        ioapic->first_line = info->first_line;
        version = read(ioapic, REGISTER_VERSION);
        /* Firmware may list one that the machine does not have. */
        ioapic->lines = version == NOTHING_THERE ? 0 : (version >> 16 & 0xff) + 1;
        for (input = 0; input < ioapic->lines; input++)
            write(ioapic, REGISTER_ENTRIES + 2 * input, ENTRY_MASKED);
    }
}

/*
 * Line 0 is usually wired to input 2, where ISA has its cascade, and the tables say so. Some
 * emulators wire it so and do not say: without word of it the line gets both inputs, of which the
 * other has nothing on it.
 */
#define SECOND_INPUT_OF_LINE_0 2

/* The I/O APIC with an input, and the lower register of its entry; 0 if none has it. */
static const struct ioapic *find(uint32_t input, uint32_t *reg)
{
    uint32_t i;

    for (i = 0; i < VMI__IOAPICS_MAX; i++) {
        const struct ioapic *ioapic = &ioapics[i];

        if (ioapic->lines && input >= ioapic->first_line &&
            input - ioapic->first_line < ioapic->lines) {
            *reg = REGISTER_ENTRIES + 2 * (input - ioapic->first_line);
            return ioapic;
        }
    }
    return 0;
}

#define INPUT(gsi) ((gsi) & ~(uint32_t)(VMI_GSI_LEVEL | VMI_GSI_ACTIVE_LOW))

/* Is this the input of line 0, with the other one beside it? */
static bool has_second(uint32_t input)
{
    return input == 0 && vmi__native_acpi.overrides[0].line == 0;
}

uint32_t vmi__native_ioapic_line(uint32_t line)
{
    const struct vmi__native_override *override = &vmi__native_acpi.overrides[line];

    /* Without an override, or where it says "as the bus has it", ISA lines are edges, active high.
     */
    return override->line | ((override->flags >> 2 & 3) == OVERRIDE_LEVEL ? VMI_GSI_LEVEL : 0) |
           ((override->flags & 3) == OVERRIDE_LOW ? VMI_GSI_ACTIVE_LOW : 0);
}

bool vmi__native_ioapic_has(uint32_t input)
{
    uint32_t reg;

    return find(INPUT(input), &reg) != 0;
}

static VMI__RUN_ONCE void route(uint32_t input, uint32_t entry, uint32_t apic_id)
{
    uint32_t reg;
    const struct ioapic *ioapic = find(input, &reg);

    if (!ioapic)
        return;
    /* By edge first: so the entry is not waiting for an end that is not to come. */
    write(ioapic, reg, ENTRY_MASKED);
    write(ioapic, reg, entry);
    write(ioapic, reg + 1, apic_id << 24);
}

VMI__RUN_ONCE void vmi__native_ioapic_route(uint32_t input, uint32_t vector, uint32_t apic_id)
{
    uint32_t entry = ENTRY_MASKED | vector, flags;

    if (input & VMI_GSI_LEVEL)
        entry |= ENTRY_LEVEL;
    if (input & VMI_GSI_ACTIVE_LOW)
        entry |= ENTRY_ACTIVE_LOW;
    input = INPUT(input);
    flags = vmi__lock(&lock);
    route(input, entry, apic_id);
    if (has_second(input))
        route(SECOND_INPUT_OF_LINE_0, entry, apic_id);
    vmi__unlock(&lock, flags);
}

static void send_to(uint32_t input, uint32_t apic_id)
{
    uint32_t reg;
    const struct ioapic *ioapic = find(input, &reg);

    if (ioapic)
        write(ioapic, reg + 1, apic_id << 24);
}

/* By one write, so that an edge finds either CPU. */
void vmi__native_ioapic_send_to(uint32_t input, uint32_t apic_id)
{
    uint32_t flags = vmi__lock(&lock);

    input = INPUT(input);
    send_to(input, apic_id);
    if (has_second(input))
        send_to(SECOND_INPUT_OF_LINE_0, apic_id);
    vmi__unlock(&lock, flags);
}

/*
 * An entry by level waits for the end of its interrupt (Remote IRR, 82093AA data sheet, 3.2.4), and
 * waits no longer once it is one by edges. Linux does the same where an end was missed
 * (arch/x86/kernel/apic/io_apic.c).
 */
void vmi__native_ioapic_forget(uint32_t input)
{
    uint32_t flags = vmi__lock(&lock), reg, entry;
    const struct ioapic *ioapic = find(INPUT(input), &reg);

    if (ioapic) {
        entry = read(ioapic, reg);
        write(ioapic, reg, (entry & ~(uint32_t)ENTRY_LEVEL) | ENTRY_MASKED);
        write(ioapic, reg, entry);
    }
    vmi__unlock(&lock, flags);
}

static void mask(uint32_t input, bool masked)
{
    uint32_t reg, entry;
    const struct ioapic *ioapic = find(input, &reg);

    if (!ioapic)
        return;
    entry = read(ioapic, reg) & ~ENTRY_MASKED;
    write(ioapic, reg, masked ? entry | ENTRY_MASKED : entry);
}

void vmi__native_ioapic_mask(uint32_t input, bool masked)
{
    uint32_t flags = vmi__lock(&lock);

    input = INPUT(input);
    mask(input, masked);
    if (has_second(input))
        mask(SECOND_INPUT_OF_LINE_0, masked);
    vmi__unlock(&lock, flags);
}
