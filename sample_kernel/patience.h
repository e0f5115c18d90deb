/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* How long to wait for what must come. */
#ifndef PATIENCE_H
#define PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

/* How long a check waits for what must come: any machine, however busy, manages it in that time. */
#define PATIENCE_MILLISECONDS 10000

/*
 * Longest time between two looks that counts, in ms; several ticks. Where more has passed, the CPU
 * was away, and what it waits for may have been kept from it just as long.
 */
#define PATIENCE_STEP_MILLISECONDS 50

/* Private to patience.c. */
struct patience {
    uint64_t last, left; /* ns: when it was looked at, and how much there is */
};

void patience_begin(struct patience *patience, uint32_t milliseconds);

/* Whether there is some left. For a loop that looks at least once in each tick. */
bool patience_left(struct patience *patience);

#endif
