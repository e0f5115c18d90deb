/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What a check is, for whoever runs it: played.h, or a fuzz target that has the machine that the
 * checks play (tests/fuzz/played/).
 */
#ifndef VMI_TESTS_PLAYED_CHECK_H
#define VMI_TESTS_PLAYED_CHECK_H

#include <stdbool.h>
#include <stdint.h>

/* Where a check that goes through many seeds begins; other runs may have others (tests/seeds.py).
 */
#ifndef FIRST_SEED
#define FIRST_SEED 1u
#endif

struct played_check {
    const char *name;
    void (*run)(void);
};

#define CHECK(name)                                                                                \
    {                                                                                              \
#name, name                                                                                \
    }

/* Of the running check; the first line that did not hold, 0 if all did. */
static uint32_t failed_line;

#endif
