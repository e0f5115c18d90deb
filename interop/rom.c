/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Finding the ROM, and what a client asks of it before it calls it.
 */
#include "client.h"

static bool same(const char *left, const char *right, uint32_t length)
{
    while (length && *left == *right) {
        left++;
        right++;
        length--;
    }
    return length == 0;
}

/* A string of the ROM, or 0 if it does not end in it. */
static const char *string(const struct rom_header *rom, uint32_t offset)
{
    const char *text = (const char *)rom + offset;
    uint32_t size = rom->units * ROM_UNIT, i;

    for (i = offset; i < size; i++) {
        if (!*((const char *)rom + i))
            return text;
    }
    return 0;
}

const char *client_rom_refused(const struct rom_header *rom, uint32_t room)
{
    const struct rom_pci_header *pci;
    uint32_t size = rom->units * ROM_UNIT, i;
    const char *license;
    uint8_t sum = 0;

    if (rom->signature != ROM_SIGNATURE)
        return "signature";
    if (rom->vmi_signature != ROM_VMI_SIGNATURE)
        return "VMI signature";
    if (size < sizeof(*rom) || size > room)
        return "length";
    for (i = 0; i < size; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)rom)[i]);
    if (sum)
        return "checksum";
    if (rom->api_major != ROM_API_MAJOR)
        return "major version";
    if (!rom->pci || rom->pci + sizeof(*pci) > size)
        return "PCI header";
    pci = (const void *)((const char *)rom + rom->pci);
    if (!same(pci->signature, "PCIR", 4))
        return "PCI signature";
    if (pci->vendor != ROM_PCI_VENDOR || pci->device != ROM_PCI_DEVICE)
        return "PCI device";
    license = rom->license ? string(rom, rom->license) : 0;
    if (!license || !(same(license, "GPL", 4) || same(license, "GPL v2", 7)))
        return "license";
    return 0;
}

static void describe(const struct rom_header *rom)
{
    const struct rom_pnp_header *pnp = (const void *)((const char *)rom + rom->pnp);
    const char *manufacturer = 0, *product = 0;

    if (rom->pnp && same(pnp->signature, "$PnP", 4)) {
        manufacturer = string(rom, pnp->manufacturer);
        product = string(rom, pnp->product);
    }
    client_print("# rom address=0x%x size=%u api=%u.%u virtual_top=0x%x\n",
                 client_physical((const char *)rom), (uint32_t)rom->units * ROM_UNIT,
                 (uint32_t)rom->api_major, (uint32_t)rom->api_minor, rom->virtual_top);
    client_print("# rom_text manufacturer=%s; product=%s; license=%s\n",
                 manufacturer ? manufacturer : "", product ? product : "",
                 string(rom, rom->license));
}

const struct rom_header *client_rom_find(void)
{
    uint32_t base;

    for (base = ROM_AREA_START; base < ROM_AREA_END; base += ROM_STEP) {
        const struct rom_header *rom = client_linear(base);
        const char *reason;

        if (rom->signature != ROM_SIGNATURE || rom->vmi_signature != ROM_VMI_SIGNATURE)
            continue;
        reason = client_rom_refused(rom, ROM_AREA_END - base);
        if (reason) {
            client_print("# refused address=0x%x reason=%s\n", base, reason);
            continue;
        }
        describe(rom);
        return rom;
    }
    return 0;
}
