/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Registers of 32 bits of a played device (played_pci.h), by their offsets in the memory `bar`.
 */
#ifndef VMI_TESTS_DEVICES_PLAYED_BAR_H
#define VMI_TESTS_DEVICES_PLAYED_BAR_H

#include "devices/played_pci.h"

static uint32_t get(uint32_t offset)
{
    uint32_t value;

    memcpy(&value, bar + offset, 4);
    return value;
}

static void set(uint32_t offset, uint32_t value)
{
    memcpy(bar + offset, &value, 4);
}

#endif
