/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Memory that devices can be given: of the linear mapping, as DeviceOpen and segments want it. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdint.h>
#include <vmi/vmi.h>

void memory_begin(const struct vmi_boot_info *boot);

/*
 * Takes whole pages for so many bytes, next to each other, at a multiple of `alignment` (a power of
 * 2) and below the guest-physical address `limit` (0: anywhere). For good: nothing is given back.
 * Ends the kernel if there is no such memory.
 */
void *memory_take(uint32_t size, uint32_t alignment, uint64_t limit);

/* The guest-physical address of what memory_take gave. */
uint64_t memory_physical(const void *memory);

#endif
