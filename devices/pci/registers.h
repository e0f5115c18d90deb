/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Accesses to devices' registers, and to memory that devices read and write.
 */
#ifndef VMI_DEVICES_PCI_REGISTERS_H
#define VMI_DEVICES_PCI_REGISTERS_H

#include <stdint.h>

/* A register of 32 bits of a device that does something when it is read or written. */
uint32_t vmi__register_read(const volatile void *registers, uint32_t offset);
void vmi__register_write(volatile void *registers, uint32_t offset, uint32_t value);

/* What is written before is written before what is written behind, as the compiler orders it. */
static inline void vmi__compiler_fence(void)
{
    __asm__ volatile("" : : : "memory");
}

#endif
