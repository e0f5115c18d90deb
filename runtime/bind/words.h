/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Copying, filling and adding up by words, in an instruction for each. A kernel may bring memcpy
 * and memset of its own, which may take one for each byte, and compilers that tune for some
 * processors make two of an addition from memory. On the build machine it is done in C, which
 * sanitizers know.
 */
#ifndef VMI_RUNTIME_BIND_WORDS_H
#define VMI_RUNTIME_BIND_WORDS_H

#include <stddef.h>
#include <stdint.h>

#define VMI__WORD sizeof(uintptr_t)

#if __STDC_HOSTED__

#include <string.h>

static inline void vmi__copy(uint8_t *to, const uint8_t *from, size_t size)
{
    memcpy(to, from, size);
}

static inline void vmi__fill(uint8_t *to, uint8_t byte, size_t size)
{
    memset(to, byte, size);
}

static inline void vmi__add(uint32_t *sum, const uint8_t *word)
{
    uint32_t value;

    memcpy(&value, word, sizeof(value));
    *sum += value;
}

#else

#ifdef __x86_64__
#define VMI__WORDS "q"
#else
#define VMI__WORDS "l"
#endif

static inline void vmi__copy(uint8_t *to, const uint8_t *from, size_t size)
{
    size_t words = size / VMI__WORD, rest = size % VMI__WORD;

    __asm__ volatile("rep movs" VMI__WORDS : "+D"(to), "+S"(from), "+c"(words) : : "memory");
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(rest) : : "memory");
}

static inline void vmi__fill(uint8_t *to, uint8_t byte, size_t size)
{
    uintptr_t word = byte * (UINTPTR_MAX / UINT8_MAX);
    size_t words = size / VMI__WORD, rest = size % VMI__WORD;

    __asm__ volatile("rep stos" VMI__WORDS : "+D"(to), "+c"(words) : "a"(word) : "memory");
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(rest) : "a"(word) : "memory");
}

static inline void vmi__add(uint32_t *sum, const uint8_t *word)
{
    __asm__("addl %1, %0" : "+r"(*sum) : "m"(*(const uint8_t(*)[4])word) : "cc");
}

#endif
#endif
