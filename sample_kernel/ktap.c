/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "ktap.h"
#include "print.h"
#include "string.h"

enum verdict { PASSED, FAILED, SKIPPED };

static enum verdict verdict;
static char reason[300];

static void decide(enum verdict decision, const char *text, va_list arguments)
{
    if (verdict != PASSED)
        return;
    verdict = decision;
    format_list(reason, sizeof(reason), text, arguments);
}

void ktap_fail(const char *text, ...)
{
    va_list arguments;
    va_start(arguments, text);
    decide(FAILED, text, arguments);
    va_end(arguments);
}

void ktap_skip(const char *text, ...)
{
    va_list arguments;
    va_start(arguments, text);
    decide(SKIPPED, text, arguments);
    va_end(arguments);
}

const char *call_unsupported(uint32_t ordinal)
{
    for (uint32_t i = 0; i < vmi_calls_count; i++)
        if (vmi_calls[i].ordinal == ordinal)
            return vmi_calls[i].kind == VMI_KIND_UNSUPPORTED ? vmi_calls[i].how : NULL;
    return "this library does not know the call";
}

static uint32_t count(const struct check *const lists[], uint32_t list_count)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < list_count; i++)
        for (const struct check *check = lists[i]; check->name != NULL; check++)
            total++;
    return total;
}

static void run(uint32_t number, const struct check *check, struct ktap_result *result)
{
    check->run();
    switch (verdict) {
    case PASSED:
        print("ok %u %s\n", number, check->name);
        result->passed++;
        break;
    case FAILED:
        print("not ok %u %s # %s\n", number, check->name, reason);
        result->failed++;
        break;
    case SKIPPED:
        print("ok %u %s # SKIP %s\n", number, check->name, reason);
        result->skipped++;
        break;
    }
}

/* As option checks= has it. */
static bool is_chosen(const struct check *check, const char *pattern)
{
    if (pattern[0] == '-')
        return !string_contains_one(check->name, pattern + 1);
    return string_contains_one(check->name, pattern);
}

struct ktap_result ktap_run(const struct check *const lists[], uint32_t list_count,
                            const char *pattern, const struct check *always)
{
    struct ktap_result result = {0};
    uint32_t number = 0;

    print("KTAP version 1\n1..%u\n", count(lists, list_count));
    for (uint32_t i = 0; i < list_count; i++)
        for (const struct check *check = lists[i]; check->name != NULL; check++) {
            verdict = PASSED;
            if (lists[i] == always || is_chosen(check, pattern)) {
                run(++number, check, &result);
            } else {
                print("ok %u %s # SKIP not asked for\n", ++number, check->name);
                result.skipped++;
            }
        }
    return result;
}
