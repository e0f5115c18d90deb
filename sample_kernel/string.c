/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <stdint.h>

#include "string.h"

void *memcpy(void *to, const void *from, size_t size)
{
    void *end = to;
    __asm__ volatile("rep movsb" : "+D"(end), "+S"(from), "+c"(size) : : "memory");
    return to;
}

void *memmove(void *to, const void *from, size_t size)
{
    if ((uintptr_t)to - (uintptr_t)from >= size)
        return memcpy(to, from, size);
    /* The end of the source is overwritten first: copy from the end, a byte at a time. */
    unsigned char *last = to;
    const unsigned char *source = from;
    while (size-- > 0) {
        last[size] = source[size];
        __asm__ volatile("" : : : "memory"); /* keeps the compiler from calling memmove */
    }
    return to;
}

void *memset(void *to, int value, size_t size)
{
    void *end = to;
    __asm__ volatile("rep stosb" : "+D"(end), "+c"(size) : "a"(value) : "memory");
    return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const unsigned char *left = a, *right = b;
    for (size_t i = 0; i < size; i++)
        if (left[i] != right[i])
            return left[i] - right[i];
    return 0;
}

size_t strlen(const char *text)
{
    size_t length = 0;
    while (text[length] != '\0') {
        length++;
        __asm__ volatile("" : : "r"(length)); /* keeps the compiler from calling strlen */
    }
    return length;
}

bool string_equal(const char *a, const char *b, size_t size)
{
    return memcmp(a, b, size) == 0;
}

static bool contains(const char *text, const char *part, size_t wanted)
{
    size_t length = strlen(text);
    for (size_t at = 0; at + wanted <= length; at++)
        if (string_equal(text + at, part, wanted))
            return true;
    return false;
}

bool string_contains(const char *text, const char *part)
{
    return contains(text, part, strlen(part));
}

bool string_contains_one(const char *text, const char *parts)
{
    for (;; parts++) {
        size_t wanted = 0;
        while (parts[wanted] != 0 && parts[wanted] != ',')
            wanted++;
        if (contains(text, parts, wanted))
            return true;
        parts += wanted;
        if (*parts == 0)
            return false;
    }
}
