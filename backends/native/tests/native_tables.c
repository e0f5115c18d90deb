/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The native library's readers of ACPI and MP tables as a Linux process: this file plays the low
 * memory of machines whose firmware writes them in its own way.
 */
#include "native/native.h"

#include "native/acpi.c"
#include "native/firmware.c"
#include "native/mp.c"
#include "native/srat.c"

#include "cpus.c" /* runtime/ */

#include "backends/plain_memory.h"
#include "backends/played.h"

/* ---- the machine ---- */

#define MEMORY   (1u << 20)
#define RSDP     0xe0000
#define XSDT     0x80000
#define FADT     0x80200
#define MADT     0x80400
#define DSDT     0x80800
#define SRAT     0x82000
#define MP_TABLE 0x81000

static uint8_t memory[MEMORY] __attribute__((aligned(4096)));

bool vmi__native_x2apic;

struct vmi_boot_info vmi__boot;
struct vmi_cpu vmi__cpus[VMI__CPUS_FEW];

#define CLAIMED 0x90000 /* what is claimed lies there */
#define CLAIMS  0x8000
static bool memory_is_short;

uint32_t vmi__memory_claim(uint32_t size, uint32_t limit)
{
    return limit >= MEMORY && size <= CLAIMS && !memory_is_short ? CLAIMED : 0;
}

const void *vmi__window_borrow(uint64_t address, uint32_t size)
{
    return address < MEMORY && size <= MEMORY - address ? memory + (uint32_t)address : 0;
}

int memcmp(const void *left, const void *right, size_t size)
{
    const uint8_t *a = left, *b = right;

    for (; size && *a == *b; size--) {
        a++;
        b++;
    }
    return size ? *a - *b : 0;
}

static void begin(void)
{
    memset(memory, 0, sizeof(memory));
    memset(&vmi__native_acpi, 0, sizeof(vmi__native_acpi));
    memset(&vmi__boot, 0, sizeof(vmi__boot));
    vmi__boot.linear_base = (uint32_t)memory;
    vmi__boot.linear_pages = MEMORY >> 12;
    vmi__boot.cpu_count = 1; /* with identifier 0 */
    vmi__boot.cpus = cpus = vmi__cpus;
    room = VMI__CPUS_FEW;
    memset(vmi__cpus, 0, sizeof(vmi__cpus));
    tables_read = vmi__native_cpus_unlisted = memory_is_short = vmi__native_x2apic = false;
}

static void make_sum(void *table, uint32_t size, uint8_t *checksum)
{
    uint8_t sum = 0;

    *checksum = 0;
    for (uint32_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + ((uint8_t *)table)[i]);
    *checksum = (uint8_t)-sum;
}

static void finish(uint32_t address, const char *signature, uint32_t length)
{
    struct header *header = (struct header *)(memory + address);

    memcpy(header->signature, signature, 4);
    header->length = length;
    make_sum(header, length, &header->checksum);
}

/* A root that lists SRAT, FADT and MADT. */
static void put_root(void)
{
    struct rsdp *rsdp = (struct rsdp *)(memory + RSDP);
    uint64_t tables[3] = {SRAT, FADT, MADT};

    memcpy(rsdp->signature, "RSD PTR ", 8);
    rsdp->revision = 2;
    rsdp->length = sizeof(*rsdp);
    rsdp->xsdt = XSDT;
    make_sum(rsdp, offsetof(struct rsdp, length), &rsdp->checksum);
    make_sum(rsdp, sizeof(*rsdp), &rsdp->checksum_all);
    memcpy(memory + XSDT + sizeof(struct header), tables, sizeof(tables));
    finish(XSDT, "XSDT", sizeof(struct header) + sizeof(tables));
}

static uint32_t madt_length;

static void put_madt(const uint8_t *entry)
{
    if (!madt_length)
        madt_length = sizeof(struct header) + 8;
    memcpy(memory + MADT + madt_length, entry, entry[1]);
    madt_length += entry[1];
    finish(MADT, "APIC", madt_length);
}

static void put_local_apic(uint8_t id, uint8_t flags)
{
    const uint8_t entry[8] = {MADT_LOCAL_APIC, 8, 0, id, flags};

    put_madt(entry);
}

static void put_local_x2apic(uint32_t id, uint8_t flags)
{
    uint8_t entry[16] = {MADT_LOCAL_X2APIC, 16, 0, 0, 0, 0, 0, 0, flags};

    memcpy(entry + 4, &id, sizeof(id));
    put_madt(entry);
}

static bool cpus_are(uint32_t count, const uint32_t *ids)
{
    if (vmi__boot.cpu_count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (vmi__boot.cpus[i].apic_id != ids[i])
            return false;
    return true;
}

/* ---- ACPI ---- */

/* As Cloud Hypervisor has it: reduced hardware, and the timer in the extended block alone. */
static void a_timer_in_the_extended_block(void)
{
    struct fadt *fadt = (struct fadt *)(memory + FADT);

    begin();
    put_root();
    fadt->flags = FADT_REDUCED | FADT_TIMER_32BIT;
    fadt->x_pm_timer = (struct vmi__native_register){SPACE_PORTS, 32, 0, 3, 0x608};
    finish(FADT, "FACP", 276);
    vmi__native_firmware_init();
    EXPECT(vmi__native_acpi.pm_timer == 0x608 && vmi__native_acpi.pm_timer_32);
}

static void the_extended_blocks_are_not_taken_for_what_they_are_not(void)
{
    static const struct vmi__native_register wrong[] = {
        {0, 32, 0, 3, 0x608}, {SPACE_PORTS, 32, 0, 3, 0x10000}, {2, 32, 0, 3, 0x608}};

    for (uint32_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct fadt *fadt = (struct fadt *)(memory + FADT);

        begin();
        put_root();
        fadt->x_pm_timer = fadt->x_pm1a_control = wrong[i];
        finish(FADT, "FACP", sizeof(*fadt));
        vmi__native_firmware_init();
        EXPECT(vmi__native_acpi.pm_timer == 0 && vmi__native_acpi.control_a == 0);
    }
}

static void control_ports_in_the_extended_blocks(void)
{
    struct fadt *fadt = (struct fadt *)(memory + FADT);
    static const uint8_t s5[] = {0x08, '_', 'S', '5', '_', 0x12, 6, 4, 0x0a, 5, 0x0a, 6};

    begin();
    put_root();
    fadt->x_pm1a_control = (struct vmi__native_register){SPACE_PORTS, 16, 0, 2, 0x604};
    fadt->x_pm1b_control = (struct vmi__native_register){SPACE_PORTS, 16, 0, 2, 0x704};
    fadt->x_dsdt = DSDT;
    finish(FADT, "FACP", sizeof(*fadt));
    memcpy(memory + DSDT + sizeof(struct header), s5, sizeof(s5));
    finish(DSDT, "DSDT", sizeof(struct header) + sizeof(s5));
    vmi__native_firmware_init();
    EXPECT(vmi__native_acpi.control_a == 0x604 && vmi__native_acpi.control_b == 0x704);
    EXPECT(vmi__native_acpi.can_sleep && vmi__native_acpi.sleep_a == 5);
}

/* Where both are there, the old one counts; a timer that it says has no length does not. */
static void the_old_blocks_come_first(void)
{
    struct fadt *fadt = (struct fadt *)(memory + FADT);

    for (uint32_t length = 0; length <= 4; length += 4) {
        begin();
        put_root();
        fadt->pm_timer = 0x408;
        fadt->pm_timer_length = (uint8_t)length;
        fadt->x_pm_timer = (struct vmi__native_register){SPACE_PORTS, 32, 0, 3, 0x608};
        finish(FADT, "FACP", sizeof(*fadt));
        vmi__native_firmware_init();
        EXPECT(vmi__native_acpi.pm_timer == (length ? 0x408 : 0x608));
    }
}

/* A button of the fixed hardware is one whose registers are ports, and that no method stands for.
 */
static void where_the_power_button_is(void)
{
    struct fadt *fadt = (struct fadt *)(memory + FADT);

    for (uint32_t wrong = 0; wrong <= 4; wrong++) {
        begin();
        put_root();
        fadt->sci_line = 9;
        fadt->pm1_event_length = wrong == 1 ? 2 : 4;
        fadt->flags = wrong == 2 ? FADT_NO_BUTTON : wrong == 3 ? FADT_REDUCED : 0;
        fadt->x_pm1a_event = (struct vmi__native_register){
            wrong == 4 ? SPACE_PORTS - 1 : SPACE_PORTS, 32, 0, 3, 0x600};
        fadt->x_pm1b_event = (struct vmi__native_register){SPACE_PORTS, 32, 0, 3, 0x700};
        finish(FADT, "FACP", sizeof(*fadt));
        vmi__native_firmware_init();
        EXPECT(vmi__native_acpi.event_a == (wrong ? 0 : 0x600));
        EXPECT(wrong || (vmi__native_acpi.event_b == 0x700 && vmi__native_acpi.event_enable == 2 &&
                         vmi__native_acpi.sci == 9));
    }
}

static void x2apic_entries_of_small_identifiers(void)
{
    begin();
    put_root();
    madt_length = 0;
    put_local_x2apic(0, 1);
    put_local_x2apic(1, 1);
    put_local_x2apic(7, 0); /* not enabled */
    put_local_x2apic(254, 1);
    put_local_x2apic(255, 1); /* needs x2APIC mode */
    put_local_x2apic(1000, 1);
    put_local_x2apic(1, 1);
    vmi__native_firmware_init();
    EXPECT(cpus_are(3, (const uint32_t[]){0, 1, 254}) && vmi__native_cpus_unlisted);
}

static void x2apic_entries_of_all_identifiers(void)
{
    begin();
    vmi__native_x2apic = true;
    put_root();
    madt_length = 0;
    put_local_apic(0, 1);
    put_local_apic(255, 1); /* in a byte it is no CPU's in either mode */
    put_local_x2apic(255, 1);
    put_local_x2apic(0x12345, 1);
    put_local_x2apic(1000, 0); /* not enabled */
    put_local_x2apic(UINT32_MAX - 1, 1);
    vmi__native_firmware_init();
    EXPECT(cpus_are(4, (const uint32_t[]){0, 255, 0x12345, UINT32_MAX - 1}));
    EXPECT(vmi__native_cpus_unlisted);
    vmi__native_cpus_unlisted = false;
    put_local_x2apic(UINT32_MAX, 1); /* all of them */
    tables_read = false;
    vmi__native_firmware_init();
    EXPECT(vmi__boot.cpu_count == 4 && vmi__native_cpus_unlisted);
}

/* More than the other mode has names for. */
static void x2apic_entries_of_many_cpus(void)
{
    begin();
    vmi__native_x2apic = true;
    put_root();
    madt_length = 0;
    for (uint32_t id = 0; id < 60; id++)
        put_local_x2apic(id << 8, 1);
    vmi__native_firmware_init();
    EXPECT(vmi__boot.cpu_count == 60 && !vmi__native_cpus_unlisted);
    EXPECT(vmi__boot.cpus[59].apic_id == 59 << 8);
}

/* Of a hybrid processor: two threads on each large core, gaps between them, one on each small core,
 * from a number of their own on, and the small ones told first. The boot CPU is the first all the
 * same.
 */
static void identifiers_of_a_hybrid_processor(void)
{
    static const uint32_t told[] = {64, 66, 68, 70, 0, 1, 8, 9, 16, 17, 24, 25};
    static const uint32_t ids[] = {0, 64, 66, 68, 70, 1, 8, 9, 16, 17, 24, 25};

    for (int x2apic_entries = 0; x2apic_entries < 2; x2apic_entries++) {
        begin();
        put_root();
        madt_length = 0;
        for (uint32_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
            x2apic_entries ? put_local_x2apic(told[i], 1) : put_local_apic((uint8_t)told[i], 1);
        vmi__native_firmware_init();
        EXPECT(cpus_are(sizeof(ids) / sizeof(ids[0]), ids) && !vmi__native_cpus_unlisted);
    }
}

static void identifier_255_is_no_cpu(void)
{
    begin();
    put_root();
    madt_length = 0;
    put_local_apic(0, 1);
    put_local_apic(255, 1);
    put_local_apic(2, 1);
    put_local_apic(3, 2); /* may be brought in later */
    vmi__native_firmware_init();
    EXPECT(cpus_are(2, (const uint32_t[]){0, 2}) && vmi__native_cpus_unlisted);
}

/* All that this mode of the APIC has names for; where memory is short, those of the image. */
static void as_many_cpus_as_there_are(void)
{
    for (uint32_t round = 0; round < 3; round++) {
        begin();
        put_root();
        memory_is_short = round == 1;
        madt_length = 0;
        for (uint32_t id = 0; id < (round == 2 ? 31 : 255); id++)
            put_local_apic((uint8_t)id, 1);
        vmi__native_firmware_init();
        EXPECT(vmi__boot.cpu_count == (round == 0 ? 255 : round == 1 ? 32 : 31));
        EXPECT(vmi__native_cpus_unlisted == (round == 1));
        for (uint32_t i = 0; i < vmi__boot.cpu_count; i++)
            EXPECT(vmi__boot.cpus[i].apic_id == i && vmi__boot.cpus[i].node == (i ? ~0u : 0));
        EXPECT((vmi__boot.cpus == vmi__cpus) == (round != 0));
    }
}

/* ---- nodes ---- */

static uint32_t srat_length;

static void put_srat(const void *entry, uint32_t size)
{
    if (!srat_length)
        srat_length = ENTRIES_AT;
    memcpy(memory + SRAT + srat_length, entry, size);
    srat_length += size;
    finish(SRAT, "SRAT", srat_length);
}

struct near_memory {
    uint8_t kind, size;
    uint32_t node;
    uint16_t reserved;
    uint64_t base, length;
    uint32_t reserved2, flags;
    uint64_t reserved3;
} __attribute__((packed));

static void put_near_memory(uint32_t node, uint64_t base, uint64_t length, uint32_t flags)
{
    const struct near_memory entry = {
        AFFINE_MEMORY, sizeof(entry), node, 0, base, length, 0, flags, 0};

    put_srat(&entry, sizeof(entry));
}

static void put_near_cpu(uint32_t node, uint8_t id, uint8_t flags)
{
    const uint8_t entry[16] = {LOCAL_APIC,
                               16,
                               (uint8_t)node,
                               id,
                               flags,
                               0,
                               0,
                               0,
                               0,
                               (uint8_t)(node >> 8),
                               (uint8_t)(node >> 16),
                               (uint8_t)(node >> 24)};

    put_srat(entry, sizeof(entry));
}

static void begin_srat(void)
{
    begin();
    put_root();
    madt_length = srat_length = 0;
    put_local_apic(0, 1);
    put_local_apic(1, 1);
    put_local_apic(2, 1);
}

static void nodes_of_cpus_and_memory(void)
{
    const uint8_t x2apic[24] = {LOCAL_X2APIC, 24, 0, 0, 7, 0, 0, 0, 2, 0, 0, 0, 1};

    begin_srat();
    put_near_cpu(0x01020304, 0, 1);
    put_near_cpu(5, 1, 0); /* not enabled */
    put_srat(x2apic, sizeof(x2apic));
    put_near_memory(1, 0x100000000, 0x40000000, 3);
    put_near_memory(9, 0x500000000, 0x40000000, 0); /* not enabled */
    put_near_memory(9, 0x600000000, 0, 1);          /* nothing */
    put_near_memory(0, 0, 0x80000000, 1);
    vmi__native_firmware_init();
    EXPECT(vmi__boot.cpus[0].node == 0x01020304 && vmi__boot.cpus[1].node == VMI_NODE_UNKNOWN &&
           vmi__boot.cpus[2].node == 7);
    EXPECT(vmi__boot.numa_count == 2);
    EXPECT(vmi__boot.numa[0].base == 0 && vmi__boot.numa[0].size == 0x80000000 &&
           vmi__boot.numa[0].node == 0 && !vmi__boot.numa[0].hot);
    EXPECT(vmi__boot.numa[1].base == 0x100000000 && vmi__boot.numa[1].node == 1 &&
           vmi__boot.numa[1].hot == 1);
}

/* Ranges that overlap or wrap around, tables cut anywhere, and no memory: nothing is told. */
static void nodes_that_are_not_believed(void)
{
    const uint64_t wrong[][2] = {{0x1000, 0x2000}, {0x1fff, 1}, {~0ull - 10, 12}, {0, ~0ull}};

    for (uint32_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        begin_srat();
        put_near_memory(0, 0x1000, 0x1000, 1);
        put_near_memory(1, wrong[i][0], wrong[i][1], 1);
        vmi__native_firmware_init();
        EXPECT(vmi__boot.numa_count == 0);
    }
    for (uint32_t length = ENTRIES_AT; length < ENTRIES_AT + 40; length++) {
        begin_srat();
        put_near_memory(0, 0x1000, 0x1000, 1);
        finish(SRAT, "SRAT", length);
        vmi__native_firmware_init();
        EXPECT(vmi__boot.numa_count == 0);
    }
    begin_srat();
    memory_is_short = true;
    put_near_memory(0, 0x1000, 0x1000, 1);
    vmi__native_firmware_init();
    EXPECT(vmi__boot.numa_count == 0 && vmi__boot.cpu_count == 3);
}

/* What a loader says of the root is looked at, and where it lies is told. */
static void the_root_is_told(void)
{
    begin();
    put_root();
    vmi__native_firmware_init();
    EXPECT(vmi__boot.acpi_root == RSDP);
    begin();
    put_root();
    memcpy(memory + 0x70000, memory + RSDP, sizeof(struct rsdp));
    memset(memory + RSDP, 0, sizeof(struct rsdp));
    vmi__boot.acpi_root = 0x70000;
    finish(FADT, "FACP", sizeof(struct fadt));
    vmi__native_firmware_init();
    EXPECT(vmi__boot.acpi_root == 0x70000);
    begin();
    put_root();
    vmi__boot.acpi_root = 0x70000;
    vmi__native_firmware_init();
    EXPECT(vmi__boot.acpi_root == 0);
}

/* ---- MP ---- */

static uint32_t mp_length;

static void put_mp(uint32_t pointer_address)
{
    struct pointer *pointer = (struct pointer *)(memory + pointer_address);
    struct table *table = (struct table *)(memory + MP_TABLE);

    memcpy(table->signature, "PCMP", 4);
    table->length = (uint16_t)mp_length;
    make_sum(table, mp_length, &table->checksum);
    memcpy(pointer->signature, "_MP_", 4);
    pointer->table = MP_TABLE;
    pointer->length = 1;
    pointer->features[1] = FEATURE_IMCR;
    make_sum(pointer, sizeof(*pointer), &pointer->checksum);
}

static void put_mp_entry(const uint8_t *entry, uint32_t size)
{
    if (!mp_length)
        mp_length = sizeof(struct table);
    memcpy(memory + MP_TABLE + mp_length, entry, size);
    mp_length += size;
}

#define PUT(...)                                                                                   \
    do {                                                                                           \
        const uint8_t entry_[] = {__VA_ARGS__};                                                    \
        put_mp_entry(entry_, entry_[0] == PROCESSOR ? PROCESSOR_SIZE : OTHER_SIZE);                \
    } while (0)

#define PUT_CPU(id, flags)                                                                         \
    PUT(PROCESSOR, id, 0x14, flags, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)

static void put_usual_mp(void)
{
    mp_length = 0;
    PUT_CPU(0, 3);
    PUT_CPU(1, 1);
    PUT_CPU(2, 0); /* not usable */
    PUT_CPU(255, 1);
    PUT(BUS, 0, 'P', 'C', 'I', ' ', ' ', ' ');
    PUT(BUS, 5, 'I', 'S', 'A', ' ', ' ', ' ');
    PUT(IO_APIC, 9, 0x11, 1, 0, 0, 0xc0, 0xfe);
    PUT(IO_APIC, 8, 0x11, 0, 0, 0, 0xc1, 0xfe); /* not usable */
    PUT(IO_APIC, 10, 0x11, 1, 0, 0, 0xc2, 0xfe);
    PUT(IO_INTERRUPT, 0, 0, 0, 5, 0, 9, 2);
    PUT(IO_INTERRUPT, 0, 0x0f, 0, 5, 9, 9, 20);
    PUT(IO_INTERRUPT, 0, 0, 0, 5, 10, 10, 3);
    PUT(IO_INTERRUPT, 0, 0, 0, 0, 4, 9, 23);  /* of PCI */
    PUT(IO_INTERRUPT, 3, 0, 0, 5, 4, 9, 0);   /* ExtINT */
    PUT(IO_INTERRUPT, 0, 0, 0, 5, 4, 77, 22); /* of nobody */
    PUT(IO_INTERRUPT, 0, 0, 0, 5, 99, 9, 21);
    PUT(LOCAL_INTERRUPT, 3, 0, 0, 5, 0, 0, 0);
}

static bool usual_mp_was_read(void)
{
    const struct vmi__native_acpi *acpi = &vmi__native_acpi;

    return cpus_are(2, (const uint32_t[]){0, 1}) && acpi->ioapics_count == 2 &&
           acpi->ioapics[0].address == 0xfec00000 && acpi->ioapics[0].first_line == 0 &&
           acpi->ioapics[1].address == 0xfec20000 && acpi->ioapics[1].first_line == ROW &&
           acpi->overrides[0].line == 2 && acpi->overrides[0].flags == 0 &&
           acpi->overrides[9].line == 20 && acpi->overrides[9].flags == 0x0f &&
           acpi->overrides[10].line == ROW + 3 && acpi->overrides[4].line == 4 && acpi->has_imcr;
}

static void an_mp_table_stands_in_for_acpi(void)
{
    static const uint32_t places[] = {0x9fc00, 0x9fff0, 0xf0000, 0xffff0, 0x98010};

    for (uint32_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        begin();
        memory[0x40f] = 0x98; /* EBDA at 0x98000 */
        put_usual_mp();
        put_mp(places[i]);
        vmi__native_firmware_init();
        EXPECT(usual_mp_was_read());
    }
}

static void a_madt_goes_before_an_mp_table(void)
{
    begin();
    put_usual_mp();
    put_mp(0xf0000);
    put_root();
    madt_length = 0;
    put_local_apic(4, 1);
    vmi__native_firmware_init();
    EXPECT(cpus_are(2, (const uint32_t[]){0, 4}) && vmi__native_acpi.ioapics_count == 0);
}

/* Wrong sums, signatures and sizes; then any byte another: nothing outside memory is read. */
static void an_mp_table_is_not_believed(void)
{
    struct pointer *pointer = (struct pointer *)(memory + 0xf0000);
    struct table *table = (struct table *)(memory + MP_TABLE);

    for (uint32_t byte = 0; byte < sizeof(struct pointer) + mp_length; byte++) {
        begin();
        put_usual_mp();
        put_mp(0xf0000);
        if (byte < sizeof(*pointer))
            ((uint8_t *)pointer)[byte] ^= 0xff;
        else
            ((uint8_t *)table)[byte - sizeof(*pointer)] ^= 0xff;
        vmi__native_firmware_init();
        EXPECT(vmi__boot.cpu_count == 1 && vmi__native_acpi.ioapics_count == 0);
    }
    for (uint32_t length = 0; length < mp_length; length++) {
        begin();
        put_usual_mp();
        mp_length = length;
        put_mp(0xf0000);
        vmi__native_firmware_init();
        EXPECT(vmi__boot.cpu_count <= 2);
        if (length < sizeof(*table))
            EXPECT(vmi__boot.cpu_count == 1);
        put_usual_mp();
    }
    begin();
    put_usual_mp();
    put_mp(0xf0000);
    pointer->table = MEMORY - 8;
    make_sum(pointer, sizeof(*pointer), &pointer->checksum);
    vmi__native_firmware_init();
    EXPECT(vmi__boot.cpu_count == 1);
}

static const struct played_check checks[] = {
    CHECK(a_timer_in_the_extended_block),
    CHECK(the_extended_blocks_are_not_taken_for_what_they_are_not),
    CHECK(control_ports_in_the_extended_blocks),
    CHECK(the_old_blocks_come_first),
    CHECK(where_the_power_button_is),
    CHECK(x2apic_entries_of_small_identifiers),
    CHECK(x2apic_entries_of_all_identifiers),
    CHECK(x2apic_entries_of_many_cpus),
    CHECK(identifiers_of_a_hybrid_processor),
    CHECK(identifier_255_is_no_cpu),
    CHECK(as_many_cpus_as_there_are),
    CHECK(nodes_of_cpus_and_memory),
    CHECK(nodes_that_are_not_believed),
    CHECK(the_root_is_told),
    CHECK(an_mp_table_stands_in_for_acpi),
    CHECK(a_madt_goes_before_an_mp_table),
    CHECK(an_mp_table_is_not_believed),
};

PLAY(checks)
