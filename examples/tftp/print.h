/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Lines on the console. */
#ifndef PRINT_H
#define PRINT_H

#include <stdint.h>

/*
 * Prints a line: %s is a text, of which bytes that are not printable ASCII come as '?', %u a
 * uint32_t, %a an IPv4 address in a uint32_t, %e an Ethernet address (const uint8_t *).
 */
void say(const char *format, ...);

/* Prints a line and ends the kernel with a status, VMI_STATUS_… */
void __attribute__((noreturn)) stop(uint32_t status, const char *line);

#endif
