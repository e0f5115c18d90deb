/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Kernel threads on one CPU. */
#include <stddef.h>

#include "checks.h"
#include "frames.h"
#include "fpu.h"
#include "threads.h"

#define THREADS 3

/* What a checked thread works on. */
struct work {
    volatile uint32_t count;
    volatile uint32_t stop;
    int32_t value;
    uint32_t wrong;
};

static struct work works[THREADS];
static struct thread *threads[THREADS];

/* Starts one thread per work on this CPU. False if memory is short. */
static bool start(thread_function *function)
{
    bool all = true;

    for (int i = 0; i < THREADS; i++) {
        works[i] = (struct work){.value = 1000 * (i + 1)};
        threads[i] = thread_create("check", function, &works[i], 1);
        all = all && threads[i] != NULL;
    }
    return all;
}

static void finish(void)
{
    for (int i = 0; i < THREADS; i++)
        works[i].stop = 1;
    for (int i = 0; i < THREADS; i++)
        if (threads[i] != NULL)
            thread_join(threads[i]);
}

static void count_to_100(void *argument)
{
    struct work *work = argument;
    while (work->count < 100) {
        work->count++;
        thread_yield();
    }
}

static void switching(void)
{
    uint32_t before = frames_free();
    bool started = start(count_to_100);
    finish();
    EXPECT(started);
    for (int i = 0; i < THREADS; i++)
        EXPECT_EQUAL(works[i].count, 100);
    EXPECT_EQUAL(frames_free(), before);
}

/* Never yields: only the alarm takes the CPU from it. */
static void count_until_stopped(void *argument)
{
    struct work *work = argument;
    while (!work->stop)
        work->count++;
}

static bool all_preempted(uint32_t times)
{
    for (int i = 0; i < THREADS; i++)
        if (threads[i]->preempted < times || works[i].count == 0)
            return false;
    return true;
}

static void preemption(void)
{
    bool started = start(count_until_stopped);
    struct patience patience;

    patience_begin(&patience, PATIENCE_MILLISECONDS);
    while (started && !all_preempted(2) && patience_left(&patience))
        thread_yield();
    bool preempted = started && all_preempted(2);
    finish();
    EXPECT(started);
    EXPECT(preempted);
}

/* Keeps a number of its own in the floating-point registers while others do the same. */
static void keep_number(void *argument)
{
    struct work *work = argument;

    fpu_push(work->value);
    for (; work->count < 50; work->count++) {
        work->wrong += fpu_top() != work->value;
        thread_yield();
    }
    fpu_pop();
}

static void floating_point(void)
{
    bool started = start(keep_number);
    finish();
    EXPECT(started);
    for (int i = 0; i < THREADS; i++) {
        EXPECT_EQUAL(works[i].count, 50);
        EXPECT_EQUAL(works[i].wrong, 0);
    }
}

const struct check checks_threads[] = {
    {"threads.switching", switching},
    {"threads.preemption", preemption},
    {"threads.floating_point", floating_point},
    {NULL, NULL},
};
