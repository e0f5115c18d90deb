/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The conformance kernel: holds a library to the specification, call by call, and to what it
 * declares of itself in vmi_calls[]. It stands on the sample kernel's parts and runs its checks as
 * well; README.md says what is checked where.
 *
 * Options: `checks=TEXT` as in the sample kernel; `console=KIB` writes that much data and ends;
 * `input=KIB` reads as much and ends, with `by=event` when the console's event tells of it;
 * `end=reboot`, `end=reboot_hard`, `end=shutdown`, `end=crash` end by that call instead of
 * reporting.
 */
#include <stddef.h>
#include <vmi/vmi.h>

#include "alarms.h"
#include "behaviour.h"
#include "cases.h"
#include "checks.h"
#include "contract.h"
#include "ktap.h"
#include "options.h"
#include "panic.h"
#include "report.h"
#include "smp.h"
#include "start.h"
#include "string.h"
#include "threads.h"

/* The sample kernel's checks of devices, but for the one that binds the console's event, which is
 * bound. */
static struct check checks_other_devices[16];

static void choose_devices(void)
{
    uint32_t count = 0;
    for (const struct check *check = checks_devices; check->name != NULL; check++)
        if (!string_equal(check->name, "console.event", sizeof("console.event")) &&
            count < sizeof(checks_other_devices) / sizeof(checks_other_devices[0]) - 1)
            checks_other_devices[count++] = *check;
}

static bool option_is(const char *name, const char *value)
{
    char word[16];
    size_t length = strlen(value) + 1;
    return option_value(checks_boot_info->command_line, name, word, sizeof(word)) &&
           string_equal(word, value, length);
}

static void end_early(void)
{
    uint32_t kib = option_number(checks_boot_info->command_line, "console");
    if (kib != 0) {
        behaviour_console_data(kib);
        vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS);
    }
    kib = option_number(checks_boot_info->command_line, "input");
    if (kib != 0)
        vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF,
                            behaviour_console_input(kib, option_is("by", "event"))
                                ? VMI_STATUS_PASS
                                : VMI_STATUS_FAIL);
    if (option_is("end", "reboot"))
        vmi_reboot(VMI_REBOOT_SOFT);
    if (option_is("end", "reboot_hard"))
        vmi_reboot(VMI_REBOOT_HARD);
    if (option_is("end", "shutdown"))
        vmi_shutdown();
    if (option_is("end", "crash"))
        vmi_shutdown_reason(VMI_SHUTDOWN_CRASH, VMI_STATUS_PANIC);
}

/* The first thread. */
static void first_thread(void)
{
    static const struct check nothing[] = {{NULL, NULL}};
    char pattern[128];

    start(checks_boot_info);
    end_early();
    cases_bind_console();
    choose_devices();

    const struct check *const lists[] = {
        checks_layout,        checks_contract,   checks_boot,          checks_descriptors,
        CHECKS_ARCH,          checks_processor,  checks_rebind,        checks_supervisor,
        checks_traps,         checks_interrupts, checks_clocks,        checks_time,
        checks_paging,        checks_threads,    checks_processes,     checks_no_execute,
        checks_other_devices, checks_behaviour,  checks_ring3,         checks_alarms,
        checks_start,         &checks_cpus[1],   checks_device_memory, checks_entries_cpus,
        checks_across,        checks_matrix,
    };
    option_value(checks_boot_info->command_line, "checks", pattern, sizeof(pattern));
    struct ktap_result result = ktap_run(lists, sizeof(lists) / sizeof(lists[0]), pattern, nothing);
    contract_print_stack();
    bool exact = smp_park_others();
    report_count();
    smp_parked_may_call();
    report(checks_boot_info, &result, exact);
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF,
                        result.failed == 0 ? VMI_STATUS_PASS : VMI_STATUS_FAIL);
}

void kernel_main(const struct vmi_boot_info *boot)
{
    checks_boot_info = boot;
    threads_start(first_thread);
}
