/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Numbers that look like chance and are the same each time: what played checks of alarms try. */
#ifndef VMI_TESTS_PLAYED_RANDOM_H
#define VMI_TESTS_PLAYED_RANDOM_H

#include <stdint.h>

static uint64_t state; /* what a check begins with decides all that follows */

/* x <- 6364136223846793005 x + 1442695040888963407 (Knuth, MMIX), the better half twice. */
static uint64_t any(void)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < 2; i++) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        value = value << 32 | state >> 32;
    }
    return value;
}

/* Of any number of bits, each as often. */
static uint64_t any_size(void)
{
    uint64_t value = any();

    return value >> (any() & 63);
}

#endif
