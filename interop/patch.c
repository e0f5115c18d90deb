/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Turning call sites into what the ROM answers. Interrupts are masked and no other CPU runs.
 */
#include "client.h"

#define CALL_RELATIVE 0xe8
#define JUMP_RELATIVE 0xe9
#define NO_OPERATION  0x90

#define MARK 0x5a5a0000u

const struct rom_header *client_rom;

static uint8_t kinds[256];

/* Calls into the ROM itself; *kept: ebx, esi, edi and ebp came back as they went in. */
static uint64_t enter(const uint8_t *code, uint32_t argument, bool *kept)
{
    struct registers registers = {.eax = argument,
                                  .ebx = MARK + 1,
                                  .ecx = MARK + 2,
                                  .edx = MARK + 3,
                                  .esi = MARK + 4,
                                  .edi = MARK + 5,
                                  .ebp = MARK + 6};

    client_invoke(&registers, (void (*)(void))(uintptr_t)code);
    *kept = registers.ebx == MARK + 1 && registers.esi == MARK + 4 && registers.edi == MARK + 5 &&
            registers.ebp == MARK + 6;
    return (uint64_t)registers.edx << 32 | registers.eax;
}

struct relocation client_relocation(const struct rom_header *rom, uint32_t ordinal)
{
    struct relocation relocation;
    uint64_t answer = enter(rom->get_reloc, ordinal, &relocation.kept);

    relocation.target = (uint32_t)answer;
    relocation.kind = (uint8_t)(answer >> 32);
    return relocation;
}

static void write_branch(const struct site *site, uint8_t opcode, uint32_t target)
{
    uint32_t distance = target - ((uint32_t)(uintptr_t)site->address + 5), i;

    site->address[0] = opcode;
    for (i = 0; i < 4; i++)
        site->address[1 + i] = (uint8_t)(distance >> (8 * i));
    for (i = 5; i < site->length; i++)
        site->address[i] = NO_OPERATION;
}

static void patch(const struct site *site, const struct relocation *relocation)
{
    uint32_t i;

    switch (relocation->kind) {
    case RELOCATION_NONE:
        break;
    case RELOCATION_CALL:
        write_branch(site, CALL_RELATIVE, relocation->target);
        break;
    case RELOCATION_JUMP:
        write_branch(site, JUMP_RELATIVE, relocation->target);
        break;
    case RELOCATION_NOP:
        for (i = 0; i < site->length; i++)
            site->address[i] = NO_OPERATION;
        break;
    default:
        client_panic("get_reloc answers a kind that was never published");
    }
    kinds[site->ordinal] = relocation->kind;
}

bool client_activate(const struct rom_header *rom)
{
    uint32_t count[4] = {0, 0, 0, 0};
    const struct site *site;
    bool kept;

    if ((uint32_t)enter(rom->vmi_init, 0, &kept) != 0) {
        client_print("# refused address=0x%x reason=vmi_init\n", client_physical(rom));
        return false;
    }
    if (!kept)
        client_panic("vmi_init does not keep the registers that a C function keeps");
    for (site = client_sites; site < client_sites_end; site++) {
        struct relocation relocation = client_relocation(rom, site->ordinal);

        patch(site, &relocation);
        count[relocation.kind]++;
        client_print("# site %s ordinal=%u kind=%u target=0x%x\n", site->name,
                     (uint32_t)site->ordinal, (uint32_t)relocation.kind, relocation.target);
    }
    /* Sites that ran before are fetched anew behind a serializing instruction. */
    __asm__ volatile("cpuid" : : "a"(0) : "ebx", "ecx", "edx", "memory");
    client_print("# patched none=%u call=%u jump=%u nop=%u\n", count[RELOCATION_NONE],
                 count[RELOCATION_CALL], count[RELOCATION_JUMP], count[RELOCATION_NOP]);
    client_rom = rom;
    return true;
}

uint32_t client_kind(uint32_t ordinal)
{
    return kinds[ordinal];
}
