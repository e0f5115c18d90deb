/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Formatted text, on the console and in memory. */
#ifndef PRINT_H
#define PRINT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Formats as printf does, as far as this kernel needs it: %s %c %u %d %x %%, `ll` for 64 bits, a
 * width, zeroes in front (%08x). Writes at most size bytes with the ending zero, cuts what is
 * longer, returns the length written.
 */
size_t format(char *to, size_t size, const char *text, ...) __attribute__((format(printf, 3, 4)));
size_t format_list(char *to, size_t size, const char *text, va_list arguments);

/* A value as `%ll` takes it, whatever type the compiler makes of 64 bits. */
#define WIDE(value) ((unsigned long long)(value))

/*
 * Writes one piece of text (at most 400 characters) with \n sent as CR LF. Safe in interrupt
 * handlers, on all CPUs.
 */
void print(const char *text, ...) __attribute__((format(printf, 1, 2)));
void print_list(const char *text, va_list arguments);

#endif
