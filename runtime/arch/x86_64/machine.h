/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the binder knows of x86-64: images, call sites, instructions.
 */
#ifndef VMI_RUNTIME_ARCH_MACHINE_H
#define VMI_RUNTIME_ARCH_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "image/rom.h"

#define VMI__MACHINE VMI__ROM_MACHINE_X86_64

/* 0x40 to 0x4f are REX prefixes (Intel SDM vol. 2A, 2.2.1). */
#define VMI__LONG_MODE true

/* What is added to a guest-physical address of the image, of which words hold 32 bits: the kernel
 * code model's last 2 GiB. */
#define VMI__MACHINE_BASE 0x80000000u

/* A record in section .vmi.sites, as the wrappers of vmi/vmi.h make it. */
struct vmi__site {
    int32_t distance; /* from the record */
    uint16_t ordinal;
    uint16_t live; /* registers that live on, by the processor's numbers; bit 4: the flags */
    uint8_t length;
    uint8_t reserved[3];
};

/* Address of a site whose record lies at `record`. */
static inline uintptr_t vmi__site_address(const struct vmi__site *site, uintptr_t record)
{
    return record + (uintptr_t)(intptr_t)site->distance;
}

#endif
