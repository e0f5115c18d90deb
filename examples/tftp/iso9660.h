/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Files of an ISO 9660 volume (ECMA-119), with Rock Ridge's names where it has them (IEEE P1282).
 * Nothing that the disk says is taken for granted.
 */
#ifndef ISO9660_H
#define ISO9660_H

#include <stdbool.h>
#include <stdint.h>

/* Where a file's bytes are: on the disk, next to each other. */
struct file {
    uint64_t sector;
    uint32_t size;
};

enum found { FOUND, NO_SUCH_FILE, NOT_READABLE };

/* Looks at the disk that is open: whether it has such a volume. Its name goes to the console. */
bool iso_open(void);

/*
 * Finds a file by its path, with slashes between names: Rock Ridge's as they are, those of plain
 * ISO 9660 in upper or lower case and without a version.
 */
enum found iso_find(const char *path, struct file *file);

#endif
