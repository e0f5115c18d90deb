/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* 64-bit division without libgcc. */
#ifndef DIVIDE_H
#define DIVIDE_H

#include <stdint.h>

/*
 * Quotient of a 64-bit by a 32-bit number; the remainder goes to *remainder. Long division with two
 * digits of 32 bits: the first remainder is below the divisor, so the second `div` cannot overflow.
 */
static inline uint64_t divide_u64(uint64_t dividend, uint32_t divisor, uint32_t *remainder)
{
    uint32_t high = (uint32_t)(dividend >> 32), low = (uint32_t)dividend;
    uint32_t quotient_high = high / divisor, quotient_low;

    __asm__("divl %4"
            : "=a"(quotient_low), "=d"(*remainder)
            : "a"(low), "d"(high % divisor), "rm"(divisor)
            : "cc");
    return (uint64_t)quotient_high << 32 | quotient_low;
}

#endif
