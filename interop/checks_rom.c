/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Checks of the client's own reading of headers, and of what the ROM answers about relocations.
 */
#include "checks.h"

#define BASE_MEMORY 0x413 /* BIOS data area: KiB of memory below 640 KiB that are nobody's */
#define LOW_END     0x100000u

const uint32_t *client_information;

/* ---- headers that must be refused ---- */

static union {
    struct rom_header header;
    uint8_t bytes[2 * ROM_UNIT];
} made;

#define PCI_AT     160
#define LICENSE_AT 192

static void put(uint32_t at, const char *text)
{
    while ((made.bytes[at++] = (uint8_t)*text++))
        ;
}

/* A ROM that is fit for use. */
static void make(void)
{
    uint32_t i;

    for (i = 0; i < sizeof(made); i++)
        made.bytes[i] = 0;
    made.header.signature = ROM_SIGNATURE;
    made.header.units = sizeof(made) / ROM_UNIT;
    made.header.vmi_signature = ROM_VMI_SIGNATURE;
    made.header.api_major = ROM_API_MAJOR;
    made.header.pci = PCI_AT;
    made.header.license = LICENSE_AT;
    put(PCI_AT, "PCIR");
    made.bytes[PCI_AT + 4] = ROM_PCI_VENDOR & 0xff;
    made.bytes[PCI_AT + 5] = ROM_PCI_VENDOR >> 8;
    made.bytes[PCI_AT + 6] = ROM_PCI_DEVICE & 0xff;
    made.bytes[PCI_AT + 7] = ROM_PCI_DEVICE >> 8;
    put(LICENSE_AT, "GPL");
}

/* With its checksum mended, what does the client say? */
static const char *said(void)
{
    uint32_t i;
    uint8_t sum = 0;

    for (i = 0; i < sizeof(made) - 1; i++)
        sum = (uint8_t)(sum + made.bytes[i]);
    made.bytes[sizeof(made) - 1] = (uint8_t)-sum;
    return client_rom_refused(&made.header, sizeof(made));
}

static bool is(const char *text, const char *wanted)
{
    if (!text)
        return !wanted;
    if (!wanted)
        return false;
    while (*text && *text == *wanted) {
        text++;
        wanted++;
    }
    return *text == *wanted;
}

const char *check_refusals(void)
{
    static const struct {
        uint32_t at;
        uint8_t byte;
        const char *reason;
    } mistakes[] = {
        {0, 0x54, "signature"},
        {2, 0, "length"},
        {2, 3, "length"},
        {8, 'C', "VMI signature"},
        {13, 2, "major version"},
        {13, 4, "major version"},
        {24, 0, "PCI header"},
        {25, 0xff, "PCI header"},
        {PCI_AT, 'p', "PCI signature"},
        {PCI_AT + 4, 0x86, "PCI device"},
        {PCI_AT + 7, 0, "PCI device"},
        {22, 0, "license"},
        {LICENSE_AT, 'B', "license"},
        {LICENSE_AT + 3, '-', "license"},
    };
    uint32_t i;

    make();
    REQUIRE(is(said(), 0), "a good header is refused");
    made.header.api_minor = 7;
    REQUIRE(is(said(), 0), "a later minor version is refused");
    put(LICENSE_AT, "GPL v2");
    REQUIRE(is(said(), 0), "the license GPL v2 is refused");
    for (i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        make();
        made.bytes[mistakes[i].at] = mistakes[i].byte;
        if (!is(said(), mistakes[i].reason)) {
            client_print("# mistake at=%u reason=%s\n", mistakes[i].at, mistakes[i].reason);
            return "a mistake in the header is not noticed";
        }
    }
    make();
    said();
    made.bytes[300]++;
    REQUIRE(is(client_rom_refused(&made.header, sizeof(made)), "checksum"),
            "a wrong checksum is not noticed");
    return 0;
}

/* ---- memory ---- */

#define INFORMATION_MAP 0x40
#define MAP_LENGTH      11 /* index of a word of the information */
#define MAP             12
#define KIND_RAM        1

struct map_entry {
    uint32_t size; /* of what follows */
    uint64_t base, length;
    uint32_t kind;
} __attribute__((packed));

/* End of the memory below 640 KiB that is a kernel's to use. */
static uint32_t base_memory(void)
{
    return *(volatile uint16_t *)client_linear(BASE_MEMORY) * 1024u;
}

/* What a ROM has taken is not in the memory map either, by which some kernels go. */
const char *check_memory(void)
{
    uint32_t at, end, bottom = base_memory();

    if (!client_rom)
        return SKIP "no ROM";
    REQUIRE(bottom >= 0x40000 && bottom <= 0xa0000,
            "there is little base memory left, or too much");
    REQUIRE(client_information[0] & INFORMATION_MAP, "the loader gives no memory map");
    at = client_information[MAP];
    end = at + client_information[MAP_LENGTH];
    while (at < end) {
        const struct map_entry *entry = client_linear(at);

        if (entry->kind == KIND_RAM && entry->base < 0xa0000)
            REQUIRE(entry->base + entry->length <= bottom,
                    "memory that the ROM has taken is in the memory map");
        at += entry->size + 4;
    }
    return 0;
}

/* ---- relocations ---- */

static bool only_by_jump_or_call(uint32_t ordinal)
{
    return ordinal == CALL_IRET || ordinal == CALL_SYSEXIT;
}

/*
 * Calls that a kernel of the time keeps as pointers and then makes without asking further. That of
 * an entry written in place is one of them if entries are set by a call.
 */
static bool only_by_call(uint32_t ordinal)
{
    if (ordinal == CALL_UPDATE_PXE)
        return client_kind(CALL_SET_PXE) == RELOCATION_CALL;
    if (ordinal == CALL_UPDATE_PXE_LONG)
        return client_kind(CALL_SET_PXE_LONG) == RELOCATION_CALL;
    return (ordinal >= CALL_GET_CYCLE_FREQUENCY && ordinal <= CALL_WALLCLOCK_UPDATED) ||
           ordinal == CALL_SET_INITIAL_AP_STATE;
}

const char *check_relocations(void)
{
    uint32_t bottom = base_memory(), ordinal;
    const struct site *site;

    if (!client_rom)
        return SKIP "no ROM";
    for (site = client_sites; site < client_sites_end; site++) {
        struct relocation relocation = client_relocation(client_rom, site->ordinal);
        uint32_t target = relocation.target - LINEAR_BASE;

        REQUIRE(relocation.kept, "get_reloc does not keep the registers that a C function keeps");
        REQUIRE(relocation.kind == client_kind(site->ordinal), "get_reloc changes its mind");
        if (relocation.kind == RELOCATION_CALL || relocation.kind == RELOCATION_JUMP)
            REQUIRE(target >= bottom && target < LOW_END,
                    "a target lies neither in reserved low memory nor in the ROM");
        if (only_by_call(site->ordinal))
            REQUIRE(relocation.kind == RELOCATION_CALL,
                    "a call that has no native code is not answered by a call");
        if (only_by_jump_or_call(site->ordinal))
            REQUIRE(relocation.kind == RELOCATION_CALL || relocation.kind == RELOCATION_JUMP,
                    "a return from a trap, which these kernels always patch, is left as it is");
        else
            REQUIRE(relocation.kind != RELOCATION_JUMP,
                    "a call that returns is answered by a jump");
    }
    for (ordinal = CALL_GAP; ordinal <= CALL_UNDEFINED; ordinal += CALL_UNDEFINED - CALL_GAP)
        REQUIRE(client_relocation(client_rom, ordinal).kind == RELOCATION_NONE,
                "an ordinal that was never published is answered");
    return 0;
}
