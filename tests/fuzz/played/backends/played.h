/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * In place of tests/backends/played.h where a fuzz target has the device that a program of checks
 * plays: what checks expect of a sound device is no find, for this one is not; and by an address
 * that stands in memory that the fuzzer writes to the device reaches what is the driver's, or
 * nothing.
 */
#ifndef VMI_TESTS_PLAYED_H
#define VMI_TESTS_PLAYED_H

#include "backends/played_check.h"
#include "fuzz.h"

#define EXPECT(condition)       ((void)(condition))
#define ALWAYS(condition)       HOLDS(condition)
#define REACHED(address, bytes) memory_at(address, bytes)

static void *memory_at(uint64_t address, uint32_t bytes);

/* The checks are there, and nobody runs them. */
const struct played_check *played_checks(void);

#define PLAY(checks)                                                                               \
    const struct played_check *played_checks(void)                                                 \
    {                                                                                              \
        return checks;                                                                             \
    }

#endif
