/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The sample kernel's main in a test build (test_xen_sections.py): those of its checks that bear it
 * run again when another CPU is there, so that every section of the library is come by then.
 */
#include <stddef.h>
#include <vmi/vmi.h>

#include "checks.h"
#include "descriptors.h"
#include "ktap.h"
#include "print.h"
#include "start.h"
#include "threads.h"

/* Calls that no check makes then: of a start, and of hardware that this library has not. */
static void again(void)
{
    struct vmi_dtr gdt = descriptors_gdt(), idt = descriptors_idt();

    vmi_set_gdt(&gdt);
    vmi_set_idt(&idt);
    vmi_set_gs_base(vmi_get_gs_base());
    vmi_apic_read(VMI_APIC_ID);
}

static void first_thread(void)
{
    const struct check *const lists[] = {
        checks_boot,         checks_cpus,    checks_device_memory, checks_events,
        checks_entries_cpus, CHECKS_ARCH,    checks_descriptors,   checks_processor,
        checks_supervisor,   checks_traps,   checks_clocks,        checks_interrupts,
        checks_time,         checks_paging,  checks_threads,       checks_processes,
        checks_no_execute,   checks_devices,
    };

    start(checks_boot_info);
    struct ktap_result result = ktap_run(lists, sizeof(lists) / sizeof(lists[0]), "", NULL);
    again();
    print("# result pass=%u fail=%u skip=%u\n", result.passed, result.failed, result.skipped);
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF,
                        result.failed == 0 ? VMI_STATUS_PASS : VMI_STATUS_FAIL);
}

void kernel_main(const struct vmi_boot_info *boot)
{
    checks_boot_info = boot;
    threads_start(first_thread);
}
