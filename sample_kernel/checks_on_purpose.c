/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <stddef.h>

#include "checks.h"
#include "layout.h"
#include "panic.h"
#include "print.h"
#include "string.h"
#include "traps.h"

static void fail(void)
{
    ktap_fail("asked for by test=fail");
}

static void hang(void)
{
    print("# test=hang: interrupts are masked, nothing follows\n");
    vmi_disable_interrupts();
    for (;;)
        __asm__ volatile("");
}

static void fault(void)
{
    print("# test=fault: writing to 0x%08llx\n", WIDE(WINDOWS_END));
    *(volatile uint32_t *)WINDOWS_END = 1;
}

static void stop(void)
{
    panic("asked for by test=panic");
}

/* As an emulated processor has delivered it: the alarm, to a kernel that had masked interrupts. */
static void masked(void)
{
    struct trap_frame frame = {.vector = VECTOR_ALARM};

    trap_handler_get(VECTOR_ALARM)(&frame);
}

static const struct check checks_none[] = {{NULL, NULL}};
static const struct check checks_fail[] = {{"test.fail", fail}, {NULL, NULL}};
static const struct check checks_hang[] = {{"test.hang", hang}, {NULL, NULL}};
static const struct check checks_fault[] = {{"test.fault", fault}, {NULL, NULL}};
static const struct check checks_panic[] = {{"test.panic", stop}, {NULL, NULL}};
static const struct check checks_masked[] = {{"test.masked", masked}, {NULL, NULL}};

static const struct {
    const char *word;
    const struct check *checks;
} on_purpose[] = {
    {"", checks_none},
    {"fail", checks_fail},
    {"hang", checks_hang},
    {"fault", checks_fault},
    {"panic", checks_panic},
    {"masked", checks_masked},
    {"processor", checks_other_processor},
    {"key", checks_request_key},
    {"poweroff", checks_request_power_off},
    {"reboot", checks_request_reboot},
    {"nobody", checks_request_nobody},
    {"life", checks_life},
    {"liars", checks_liars},
    {"suspend", checks_suspend},
    {"balloon", checks_balloon},
};

const struct check *checks_on_purpose(const char *word)
{
    for (unsigned i = 0; i < sizeof(on_purpose) / sizeof(on_purpose[0]); i++)
        if (string_equal(on_purpose[i].word, word, strlen(on_purpose[i].word) + 1))
            return on_purpose[i].checks;
    return NULL;
}
