/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Options on the kernel's command line: words of the form name=value. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Copies the value of an option. False, and "" as the value, if it is not given; the last one
 * counts, a value that is too long is cut.
 */
bool option_value(const char *command_line, const char *name, char *value, size_t size);

/* The number that an option has, as far as it is one, to some millions; 0 if it is not given. */
uint32_t option_number(const char *command_line, const char *name);

#endif
