/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Measures the TSC and a counter against each other, though a hypervisor, an emulator or the
 * firmware's system management mode may stop this CPU at any moment.
 *
 * Each reading says that between two moments of the TSC the counter was in one of its ticks. Two
 * readings bound the frequency from both sides; of the readings at both ends of an interval the
 * nearest bounds of all pairs hold. So one undisturbed reading at each end is enough, and among
 * several some lie right after and right before a tick's edge, which leaves out the ticks' width.
 */
#include "native.h"

/* Readings at each end of an interval. */
#define READINGS 24

/* Readings of which the best counts, where one is all that is wanted. */
#define TRIES 8

/* Readings without any change after which a counter is said to stand still. */
#define STILL_LIMIT 4096

/*
 * Fewer cycles than a round of any counter takes: the PIT's 55 ms, with the slowest TSC that is
 * believed. All readings of one end come within that. If these are fewer than a few, they begin
 * again, some times.
 */
#define END_CYCLES (VMI__TSC_HZ_MIN / VMI__PIT_HZ * 65536)
#define FEW        3
#define AGAIN      16

/* Intervals: how many a second has, how many in a row are enough, and how many there are at most.
 */
#define INTERVALS_PER_SECOND 400
#define INTERVALS_ENOUGH     3
#define INTERVALS_MAX        12

/* Bounds that are nearer than this part of the frequency are near enough. */
#define NEAR_SHIFT 12

struct end {
    uint32_t count;
    struct vmi__native_reading readings[READINGS];
};

struct ends {
    struct end first, last, next; /* of the intervals in a row, and of the latest */
};

/* A lower bound, and the highest one of the intervals that it was found by. */
struct lower {
    uint64_t least, highest;
};

static void look(struct end *end, vmi__native_counter *read)
{
    struct vmi__native_reading reading;
    uint32_t again = 0;

    end->count = 0;
    do {
        read(&reading);
        if (end->count && reading.after - end->readings[0].before >= END_CYCLES) {
            if (end->count >= FEW || again++ == AGAIN)
                return;
            end->count = 0;
        }
        end->readings[end->count++] = reading;
    } while (end->count < READINGS);
}

/*
 * Waits until a counter has gone on by so many ticks since an earlier count, and so many cycles
 * since a moment; false if it stands still.
 */
static bool wait_for(vmi__native_counter *read, uint32_t mask, uint32_t count, uint32_t ticks,
                     uint64_t moment, uint64_t cycles)
{
    struct vmi__native_reading now;
    uint32_t previous = count, still = 0;

    do {
        read(&now);
        still = now.count == previous ? still + 1 : 0;
        if (still == STILL_LIMIT)
            return false;
        previous = now.count;
    } while (((now.count - count) & mask) < ticks || now.before - moment < cycles);
    return true;
}

/* The bounds by two ends, whose first readings are `ticks` apart. */
static struct vmi__native_bounds between(const struct end *first, const struct end *last,
                                         uint32_t mask, uint32_t ticks, uint32_t hz)
{
    struct vmi__native_bounds bounds = {.least = 0, .most = UINT64_MAX};
    uint32_t i, j;

    for (i = 0; i < first->count; i++) {
        const struct vmi__native_reading *from = &first->readings[i];
        uint32_t begun = (from->count - first->readings[0].count) & mask;

        for (j = 0; j < last->count; j++) {
            const struct vmi__native_reading *to = &last->readings[j];
            uint32_t passed = ticks + ((to->count - last->readings[0].count) & mask) - begun;
            uint64_t least, most;

            if (passed < 2 || passed > INT32_MAX) /* the counter has gone round */
                continue;
            least = vmi__div64((to->before - from->after) * hz, passed + 1);
            most = vmi__div64((to->after - from->before) * hz, passed - 1) + 1;
            if (least > bounds.least)
                bounds.least = least;
            if (most < bounds.most)
                bounds.most = most;
        }
    }
    return bounds;
}

/*
 * Whether a lower bound comes from an interval in which the counter has gone round unseen. Such a
 * bound is twice the frequency or more; a nearer one only means that the counter is not even.
 */
static bool went_round(uint64_t least, uint64_t most)
{
    return least > most + most / 4;
}

/* The highest lower bound of those that hold. */
static uint64_t highest_least(const struct lower *lower, uint32_t count, uint64_t most)
{
    uint64_t least = 0;
    uint32_t i;

    for (i = 0; i < count; i++)
        if (!went_round(lower[i].highest, most) && lower[i].least > least)
            least = lower[i].least;
    return least;
}

/*
 * Ends of intervals in a row are measured against each other, for what is longer is measured
 * better. Where the counter has gone round within an interval, too few ticks are taken to have
 * passed: upper bounds are too high, but hold; lower ones do not. The lowest upper bound of all
 * tells those, at the latest when an interval has come that was not disturbed so much.
 */
struct vmi__native_bounds vmi__native_measure(vmi__native_counter *read, uint32_t mask, uint32_t hz)
{
    static struct ends ends;
    struct lower lower[INTERVALS_MAX];
    struct vmi__native_bounds bounds = {.least = 0, .most = 0};
    uint64_t most = UINT64_MAX, highest = 0;
    uint32_t ticks = 0, intervals = 0, i;

    look(&ends.last, read);
    for (i = 0; i < INTERVALS_MAX; i++) {
        struct vmi__native_bounds latest, whole;
        uint32_t count = ends.last.readings[0].count, passed;

        if (!wait_for(read, mask, ends.last.readings[ends.last.count - 1].count,
                      hz / INTERVALS_PER_SECOND, 0, 0))
            return (struct vmi__native_bounds){.least = 0, .most = 0};
        do {
            look(&ends.next, read);
            passed = (ends.next.readings[0].count - count) & mask;
        } while (passed < hz / INTERVALS_PER_SECOND); /* it has gone round meanwhile */
        latest = whole = between(&ends.last, &ends.next, mask, passed, hz);
        if (latest.most < most)
            most = latest.most;
        if (intervals && !went_round(highest, most)) {
            intervals++;
            ticks += passed;
            whole = between(&ends.first, &ends.next, mask, ticks, hz);
        } else {
            ends.first = ends.last;
            intervals = 1;
            ticks = passed;
            highest = 0;
        }
        if (latest.least > highest)
            highest = latest.least;
        if (whole.most < most)
            most = whole.most;
        lower[i] = (struct lower){.least = whole.least, .highest = highest};
        ends.last = ends.next;

        bounds.least = highest_least(lower, i + 1, most);
        bounds.most = most;
        if (intervals >= INTERVALS_ENOUGH && !went_round(highest, most) &&
            (most < bounds.least || most - bounds.least <= most >> NEAR_SHIFT))
            break;
    }
    /* By a counter that is not even they may cross. */
    if (bounds.least > bounds.most)
        bounds = (struct vmi__native_bounds){.least = bounds.most, .most = bounds.least};
    return bounds;
}

struct vmi__native_reading vmi__native_take(vmi__native_counter *read)
{
    struct vmi__native_reading best, next;
    uint32_t i;

    read(&best);
    for (i = 1; i < TRIES; i++) {
        read(&next);
        if (next.after - next.before < best.after - best.before)
            best = next;
    }
    return best;
}

struct vmi__native_interval vmi__native_watch(vmi__native_counter *read, uint32_t mask,
                                              const struct vmi__native_reading *first,
                                              uint64_t cycles)
{
    struct vmi__native_interval interval = {.ticks = 0};
    struct vmi__native_reading last;

    if (!wait_for(read, mask, first->count, 1, first->after, cycles))
        return interval;
    last = vmi__native_take(read);
    interval.ticks = (last.count - first->count) & mask;
    interval.cycles_at_least = last.before - first->after;
    interval.cycles_at_most = last.after - first->before;
    return interval;
}
