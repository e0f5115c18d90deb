/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Memory and strings. The mem… functions are also what the compiler calls for structure copies. */
#ifndef STRING_H
#define STRING_H

#include <stdbool.h>
#include <stddef.h>

void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);

/* True if both hold the same `size` bytes. */
bool string_equal(const char *a, const char *b, size_t size);
/* True if `part` stands somewhere in `text`; the empty string stands in every one. */
bool string_contains(const char *text, const char *part);
/* True if one of the parts does, between which there are commas. */
bool string_contains_one(const char *text, const char *parts);

#endif
