/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * ACPI's system resource affinity table: which CPUs and which memory belong together. Source: ACPI
 * 6.5, 5.2.16.
 */
#include "native.h"

#define ENTRIES_AT 48 /* behind the header and 12 reserved bytes */

enum { LOCAL_APIC = 0, AFFINE_MEMORY = 1, LOCAL_X2APIC = 2 };
#define LOCAL_APIC_SIZE    16
#define AFFINE_MEMORY_SIZE 40
#define LOCAL_X2APIC_SIZE  24

/* Ranges that are taken: far more than there are on any machine, and soon put into order. */
#define RANGES_MAX 1024

#define AFFINE_ENABLED 0x1u
#define HOT_PLUGGABLE  0x2u

/* A number of up to 8 bytes at an offset of an entry, which is known to be inside it. */
static uint64_t field(const uint8_t *entry, uint32_t offset, uint32_t size)
{
    uint64_t number = 0;

    memcpy(&number, entry + offset, size);
    return number;
}

/* The entry at an offset and its size; 0 behind the last, or where it is no entry. */
static const uint8_t *srat_entry(const uint8_t *table, uint32_t size, uint32_t offset,
                                 uint32_t *entry_size)
{
    const uint8_t *entry = table + offset;

    if (offset + 2 > size)
        return 0;
    *entry_size = entry[1];
    return *entry_size >= 2 && *entry_size <= size - offset ? entry : 0;
}

static bool is_memory(const uint8_t *entry, uint32_t size)
{
    return entry[0] == AFFINE_MEMORY && size >= AFFINE_MEMORY_SIZE &&
           field(entry, 28, 4) & AFFINE_ENABLED && field(entry, 16, 8);
}

/*
 * Puts a range into its place among those before it. False if it ends behind the end of memory: the
 * table is not sound then.
 */
static bool insert(struct vmi_numa_range *ranges, uint32_t count, const uint8_t *entry)
{
    struct vmi_numa_range range = {.base = field(entry, 8, 8),
                                   .size = field(entry, 16, 8),
                                   .node = (uint32_t)field(entry, 2, 4),
                                   .hot = field(entry, 28, 4) & HOT_PLUGGABLE ? 1 : 0};

    if (range.base + (range.size - 1) < range.base)
        return false;
    for (; count && ranges[count - 1].base > range.base; count--)
        ranges[count] = ranges[count - 1];
    ranges[count] = range;
    return true;
}

static void read_memory(const uint8_t *table, uint32_t size)
{
    uint32_t offset, entry_size, count = 0, i;
    struct vmi_numa_range *ranges;
    const uint8_t *entry;

    for (offset = ENTRIES_AT; (entry = srat_entry(table, size, offset, &entry_size));
         offset += entry_size)
        count += is_memory(entry, entry_size);
    ranges = count <= RANGES_MAX ? vmi__memory_table(count, sizeof(*ranges)) : 0;
    if (!ranges)
        return;
    count = 0;
    for (offset = ENTRIES_AT; (entry = srat_entry(table, size, offset, &entry_size));
         offset += entry_size)
        if (is_memory(entry, entry_size) && !insert(ranges, count++, entry))
            return;
    for (i = 1; i < count; i++)
        if (ranges[i].base - ranges[i - 1].base < ranges[i - 1].size)
            return;
    vmi__boot.numa = ranges;
    vmi__boot.numa_count = count;
}

static void read_cpus(const uint8_t *table, uint32_t size)
{
    uint32_t offset, entry_size;
    const uint8_t *entry;

    for (offset = ENTRIES_AT; (entry = srat_entry(table, size, offset, &entry_size));
         offset += entry_size) {
        if (entry[0] == LOCAL_APIC && entry_size >= LOCAL_APIC_SIZE &&
            field(entry, 4, 4) & AFFINE_ENABLED)
            /* Bits 0-7 of the domain, and 8-31. */
            vmi__cpu_is_near(entry[3], entry[2] | (uint32_t)field(entry, 9, 3) << 8);
        else if (entry[0] == LOCAL_X2APIC && entry_size >= LOCAL_X2APIC_SIZE &&
                 field(entry, 12, 4) & AFFINE_ENABLED)
            vmi__cpu_is_near((uint32_t)field(entry, 8, 4), (uint32_t)field(entry, 4, 4));
    }
}

void vmi__native_srat_read(const void *table, uint32_t size)
{
    read_memory(table, size);
    read_cpus(table, size);
}
