/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the kernel of test_xen_sections.py asks of the library's flavour (xen_sections.c).
 */
#ifndef XEN_SECTIONS_MAIN_H
#define XEN_SECTIONS_MAIN_H

#include <stdbool.h>
#include <stdint.h>

/* From now on sleep only in sections that are about to write, and only while CPUs contend. */
void sections_contend(bool on);

/* Does a CPU sleep within a section, or is about to? */
bool sections_asleep(void);

/* Reads a node of xenstore, for which there is no call. Returns its length or an error. */
int32_t sections_store_read(const char *path, char *to, uint32_t size);
/* Writes one. */
int32_t sections_store_write(const char *path, const char *value);

#endif
