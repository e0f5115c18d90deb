/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * An input as numbers, one behind the other; behind its end all are 0.
 */
#ifndef VMI_TESTS_FUZZ_INPUT_H
#define VMI_TESTS_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

static const uint8_t *input;
static size_t left;

static inline uint32_t next8(void)
{
    return left ? (left--, *input++) : 0;
}

static inline uint32_t next16(void)
{
    uint32_t low = next8();

    return low | next8() << 8;
}

/* A number that is seldom large. */
static inline uint32_t next_length(void)
{
    uint32_t value = next16();

    return value & 0x8000 ? value << (value >> 4 & 31) : value;
}

#endif
