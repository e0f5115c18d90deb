/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A disk, by sectors as ISO 9660 has them. */
#ifndef DISK_H
#define DISK_H

#include <stdbool.h>
#include <stdint.h>

#define SECTOR 2048u

/* Opens the next disk, and closes the one before; false if there is none. */
bool disk_open_next(void);

/* How many sectors it has. */
uint64_t disk_sectors(void);

/*
 * Reads sectors to memory that memory_take gave, and waits for them. False if they are not on the
 * disk, or cannot be read. Ends the kernel if the disk does not answer.
 */
bool disk_read(uint64_t sector, uint32_t count, void *memory);

#endif
