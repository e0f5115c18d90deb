/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A virtio console for a library's own use, without the interface for devices (driver.h). Under a
 * hypervisor it takes a whole buffer for one exit, where a 16550 takes a byte.
 */
#ifndef VMI_DEVICES_VIRTIO_CONSOLE_H
#define VMI_DEVICES_VIRTIO_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

/* One is in use. */
extern bool vmi__virtio_console;

/*
 * Looks for one, and uses the first that is sound: on PCI by the modern interface, or by the legacy
 * one where there is no other, or where registers cannot be mapped; then among those that the
 * command line tells of (virtio.h).
 */
void vmi__virtio_console_find(void);

/* Writes; less than asked means that it has failed. Waits until all but the last was taken. */
uint32_t vmi__virtio_console_write(const char *from, uint32_t length);

/* Waits until all was taken, or for some seconds. */
void vmi__virtio_console_drain(void);

/* Reads what has been received, at most that much. */
uint32_t vmi__virtio_console_read(char *to, uint32_t length);

/* Its interrupt line: on PCI as firmware has wired it. */
uint32_t vmi__virtio_console_line(void);

/* Lets it raise its line, which is lowered from now on before something is taken. */
void vmi__virtio_console_interrupts(void);

/* Lowers its line. */
void vmi__virtio_console_acknowledge(void);

#endif
