/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The list of checks and their verdicts, as KTAP on the console (docs/architecture.md, "Guest
 * output").
 *
 * A check is a function that returns early, by one of the macros below, when it finds something
 * wrong or cannot be done. Checks run one after the other in the first thread, on the first CPU,
 * with interrupts let in.
 */
#ifndef KTAP_H
#define KTAP_H

#include <stdint.h>
#include <vmi/vmi.h>

struct check {
    const char *name; /* stable: people and tools refer to it */
    void (*run)(void);
};

struct ktap_result {
    uint32_t passed, failed, skipped;
};

/*
 * Runs the checks of all lists (each ends with a null name). With a pattern other than "", checks
 * whose names do not contain it are skipped; those of the list `always` are not.
 */
struct ktap_result ktap_run(const struct check *const lists[], uint32_t list_count,
                            const char *pattern, const struct check *always);

/* The verdict of the running check; the first call counts. */
void ktap_fail(const char *text, ...) __attribute__((format(printf, 1, 2)));
void ktap_skip(const char *text, ...) __attribute__((format(printf, 1, 2)));

/* Why the backend does not have a call, null if it has. */
const char *call_unsupported(uint32_t ordinal);

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            ktap_fail("line %u: not so: %s", (unsigned)__LINE__, #condition);                      \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* Both are compared and shown as 64-bit numbers. */
#define EXPECT_EQUAL(found, wanted)                                                                \
    do {                                                                                           \
        uint64_t found_ = (uint64_t)(found), wanted_ = (uint64_t)(wanted);                         \
        if (found_ != wanted_) {                                                                   \
            ktap_fail("line %u: %s is 0x%llx, not 0x%llx", (unsigned)__LINE__, #found,             \
                      (unsigned long long)found_, (unsigned long long)wanted_);                    \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* The check needs a call; CALL is its name in VMI_ORDINAL_…. */
#define NEEDS(CALL)                                                                                \
    do {                                                                                           \
        const char *reason_ = call_unsupported(VMI_ORDINAL_##CALL);                                \
        if (reason_ != 0) {                                                                        \
            ktap_skip("%s", reason_);                                                              \
            return;                                                                                \
        }                                                                                          \
    } while (0)

#endif
