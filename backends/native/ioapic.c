/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * I/O APICs, for the ISA lines. Source: Intel 82093AA data sheet, 3; ACPI 6.5, 5.2.12.5.
 */
#include "native.h"

#define SLOT 1 /* of the first, in the device window */

#define SELECT 0x00 /* byte offsets */
#define WINDOW 0x10

#define REGISTER_VERSION 0x01
#define REGISTER_ENTRIES 0x10

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

void vmi__native_ioapic_init(void)
{
    uint32_t i, input;

    for (i = 0; i < vmi__native_acpi.ioapics_count && vmi__native_apic_present; i++) {
        const struct vmi__native_ioapic_info *info = &vmi__native_acpi.ioapics[i];
        struct ioapic *ioapic = &ioapics[i];

        ioapic->registers = vmi__window_map(SLOT + i, info->address);
        ioapic->first_line = info->first_line;
        ioapic->lines = (read(ioapic, REGISTER_VERSION) >> 16 & 0xff) + 1;
        for (input = 0; input < ioapic->lines; input++)
            write(ioapic, REGISTER_ENTRIES + 2 * input, ENTRY_MASKED);
    }
}

/* The I/O APIC with an ISA line, and the lower register of its entry; 0 if none has it. */
static const struct ioapic *find(uint32_t line, uint32_t *reg)
{
    uint32_t input = vmi__native_acpi.overrides[line].line, i;

    for (i = 0; i < VMI__IOAPICS_MAX; i++) {
        const struct ioapic *ioapic = &ioapics[i];

        if (ioapic->lines && input >= ioapic->first_line && input - ioapic->first_line < ioapic->lines) {
            *reg = REGISTER_ENTRIES + 2 * (input - ioapic->first_line);
            return ioapic;
        }
    }
    return 0;
}

bool vmi__native_ioapic_has(uint32_t line)
{
    uint32_t reg;

    return find(line, &reg) != 0;
}

bool vmi__native_ioapic_level(uint32_t line)
{
    /* Without an override, or where it says "as the bus has it", ISA lines are edges, active high. */
    return (vmi__native_acpi.overrides[line].flags >> 2 & 3) == OVERRIDE_LEVEL;
}

void vmi__native_ioapic_route(uint32_t line, uint32_t vector, uint32_t apic_id)
{
    uint32_t entry = ENTRY_MASKED | vector, reg, flags;
    const struct ioapic *ioapic = find(line, &reg);

    if (vmi__native_ioapic_level(line))
        entry |= ENTRY_LEVEL;
    if ((vmi__native_acpi.overrides[line].flags & 3) == OVERRIDE_LOW)
        entry |= ENTRY_ACTIVE_LOW;
    flags = vmi__lock(&lock);
    write(ioapic, reg, entry);
    write(ioapic, reg + 1, apic_id << 24);
    vmi__unlock(&lock, flags);
}

void vmi__native_ioapic_unmask(uint32_t line)
{
    uint32_t reg, flags;
    const struct ioapic *ioapic = find(line, &reg);

    flags = vmi__lock(&lock);
    write(ioapic, reg, read(ioapic, reg) & ~ENTRY_MASKED);
    vmi__unlock(&lock, flags);
}
