/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Entropy: the processor's own generator, and the way to devices'. Source: Intel SDM vol. 1, 7.3.17
 * (RDRAND is tried ten times, for it may be out of numbers; RDSEED more likely so, and with PAUSE
 * in between).
 */
#include "entropy.h"

#include "feature.h"
#include "runtime.h"

#define TRIES 10   /* of a word */
#define MOST  4096 /* bytes of a call: nobody else has the CPU meanwhile */

/* CPUID's leaf, subleaf, register and bit. */
#define RDRAND_FEATURE 1, 0, 2, 30
#define RDSEED_FEATURE 7, 0, 1, 18

enum { SEED = 1, RAND = 2, LOOKED = 4 };
#define REBINDS_SHIFT 3

int32_t (*vmi__entropy_of_devices)(uint32_t source, uint8_t *to, uint32_t size);

/* LOOKED with SEED and RAND, for instructions that there are; above, vmi__rebinds at that time. */
static volatile uint32_t found;

static uint32_t generators(void)
{
    uint32_t now = LOOKED | vmi__rebinds << REBINDS_SHIFT, known = found;

    if ((known & ~(uint32_t)(SEED | RAND)) != now)
        found = known = now | (vmi__feature(RDSEED_FEATURE) ? SEED : 0u) |
                        (vmi__feature(RDRAND_FEATURE) ? RAND : 0u);
    return known & (SEED | RAND);
}

/* The last word of each generator in a call, 0 if there is none yet: no call leaves it behind. */
struct last {
    uintptr_t seed, rand;
};

/*
 * A word that is neither what broken generators are known to give, all zeroes or all ones, nor the
 * one before it. EAGAIN if the generator gave none, EIO if it gave no other.
 */
static int32_t draw(bool (*generator)(uintptr_t *word), uintptr_t *last, uintptr_t *word)
{
    int32_t error = VMI_EAGAIN;

    for (uint32_t i = 0; i < TRIES; i++) {
        if (generator(word)) {
            if (*word && *word != UINTPTR_MAX && *word != *last) {
                *last = *word;
                return VMI_OK;
            }
            error = VMI_EIO;
        }
        vmi__entropy_pause();
    }
    return error;
}

/* The same; the first word is for the next one to be held against. */
static int32_t draw_next(bool (*generator)(uintptr_t *word), uintptr_t *last, uintptr_t *word)
{
    int32_t error = *last ? VMI_OK : draw(generator, last, word);

    return error ? error : draw(generator, last, word);
}

/* By RDSEED while it has numbers, else by RDRAND. */
static int32_t draw_any(uint32_t there, struct last *last, uintptr_t *word)
{
    int32_t error = VMI_EAGAIN;

    if (there & SEED)
        error = draw_next(vmi__rdseed, &last->seed, word);
    if (error && there & RAND)
        error = draw_next(vmi__rdrand, &last->rand, word);
    return error;
}

static int32_t fill_from_processor(uint8_t *to, uint32_t size)
{
    uint32_t there = generators(), done = 0, part;
    struct last last = {0, 0};
    uintptr_t word = 0;
    int32_t error = VMI_OK;

    if (!there)
        return VMI_ENODEV;
    for (; done < size; done += part) {
        part = size - done < sizeof(word) ? size - done : (uint32_t)sizeof(word);
        error = draw_any(there, &last, &word);
        if (error)
            break;
        memcpy(to + done, &word, part);
    }
    return done ? (int32_t)done : error;
}

VMI__ROUTINE int32_t vmi__entropy_fill(uint32_t source, void *memory, uint32_t size);
VMI__ROUTINE int32_t vmi__entropy_fill(uint32_t source, void *memory, uint32_t size)
{
    int32_t result = VMI_ENODEV, other;

    if (!size || size > INT32_MAX)
        return VMI_EINVAL;
    if (size > MOST)
        size = MOST;
    if (source == VMI_ENTROPY_PROCESSOR || source == VMI_ENTROPY_ANY) {
        result = fill_from_processor(memory, size);
        if (result > 0 || source == VMI_ENTROPY_PROCESSOR)
            return result;
    }
    if (!vmi__entropy_of_devices)
        return source == VMI_ENTROPY_ANY ? result : VMI_ENOENT;
    other = vmi__entropy_of_devices(source, memory, size);
    /* Of the two the one that says more. */
    return source == VMI_ENTROPY_ANY && other == VMI_ENODEV ? result : other;
}
