/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The MP table, for machines whose firmware has no ACPI: processors, I/O APICs and where the lines
 * of ISA are wired to. Source: Intel MultiProcessor Specification 1.4, chapter 4.
 */
#include "native.h"

#define BASE_MEMORY_LAST 0x9fc00 /* the last KiB of 640 */
#define ROM_START        0xf0000
#define ROM_END          0x100000
#define KIB              1024

#define POINTER_UNIT 16 /* bytes that its length counts in */
#define FEATURE_IMCR 0x80

/* Entries of the table; processors take more than the others. */
enum { PROCESSOR, BUS, IO_APIC, IO_INTERRUPT, LOCAL_INTERRUPT };
#define PROCESSOR_SIZE 20
#define OTHER_SIZE     8

#define ENABLED       0x1
#define INTERRUPT_INT 0 /* vectored; the others are NMI, SMI, ExtINT */
#define BUSES         256
#define IO_APIC_ALL   0xff

/*
 * Inputs of I/O APICs have no numbers across them here. Each is given a row, which is longer than
 * any has inputs.
 */
#define ROW 256

struct pointer {
    char signature[4];
    uint32_t table;
    uint8_t length, revision, checksum, features[5];
} __attribute__((packed));

struct table {
    char signature[4];
    uint16_t length;
    uint8_t revision, checksum;
    char oem[8], product[12];
    uint32_t oem_table;
    uint16_t oem_size, entries;
    uint32_t local_apic;
    uint16_t extended_length;
    uint8_t extended_checksum, reserved;
} __attribute__((packed));

VMI__ASSERT(pointer, sizeof(struct pointer) == POINTER_UNIT);
VMI__ASSERT(table, sizeof(struct table) == 44);

static bool find_in(uint32_t start, uint32_t size, struct pointer *pointer)
{
    uint32_t address;

    for (address = start; address < start + size; address += POINTER_UNIT) {
        const struct pointer *found = vmi__window_borrow(address, sizeof(*found));

        if (!found || memcmp(found->signature, "_MP_", 4) != 0 || found->length != 1 ||
            !found->table || !vmi__native_sums_to_zero(found, sizeof(*found)))
            continue;
        *pointer = *found;
        return true;
    }
    return false;
}

/* Where the specification says; a machine without a BIOS may not say where its EBDA is. */
static bool find(struct pointer *pointer)
{
    uint32_t ebda = vmi__native_ebda();

    return (ebda && find_in(ebda, KIB, pointer)) || find_in(BASE_MEMORY_LAST, KIB, pointer) ||
           find_in(ROM_START, ROM_END - ROM_START, pointer);
}

/* The entry at an offset, and its size; 0 behind the last. */
static const uint8_t *entry_at(const struct table *table, uint32_t offset, uint32_t *size)
{
    const uint8_t *entry = (const uint8_t *)table + offset;

    if (offset >= table->length || entry[0] > LOCAL_INTERRUPT)
        return 0;
    *size = entry[0] == PROCESSOR ? PROCESSOR_SIZE : OTHER_SIZE;
    return *size <= table->length - offset ? entry : 0;
}

/* Processors and I/O APICs; *ids are those of the latter, and *isa the buses of that kind. */
static void read_parts(const struct table *table, uint8_t ids[VMI__IOAPICS_MAX], bool isa[BUSES])
{
    struct vmi__native_acpi *acpi = &vmi__native_acpi;
    uint32_t offset, size;
    const uint8_t *entry;
    uint32_t count = 1;

    for (offset = sizeof(*table); (entry = entry_at(table, offset, &size)); offset += size)
        count += entry[0] == PROCESSOR;
    vmi__native_expect_cpus(count);
    for (offset = sizeof(*table); (entry = entry_at(table, offset, &size)); offset += size) {
        if (entry[0] == PROCESSOR && entry[3] & ENABLED) {
            vmi__native_add_cpu_of_byte(entry[1]);
        } else if (entry[0] == BUS) {
            isa[entry[1]] = memcmp(entry + 2, "ISA", 3) == 0 || memcmp(entry + 2, "EISA", 4) == 0;
        } else if (entry[0] == IO_APIC && entry[3] & ENABLED &&
                   acpi->ioapics_count < VMI__IOAPICS_MAX) {
            struct vmi__native_ioapic_info *info = &acpi->ioapics[acpi->ioapics_count];

            memcpy(&info->address, entry + 4, sizeof(info->address));
            info->first_line = acpi->ioapics_count * ROW;
            ids[acpi->ioapics_count++] = entry[1];
        }
    }
}

/* The inputs that ISA's lines are wired to. */
static void read_lines(const struct table *table, const uint8_t ids[VMI__IOAPICS_MAX],
                       const bool isa[BUSES])
{
    struct vmi__native_acpi *acpi = &vmi__native_acpi;
    uint32_t offset, size, i;
    const uint8_t *entry;

    for (offset = sizeof(*table); (entry = entry_at(table, offset, &size)); offset += size) {
        if (entry[0] != IO_INTERRUPT || entry[1] != INTERRUPT_INT || !isa[entry[4]] ||
            entry[5] >= VMI__ISA_LINES)
            continue;
        for (i = 0; i < acpi->ioapics_count; i++) {
            if (entry[6] != ids[i] && entry[6] != IO_APIC_ALL)
                continue;
            acpi->overrides[entry[5]].line = i * ROW + entry[7];
            memcpy(&acpi->overrides[entry[5]].flags, entry + 2, sizeof(uint16_t));
            break;
        }
    }
}

void vmi__native_mp_read(void)
{
    const struct table *table;
    struct pointer pointer;
    uint8_t ids[VMI__IOAPICS_MAX];
    bool isa[BUSES];
    uint32_t length;

    if (!find(&pointer))
        return;
    table = vmi__window_borrow(pointer.table, sizeof(*table));
    if (!table || memcmp(table->signature, "PCMP", 4) != 0 || table->length < sizeof(*table))
        return;
    length = table->length;
    table = vmi__window_borrow(pointer.table, length);
    /* Read again: the mapping is a new one. */
    if (!table || table->length != length || !vmi__native_sums_to_zero(table, length))
        return;
    memset(isa, 0, sizeof(isa));
    read_parts(table, ids, isa);
    read_lines(table, ids, isa);
    vmi__native_acpi.has_imcr = pointer.features[1] & FEATURE_IMCR;
}
