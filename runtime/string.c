/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The four functions that compilers call on their own in freestanding code. Weak: a kernel may
 * bring its own. String instructions keep the compiler from recognizing the loops and calling the
 * function from itself.
 */
#include "runtime.h"

__attribute__((weak)) void *memcpy(void *to, const void *from, size_t size)
{
    void *next = to;

    __asm__ volatile("rep movsb" : "+D"(next), "+S"(from), "+c"(size) : : "memory");
    return to;
}

__attribute__((weak)) void *memmove(void *to, const void *from, size_t size)
{
    if ((uintptr_t)to - (uintptr_t)from >= size)
        return memcpy(to, from, size);
    {
        const char *source = (const char *)from + size - 1;
        char *target = (char *)to + size - 1;

        /* Backwards; the ABI wants the direction flag clear again. */
        __asm__ volatile("std; rep movsb; cld"
                         : "+D"(target), "+S"(source), "+c"(size)
                         :
                         : "memory");
    }
    return to;
}

__attribute__((weak)) void *memset(void *to, int byte, size_t size)
{
    void *next = to;

    __asm__ volatile("rep stosb" : "+D"(next), "+c"(size) : "a"(byte) : "memory");
    return to;
}

__attribute__((weak)) int memcmp(const void *left, const void *right, size_t size)
{
    const unsigned char *a = left, *b = right;

    for (; size; size--, a++, b++) {
        if (*a != *b)
            return *a - *b;
    }
    return 0;
}
