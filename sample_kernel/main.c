/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The sample kernel: the parts of a small kernel, brought up one after the other, and checks
 * of each. It speaks only VMI (vmi/vmi.h): no object of it holds a sensitive instruction, so the
 * same objects run in ring 0 of a PC and in an outer ring of a hypervisor.
 */
#include <stddef.h>
#include <vmi/vmi.h>

#include "bench.h"
#include "bench_workloads.h"
#include "checks.h"
#include "ktap.h"
#include "machine.h"
#include "options.h"
#include "panic.h"
#include "report.h"
#include "smp.h"
#include "start.h"
#include "threads.h"

static void run_checks(void)
{
    char word[16], pattern[128];

    option_value(checks_boot_info->command_line, "checks", pattern, sizeof(pattern));
    option_value(checks_boot_info->command_line, "test", word, sizeof(word));
    const struct check *on_purpose = checks_on_purpose(word);
    if (on_purpose == NULL)
        panic("unknown option test=%s", word);

    const struct check *const lists[] = {
        checks_boot,          checks_descriptors,  CHECKS_ARCH,    checks_processor,
        checks_rebind,        checks_supervisor,   checks_traps,   checks_interrupts,
        checks_clocks,        checks_time,         checks_paging,  checks_threads,
        checks_processes,     checks_no_execute,   checks_devices, checks_cpus,
        checks_device_memory, checks_events,       checks_disks,   checks_networks,
        checks_entropy,       checks_entries_cpus, on_purpose,
    };
    workloads_count();
    struct ktap_result result =
        ktap_run(lists, sizeof(lists) / sizeof(lists[0]), pattern, on_purpose);
    workloads_report();
    bool exact = smp_park_others();
    report_count();
    smp_parked_may_call();
    report(checks_boot_info, &result, exact);
    machine_wait_for_key(checks_boot_info);
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF,
                        result.failed == 0 ? VMI_STATUS_PASS : VMI_STATUS_FAIL);
}

/* The first thread. */
static void first_thread(void)
{
    char word[16];

    start(checks_boot_info);
    if (option_value(checks_boot_info->command_line, "bench", word, sizeof(word)))
        bench(word);
    run_checks();
}

void kernel_main(const struct vmi_boot_info *boot)
{
    char word[16];

    checks_boot_info = boot;
    /* As early as can be: what comes next may fail on a machine that nobody has seen. */
    if (option_value(boot->command_line, "report", word, sizeof(word)))
        machine_report(boot);
    threads_start(first_thread);
}
