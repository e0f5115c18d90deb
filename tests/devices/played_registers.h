/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Registers of a played device (played_pci.h) that does something when they are read or written:
 * in place of devices/pci/registers.c.
 */
#ifndef VMI_TESTS_DEVICES_PLAYED_REGISTERS_H
#define VMI_TESTS_DEVICES_PLAYED_REGISTERS_H

#include "devices/played_bar.h"
#include "pci/device.h"

/* The device's: before a register is read, and after one was written. */
static void is_read(uint32_t offset);
static void is_written(uint32_t offset, uint32_t value);

uint32_t vmi__register_read(const volatile void *registers, uint32_t offset)
{
    uint32_t at = (uint32_t)((const volatile uint8_t *)registers + offset - bar);

    ALWAYS(at <= BAR_SIZE - 4 && at % 4 == 0);
    is_read(at);
    return get(at);
}

void vmi__register_write(volatile void *registers, uint32_t offset, uint32_t value)
{
    uint32_t at = (uint32_t)((volatile uint8_t *)registers + offset - bar);

    ALWAYS(at <= BAR_SIZE - 4 && at % 4 == 0);
    set(at, value);
    is_written(at, value);
}

#endif
