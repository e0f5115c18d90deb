/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * As much ACPI as the library needs: processors and I/O APICs (MADT), power-off, reset, timer and
 * century (FADT), and the sleep type of S5, which is in AML. Every table is bounded and summed
 * before it is believed. Source: ACPI 6.5, 5.2.
 */
#include "native.h"

#define BIOS_EBDA  0x40e /* real-mode segment of the extended BIOS data area */
#define BIOS_START 0xe0000
#define BIOS_END   0x100000
#define EBDA_SIZE  1024
#define SCAN_PIECE 1024       /* both areas are a multiple */
#define RSDP_FIRST 0x20445352 /* "RSD ", the first half of the signature */

#define TABLES_MAX     64
#define TABLE_SIZE_MAX (1u << 20)

/* FADT flags. */
#define FADT_NO_BUTTON   0x00000010u /* of the fixed hardware, for power */
#define FADT_TIMER_32BIT 0x00000100u
#define FADT_RESET       0x00000400u
#define FADT_REDUCED     0x00100000u

#define PM1_EVENT_LENGTH_MIN 4 /* status and enable, two bytes each */

#define MADT_ENABLED 0x1u

enum { MADT_LOCAL_APIC = 0, MADT_IO_APIC = 1, MADT_OVERRIDE = 2, MADT_LOCAL_X2APIC = 9 };

#define SPACE_PORTS 1 /* of a generic address structure */

struct rsdp {
    char signature[8];
    uint8_t checksum;
    char oem[6];
    uint8_t revision;
    uint32_t rsdt;
    /* From revision 2 on: */
    uint32_t length;
    uint64_t xsdt;
    uint8_t checksum_all, reserved[3];
} __attribute__((packed));

struct header {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem[6], oem_table[8];
    uint32_t oem_revision, creator, creator_revision;
} __attribute__((packed));

/* Older tables end earlier; what is missing is taken as zero. */
struct fadt {
    struct header header;
    uint32_t firmware, dsdt;
    uint8_t model, profile;
    uint16_t sci_line;
    uint32_t smi_command;
    uint8_t acpi_enable, acpi_disable, s4bios, pstate;
    uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer;
    uint32_t gpe0, gpe1;
    uint8_t pm1_event_length, pm1_control_length, pm2_control_length, pm_timer_length;
    uint8_t gpe0_length, gpe1_length, gpe1_base, cst_control;
    uint16_t c2_latency, c3_latency, flush_size, flush_stride;
    uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
    uint16_t boot_flags;
    uint8_t reserved;
    uint32_t flags;
    struct vmi__native_register reset;
    uint8_t reset_value;
    uint16_t arm_boot_flags;
    uint8_t minor;
    uint64_t x_firmware, x_dsdt;
    struct vmi__native_register x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control,
        x_pm2_control, x_pm_timer, x_gpe0, x_gpe1, sleep_control, sleep_status;
} __attribute__((packed));

VMI__ASSERT(fadt, sizeof(struct fadt) == 268);

struct vmi__native_acpi vmi__native_acpi;
bool vmi__native_cpus_unlisted;

bool vmi__native_sums_to_zero(const void *table, uint32_t size)
{
    const uint8_t *bytes = table;
    uint8_t sum = 0;

    while (size--)
        sum = (uint8_t)(sum + *bytes++);
    return sum == 0;
}

/*
 * The table at an address, until the next one is asked for; 0 if it is no table or not the one that
 * is wanted.
 */
static const struct header *table_at(uint64_t address, const char *signature)
{
    const struct header *header = vmi__window_borrow(address, sizeof(*header));
    uint32_t length;

    if (!address || !header || memcmp(header->signature, signature, 4) != 0)
        return 0;
    length = header->length;
    if (length < sizeof(*header) || length > TABLE_SIZE_MAX)
        return 0;
    header = vmi__window_borrow(address, length);
    /* Read again: the mapping is a new one. */
    return header && header->length == length && vmi__native_sums_to_zero(header, length) ? header
                                                                                          : 0;
}

/* Copies the root pointer if there is one at the address. */
static bool take_rsdp(uint64_t address, struct rsdp *rsdp)
{
    const uint32_t old_size = offsetof(struct rsdp, length);
    const struct rsdp *found = vmi__window_borrow(address, old_size);

    if (!found || memcmp(found->signature, "RSD PTR ", 8) != 0 ||
        !vmi__native_sums_to_zero(found, old_size))
        return false;
    memset(rsdp, 0, sizeof(*rsdp));
    memcpy(rsdp, found, old_size);
    if (rsdp->revision < 2)
        return true;
    found = vmi__window_borrow(address, sizeof(*found));
    if (!found || !vmi__native_sums_to_zero(found, sizeof(*found)))
        return true; /* the old part stands */
    memcpy(rsdp, found, sizeof(*rsdp));
    return true;
}

uint32_t vmi__native_ebda(void)
{
    const void *found = vmi__window_borrow(BIOS_EBDA, sizeof(uint16_t));
    uint16_t segment = 0;

    if (found)
        memcpy(&segment, found, sizeof(segment));
    return segment >= 0x8000 && segment <= BIOS_START >> 4 ? (uint32_t)segment << 4 : 0;
}

/* Looks for the root pointer at each paragraph of an area below 1 MiB. */
static bool scan_for_rsdp(uint32_t start, uint32_t end, struct rsdp *rsdp)
{
    uint32_t address, next;

    for (; start < end; start = next) {
        const char *bytes = vmi__window_borrow(start, SCAN_PIECE);

        next = start + SCAN_PIECE;
        for (address = start; bytes && address < next; address += 16) {
            /* One comparison for most; what begins like it is looked at whole. */
            if (*(const uint32_t *)(bytes + (address - start)) != RSDP_FIRST)
                continue;
            if (take_rsdp(address, rsdp)) {
                vmi__boot.acpi_root = address;
                return true;
            }
            bytes = vmi__window_borrow(start, SCAN_PIECE); /* the mapping was a new one */
        }
    }
    return false;
}

static bool find_rsdp(struct rsdp *rsdp)
{
    uint32_t ebda;

    if (vmi__boot.acpi_root) {
        if (take_rsdp(vmi__boot.acpi_root, rsdp))
            return true;
        vmi__boot.acpi_root = 0; /* the loader was wrong */
        return false;
    }
    ebda = vmi__native_ebda();
    return (ebda && scan_for_rsdp(ebda, ebda + EBDA_SIZE, rsdp)) ||
           scan_for_rsdp(BIOS_START, BIOS_END, rsdp);
}

void vmi__native_add_cpu(uint32_t apic_id)
{
    if (apic_id < vmi__native_apic_id_all())
        vmi__cpu_add(apic_id);
    if (vmi__cpu_by_apic_id(apic_id) == vmi__boot.cpu_count)
        vmi__native_cpus_unlisted = true;
}

void vmi__native_add_cpu_of_byte(uint8_t apic_id)
{
    vmi__native_add_cpu(apic_id == VMI__APIC_ID_ALL ? VMI__X2APIC_ID_ALL : apic_id);
}

void vmi__native_expect_cpus(uint32_t count)
{
    uint32_t most = vmi__native_x2apic ? VMI_CPUS_LIMIT : VMI__APIC_ID_ALL;

    vmi__cpus_expect(count < most ? count : most);
}

/* An entry's number of `size` bytes at an offset, which is known to be inside the entry. */
static uint32_t number_at(const uint8_t *entry, uint32_t offset, uint32_t size)
{
    uint32_t number = 0;

    memcpy(&number, entry + offset, size);
    return number;
}

/* The MADT's entry at an offset and its size; 0 behind the last. */
static const uint8_t *madt_entry(const struct header *madt, uint32_t offset, uint32_t *size)
{
    const uint8_t *entry = (const uint8_t *)madt + offset;

    if (offset + 2 > madt->length)
        return 0;
    *size = entry[1];
    return *size >= 2 && *size <= madt->length - offset ? entry : 0;
}

#define MADT_ENTRIES (sizeof(struct header) + 8)

static void read_madt(const struct header *madt)
{
    uint32_t offset, size, count = 1;
    struct vmi__native_acpi *acpi = &vmi__native_acpi;
    const uint8_t *entry;

    for (offset = MADT_ENTRIES; (entry = madt_entry(madt, offset, &size)); offset += size)
        count += entry[0] == MADT_LOCAL_APIC || entry[0] == MADT_LOCAL_X2APIC;
    vmi__native_expect_cpus(count);
    for (offset = MADT_ENTRIES; (entry = madt_entry(madt, offset, &size)); offset += size) {
        if (entry[0] == MADT_LOCAL_APIC && size >= 8) {
            if (number_at(entry, 4, 4) & MADT_ENABLED)
                vmi__native_add_cpu_of_byte(entry[3]);
        } else if (entry[0] == MADT_LOCAL_X2APIC && size >= 16) {
            /* For identifiers that the other kind has no room for; some have all in this one. */
            if (number_at(entry, 8, 4) & MADT_ENABLED)
                vmi__native_add_cpu(number_at(entry, 4, 4));
        } else if (entry[0] == MADT_IO_APIC && size >= 12) {
            if (acpi->ioapics_count < VMI__IOAPICS_MAX) {
                acpi->ioapics[acpi->ioapics_count].address = number_at(entry, 4, 4);
                acpi->ioapics[acpi->ioapics_count].first_line = number_at(entry, 8, 4);
                acpi->ioapics_count++;
            }
        } else if (entry[0] == MADT_OVERRIDE && size >= 10) {
            if (entry[2] == 0 && entry[3] < VMI__ISA_LINES) {
                acpi->overrides[entry[3]].line = number_at(entry, 4, 4);
                acpi->overrides[entry[3]].flags = (uint16_t)number_at(entry, 8, 2);
            }
        }
    }
}

/* Reads a small AML integer (ACPI 6.5, 20.2.3) and moves on; false if it is none or behind the end.
 */
static bool aml_byte(const uint8_t **next, const uint8_t *end, uint8_t *value)
{
    const uint8_t *at = *next;

    if (at < end && (at[0] == 0x00 || at[0] == 0x01)) { /* ZeroOp, OneOp */
        *value = at[0];
        *next = at + 1;
        return true;
    }
    if (end - at >= 2 && at[0] == 0x0a) { /* BytePrefix */
        *value = at[1];
        *next = at + 2;
        return true;
    }
    return false;
}

/*
 * Name (_S5, Package () {type for PM1a, type for PM1b, …}): 08 [5c] "_S5_" 12 length count
 * elements. Looked for as bytes, not by an interpreter.
 */
static bool find_s5(const struct header *dsdt)
{
    const uint8_t *next = (const uint8_t *)(dsdt + 1), *end = (const uint8_t *)dsdt + dsdt->length;
    struct vmi__native_acpi *acpi = &vmi__native_acpi;

    for (; end - next >= 8; next++) {
        const uint8_t *at = next + 5;

        if (memcmp(next, "_S5_\x12", 5) != 0)
            continue;
        if (next[-1] != 0x08 && !(next[-1] == 0x5c && next[-2] == 0x08))
            continue;
        at += 1 + (at[0] >> 6); /* PkgLength: bits 6-7 of its first byte say how many follow */
        if (at >= end || *at < 1)
            continue;
        at++;
        if (!aml_byte(&at, end, &acpi->sleep_a))
            continue;
        if (!aml_byte(&at, end, &acpi->sleep_b))
            acpi->sleep_b = acpi->sleep_a;
        return true;
    }
    return false;
}

/* A port of the FADT, which may stand in the extended block alone; 0 if it is in neither. */
static uint32_t port_of(uint32_t port, const struct vmi__native_register *extended)
{
    if (port && port <= UINT16_MAX)
        return port;
    return extended->space == SPACE_PORTS && extended->address <= UINT16_MAX
               ? (uint32_t)extended->address
               : 0;
}

static void read_fadt(const struct header *header)
{
    struct vmi__native_acpi *acpi = &vmi__native_acpi;
    const struct header *dsdt;
    struct fadt fadt;

    memset(&fadt, 0, sizeof(fadt));
    memcpy(&fadt, header, header->length < sizeof(fadt) ? header->length : sizeof(fadt));

    acpi->century = fadt.century;
    acpi->pm_timer = port_of(fadt.pm_timer_length == 4 ? fadt.pm_timer : 0, &fadt.x_pm_timer);
    acpi->pm_timer_32 = fadt.flags & FADT_TIMER_32BIT;
    if (fadt.flags & FADT_RESET) {
        acpi->reset = fadt.reset;
        acpi->reset_value = fadt.reset_value;
    }
    if (fadt.flags & FADT_REDUCED) {
        acpi->sleep = fadt.sleep_control;
    } else {
        acpi->control_a = port_of(fadt.pm1a_control, &fadt.x_pm1a_control);
        acpi->control_b = port_of(fadt.pm1b_control, &fadt.x_pm1b_control);
        if (!(fadt.flags & FADT_NO_BUTTON) && fadt.pm1_event_length >= PM1_EVENT_LENGTH_MIN) {
            acpi->event_a = port_of(fadt.pm1a_event, &fadt.x_pm1a_event);
            acpi->event_b = port_of(fadt.pm1b_event, &fadt.x_pm1b_event);
            acpi->event_enable = fadt.pm1_event_length / 2;
            acpi->sci = fadt.sci_line;
        }
        acpi->smi_command = fadt.smi_command & 0xffff;
        acpi->smi_enable = fadt.acpi_enable;
    }
    dsdt = table_at(fadt.x_dsdt, "DSDT");
    if (!dsdt)
        dsdt = table_at(fadt.dsdt, "DSDT");
    if (dsdt)
        acpi->can_sleep = find_s5(dsdt) && (acpi->control_a || acpi->sleep.address);
}

/* Reads the tables that the root lists; false if none of them is a MADT. */
static bool read_tables(void)
{
    uint32_t size, count, offset, i;
    uint64_t root, address, srat = 0;
    const struct header *table;
    struct rsdp rsdp;
    bool found = false;

    if (!find_rsdp(&rsdp))
        return false;
    root = rsdp.xsdt;
    size = sizeof(uint64_t);
    table = table_at(root, "XSDT");
    if (!table) {
        root = rsdp.rsdt;
        size = sizeof(uint32_t);
        table = table_at(root, "RSDT");
    }
    if (!table)
        return false;
    count = (table->length - sizeof(*table)) / size;
    for (i = 0; i < count && i < TABLES_MAX; i++) {
        /* The root again: reading a table may have taken its mapping. */
        offset = sizeof(*table) + i * size;
        table = vmi__window_borrow(root, offset + size);
        if (!table)
            break;
        address = 0;
        memcpy(&address, (const char *)table + offset, size);
        table = table_at(address, "APIC");
        if (table) {
            read_madt(table);
            found = true;
            continue;
        }
        if (table_at(address, "SRAT"))
            srat = address;
        table = table_at(address, "FACP");
        if (table)
            read_fadt(table);
    }
    /* It is about CPUs, which are listed now. */
    table = table_at(srat, "SRAT");
    if (table)
        vmi__native_srat_read(table, table->length);
    return found;
}

bool vmi__native_acpi_read(void)
{
    uint32_t i;

    for (i = 0; i < VMI__ISA_LINES; i++)
        vmi__native_acpi.overrides[i].line = i;
    return read_tables();
}
