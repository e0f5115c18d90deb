/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "pci/registers.h"

uint32_t vmi__register_read(const volatile void *registers, uint32_t offset)
{
    return *(const volatile uint32_t *)((const volatile char *)registers + offset);
}

void vmi__register_write(volatile void *registers, uint32_t offset, uint32_t value)
{
    *(volatile uint32_t *)((volatile char *)registers + offset) = value;
}
