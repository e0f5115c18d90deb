/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Measures a counter against the TSC, though a hypervisor or an emulator may stop this CPU at any
 * moment: of several readings at each end the one counts that the least time passed around.
 */
#include "native.h"

/*
 * Readings at each end, and readings without any change after which a counter is said to stand
 * still.
 */
#define TRIES       8
#define STILL_LIMIT 4096

struct reading {
    uint64_t before, after; /* TSC */
    uint32_t count;
};

static struct reading take(vmi__native_counter *read)
{
    struct reading best, next;
    uint32_t i;

    for (i = 0; i < TRIES; i++) {
        next.before = vmi__rdtsc();
        next.count = read();
        next.after = vmi__rdtsc();
        if (i == 0 || next.after - next.before < best.after - best.before)
            best = next;
    }
    return best;
}

struct vmi__native_interval vmi__native_measure(vmi__native_counter *read, uint32_t mask,
                                                uint32_t ticks, uint64_t cycles)
{
    struct vmi__native_interval interval = {.ticks = 0};
    struct reading first, last;
    uint32_t still, count, previous;

    do {
        first = take(read);
        still = 0;
        previous = first.count;
        do {
            count = read();
            still = count == previous ? still + 1 : 0;
            if (still == STILL_LIMIT)
                return interval;
            previous = count;
        } while (((count - first.count) & mask) < ticks || vmi__rdtsc() - first.after < cycles);
        last = take(read);
        interval.ticks = (last.count - first.count) & mask;
    } while (interval.ticks < ticks); /* it has gone round meanwhile */

    interval.cycles_at_least = last.before - first.after;
    interval.cycles_at_most = last.after - first.before;
    return interval;
}
