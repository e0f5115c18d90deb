/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Numbers that follow from a seed: xorshift32 (Marsaglia, "Xorshift RNGs", 2003).
 */
#ifndef VMI_TESTS_DEVICES_PLAYED_SEEDS_H
#define VMI_TESTS_DEVICES_PLAYED_SEEDS_H

#include <stdint.h>

static uint32_t state;

static uint32_t random(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
}

#endif
