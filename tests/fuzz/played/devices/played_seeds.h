/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * In place of tests/devices/played_seeds.h: what follows from a seed there is the fuzzer's to say.
 */
#ifndef VMI_TESTS_DEVICES_PLAYED_SEEDS_H
#define VMI_TESTS_DEVICES_PLAYED_SEEDS_H

#include <stdlib.h>

#include "input.h"

#define random next_random /* not the C library's */

static uint32_t state;

static uint32_t random(void)
{
    uint32_t value = next8();

    return value & 0x80 ? value ^ next16() << 16 ^ next16() : value;
}

#endif
