/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the fuzz targets share: libFuzzer's entry points (LLVM's documentation "libFuzzer"), and
 * mutation of words.
 */
#ifndef VMI_TESTS_FUZZ_H
#define VMI_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed);

/* What must hold whatever the input is; a trap is a find. */
#define HOLDS(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            __builtin_trap();                                                                      \
    } while (0)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* xorshift32 (Marsaglia, "Xorshift RNGs", 2003): a number below `limit`, which is not 0. */
static inline uint32_t below(uint32_t *state, uint32_t limit)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state % limit;
}

static inline uint32_t read_word(const uint8_t *bytes)
{
    uint32_t word;

    memcpy(&word, bytes, sizeof(word));
    return word;
}

static inline void write_word(uint8_t *bytes, uint32_t word)
{
    memcpy(bytes, &word, sizeof(word));
}

/* A word that is likely to be at some limit, from what it was and from words that matter. */
static inline uint32_t odd_word(uint32_t *state, uint32_t old, const uint32_t *words,
                                uint32_t count)
{
    switch (below(state, 5)) {
    case 0:
        return old + below(state, 33) - 16;
    case 1:
        return old ^ 1u << below(state, 32);
    case 2:
        return 0u - below(state, 17);
    case 3:
        return below(state, 1u << below(state, 24));
    default:
        return words[below(state, count)] + below(state, 9) - 4;
    }
}

#endif
