/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "pci/pci.h"

#include "platform.h"

#define PAGE 4096u

#define ID_NONE          0xffffffffu
#define HEADER           0x0c
#define HEADER_TYPE      0x007f0000u
#define HEADER_BRIDGE    0x00010000u
#define HEADER_FUNCTIONS 0x00800000u /* it has more than one */
#define BRIDGE_BUSES     0x18        /* secondary in bits 8-15 */
#define CAPABILITIES     0x34
#define STATUS_LIST      0x00100000u /* there are capabilities; in VMI__PCI_COMMAND */

#define COMMAND_MEMORY   0x0002u
#define COMMAND_MASTER   0x0004u
#define COMMAND_NO_INTX  0x0400u
#define COMMAND_WRITABLE 0xffffu /* the upper half is status, where writing a 1 clears */

#define BAR_IO    0x1u
#define BAR_TYPE  0x6u
#define BAR_64    0x4u
#define BAR_FLAGS 0xfu
#define BARS      6

#define CAPABILITY_MSIX 0x11
#define MSIX_ENABLE     0x80000000u /* in the capability's first word */
#define MSIX_ALL_MASKED 0x40000000u
#define MSIX_COUNT      0x7ffu /* of the upper half: one less than there are */
#define MSIX_TABLE      4      /* offset, and the BAR in bits 0-2 */
#define MSIX_BAR        0x7u

/* Words of an entry of the table. */
enum { ENTRY_ADDRESS, ENTRY_ADDRESS_HIGH, ENTRY_DATA, ENTRY_CONTROL, ENTRY_WORDS };
#define ENTRY_MASKED 0x1u

/* ---- configuration space ---- */

uint32_t vmi__pci_read8(uint32_t place, uint32_t offset)
{
    return vmi__platform_pci_read(place, offset & ~3u) >> 8 * (offset & 3) & 0xff;
}

void vmi__pci_address(uint32_t place, char to[VMI__PCI_ADDRESS_BYTES])
{
    const uint32_t parts[] = {place >> 16, place >> 8 & 0xff, place >> 3 & 0x1f, place & 7};
    static const uint8_t digits[] = {4, 2, 2, 1};
    static const char ends[] = "::.";

    for (uint32_t i = 0; i < sizeof(digits); i++) {
        for (uint32_t left = digits[i]; left; left--)
            *to++ = "0123456789abcdef"[parts[i] >> 4 * (left - 1) & 15];
        *to++ = ends[i];
    }
}

/* Buses are looked at in the order of their numbers: a bridge's secondary one is above its own. */
void vmi__pci_each(void (*function)(uint32_t place, void *context), void *context)
{
    uint32_t buses[256 / 32] = {1};

    for (uint32_t bus = 0; bus < 256; bus++) {
        if (!(buses[bus / 32] & 1u << bus % 32))
            continue;
        for (uint32_t slot = 0; slot < 32; slot++) {
            uint32_t functions = 1;

            for (uint32_t i = 0; i < functions; i++) {
                uint32_t place = bus << 8 | slot << 3 | i, header;

                if (vmi__platform_pci_read(place, VMI__PCI_ID) == ID_NONE)
                    continue;
                header = vmi__platform_pci_read(place, HEADER);
                if (header & HEADER_FUNCTIONS)
                    functions = 8;
                if ((header & HEADER_TYPE) == HEADER_BRIDGE) {
                    uint32_t next = vmi__pci_read8(place, BRIDGE_BUSES + 1);

                    if (next > bus)
                        buses[next / 32] |= 1u << next % 32;
                } else if (!(header & HEADER_TYPE)) {
                    function(place, context);
                }
            }
        }
    }
}

uint32_t vmi__pci_capability(uint32_t place, uint32_t identifier, uint32_t after)
{
    uint32_t offset = after ? after + 1 : CAPABILITIES;

    if (!(vmi__platform_pci_read(place, VMI__PCI_COMMAND) & STATUS_LIST))
        return 0;
    for (uint32_t i = 0; i < VMI__PCI_CAPABILITIES_MAX; i++) {
        offset = vmi__pci_read8(place, offset) & 0xfc;
        if (offset < 0x40)
            return 0;
        if (vmi__pci_read8(place, offset) == identifier)
            return offset;
        offset++;
    }
    return 0;
}

void vmi__pci_enable(uint32_t place, bool on)
{
    uint32_t command = vmi__platform_pci_read(place, VMI__PCI_COMMAND) & COMMAND_WRITABLE;

    command &= ~COMMAND_MASTER;
    command |= COMMAND_MEMORY | COMMAND_NO_INTX | (on ? COMMAND_MASTER : 0);
    vmi__platform_pci_write(place, VMI__PCI_COMMAND, command);
}

void vmi__pci_let_raise(uint32_t place, bool on)
{
    uint32_t command = vmi__platform_pci_read(place, VMI__PCI_COMMAND) & COMMAND_WRITABLE;

    command &= ~COMMAND_NO_INTX;
    vmi__platform_pci_write(place, VMI__PCI_COMMAND, on ? command : command | COMMAND_NO_INTX);
}

/* ---- registers ---- */

volatile void *vmi__pci_map(uint32_t place, uint32_t bar, uint32_t offset, uint32_t size)
{
    uint32_t at = VMI__PCI_BAR0 + 4 * bar, low, mask, command;
    uint64_t base, first;
    volatile char *mapped;

    if (bar >= BARS || !size || offset + size < offset)
        return 0;
    low = vmi__platform_pci_read(place, at);
    if (low & BAR_IO || ((low & BAR_TYPE) && (low & BAR_TYPE) != BAR_64))
        return 0;
    base = low & ~BAR_FLAGS;
    if ((low & BAR_TYPE) == BAR_64) {
        if (bar + 1 >= BARS)
            return 0;
        base |= (uint64_t)vmi__platform_pci_read(place, at + 4) << 32;
    }
    /* How large it is: which bits of the address stay 0. Not while it answers there. */
    command = vmi__platform_pci_read(place, VMI__PCI_COMMAND) & COMMAND_WRITABLE;
    vmi__platform_pci_write(place, VMI__PCI_COMMAND, command & ~COMMAND_MEMORY);
    vmi__platform_pci_write(place, at, ~0u);
    mask = vmi__platform_pci_read(place, at) & ~BAR_FLAGS;
    vmi__platform_pci_write(place, at, low);
    vmi__platform_pci_write(place, VMI__PCI_COMMAND, command);
    if (!base || (mask && offset + size - 1 > ~mask))
        return 0;
    first = (base + offset) & ~(uint64_t)(PAGE - 1);
    mapped = vmi__platform_map(
        first, (uintptr_t)((base + offset + size - first + PAGE - 1) & ~(uint64_t)(PAGE - 1)));
    return mapped ? mapped + (base + offset - first) : 0;
}

/* ---- MSI-X ---- */

void vmi__msix_find(struct vmi__msix *msix, uint32_t place)
{
    uint32_t at = vmi__pci_capability(place, CAPABILITY_MSIX, 0), table;

    msix->entries = 0;
    msix->capability = at;
    if (!at)
        return;
    msix->count = (vmi__platform_pci_read(place, at) >> 16 & MSIX_COUNT) + 1;
    table = vmi__platform_pci_read(place, at + MSIX_TABLE);
    msix->entries = vmi__pci_map(place, table & MSIX_BAR, table & ~MSIX_BAR,
                                 msix->count * ENTRY_WORDS * (uint32_t)sizeof(uint32_t));
}

void vmi__msix_enable(const struct vmi__msix *msix, uint32_t place, bool on)
{
    uint32_t head;

    if (!msix->entries)
        return;
    head = vmi__platform_pci_read(place, msix->capability) & ~(MSIX_ENABLE | MSIX_ALL_MASKED);
    vmi__platform_pci_write(place, msix->capability, on ? head | MSIX_ENABLE : head);
    for (uint32_t i = 0; i < msix->count; i++)
        vmi__msix_mask(msix, i, true);
}

void vmi__msix_mask(const struct vmi__msix *msix, uint32_t entry, bool masked)
{
    msix->entries[ENTRY_WORDS * entry + ENTRY_CONTROL] = masked ? ENTRY_MASKED : 0;
}

void vmi__msix_message(const struct vmi__msix *msix, uint32_t entry,
                       const struct vmi_message *message)
{
    volatile uint32_t *at = &msix->entries[ENTRY_WORDS * entry];
    uint32_t control = at[ENTRY_CONTROL];

    /* Not sent while its parts do not belong together. */
    at[ENTRY_CONTROL] = ENTRY_MASKED;
    at[ENTRY_ADDRESS] = message ? (uint32_t)message->address : 0;
    at[ENTRY_ADDRESS_HIGH] = message ? (uint32_t)(message->address >> 32) : 0;
    at[ENTRY_DATA] = message ? message->data : 0;
    at[ENTRY_CONTROL] = message ? control : ENTRY_MASKED;
}
