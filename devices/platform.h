/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What drivers ask of the library that they are part of. Defined by each backend that has drivers,
 * as far as those ask for it.
 */
#ifndef VMI_DEVICES_PLATFORM_H
#define VMI_DEVICES_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

/* Before anything else here, once. */
void vmi__platform_init(void);

/* A lock between CPUs, 0 is free, that keeps interrupts of this CPU out; flags go back to leave. */
uint32_t vmi__platform_enter(volatile uint32_t *lock);
void vmi__platform_leave(volatile uint32_t *lock, uint32_t flags);

/* Lets another thread of the processor on, in a loop that waits. */
void vmi__platform_pause(void);

/*
 * Everything before is seen by devices before anything behind is read. QEMU before 8.1 leaves
 * barriers out of what it translates for a machine with one CPU (tcg_gen_mb), though its devices
 * work beside that CPU. For the time-stamp counter it takes a lock, which is a barrier of the host.
 */
static inline void vmi__platform_fence(void)
{
    __sync_synchronize();
    __asm__ volatile("rdtsc" : : : "eax", "edx", "memory");
}

/* Waits for so long, by the library's clock. */
void vmi__platform_delay(uint32_t microseconds);

/*
 * A function's configuration space, 32 bits at a multiple of 4. Functions are numbered as for
 * VMI_EVENT_MSI. What is not there reads as all ones.
 */
uint32_t vmi__platform_pci_read(uint32_t function, uint32_t offset);
void vmi__platform_pci_write(uint32_t function, uint32_t offset, uint32_t value);

/* A port of so many bytes, 1, 2 or 4, for devices whose registers are ports. */
uint32_t vmi__platform_port_read(uint16_t port, uint32_t bytes);
void vmi__platform_port_write(uint16_t port, uint32_t value, uint32_t bytes);

/* Maps registers of a device uncached, whole pages, for good; 0 if that cannot be. */
volatile void *vmi__platform_map(uint64_t base, uintptr_t size);

/* Unbinds the events of a device. */
void vmi__platform_unbind(uint32_t device);

#endif
