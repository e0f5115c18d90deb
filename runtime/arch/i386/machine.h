/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the binder knows of i386: images, call sites, instructions.
 */
#ifndef VMI_RUNTIME_ARCH_MACHINE_H
#define VMI_RUNTIME_ARCH_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "image/rom.h"

#define VMI__MACHINE VMI__ROM_MACHINE_I386

/* 0x40 to 0x4f are instructions, and every operand in memory has an address of its own. */
#define VMI__LONG_MODE false

/* What is added to a guest-physical address of the image, of which words hold 32 bits. */
#define VMI__MACHINE_BASE 0xc0000000u

/* A record in section .vmi.sites, as the wrappers of vmi/vmi.h make it. */
struct vmi__site {
    uint32_t address;
    uint16_t ordinal;
    uint8_t length;
    uint8_t live; /* registers that live on, by the processor's numbers; bit 4: the flags */
};

/* Address of a site whose record lies at `record`. */
static inline uintptr_t vmi__site_address(const struct vmi__site *site, uintptr_t record)
{
    (void)record;
    return site->address;
}

#endif
