/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What compilers call on their own, for programs of checks that have no C library. `volatile` keeps
 * the compiler from recognizing the loops and calling the functions from themselves.
 */
#ifndef VMI_TESTS_BACKENDS_PLAIN_MEMORY_H
#define VMI_TESTS_BACKENDS_PLAIN_MEMORY_H

#include <stddef.h>
#include <stdint.h>

void *memset(void *to, int byte, size_t size);
void *memcpy(void *to, const void *from, size_t size);

void *memset(void *to, int byte, size_t size)
{
    for (volatile uint8_t *at = to; size; size--)
        *at++ = (uint8_t)byte;
    return to;
}

void *memcpy(void *to, const void *from, size_t size)
{
    volatile uint8_t *at = to;

    for (const uint8_t *byte = from; size; size--)
        *at++ = *byte++;
    return to;
}

#endif
