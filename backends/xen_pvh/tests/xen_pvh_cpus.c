/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A kernel that checks what the last of many CPUs takes, most of all the events of the console's
 * channel, which is moved there. test_xen_pvh_boot.py builds and boots it.
 */
#include "xen_common/tests/xen_last_cpu.h"

/* Whoever serves the console says so when it has taken what is written. */
static uint32_t last_cpu_takes_events(void)
{
    int32_t event = vmi_event_bind(VMI_EVENT_CONSOLE, 0, VECTOR);
    uint32_t before;

    EXPECT(event > 0);
    /* One that does not run takes none. */
    EXPECT(vmi_event_move((uint32_t)event, last - 1) == VMI_EINVAL);
    EXPECT(vmi_event_move((uint32_t)event, last) == VMI_OK);
    EXPECT(vmi_event_unmask((uint32_t)event) == VMI_OK);
    for (uint32_t round = 0; round < 3; round++) {
        before = came_on_last;
        print("# taken\r\n");
        EXPECT(last_cpu_had(before + 1));
    }
    EXPECT(vmi_event_unbind((uint32_t)event) == VMI_OK && !came);
    return 0;
}

void kernel_main(const struct vmi_boot_info *boot)
{
    gdt[boot->kernel_cs / 8] = FLAT_CODE;
    gdt[boot->kernel_cs / 8 + 1] = FLAT_DATA;
    set_gate(boot);
    plan(4);
    print("# cpus ");
    print_number(boot->cpu_count);
    print("\r\n");
    check("cpus.last_starts", last_cpu_starts(boot));
    check("cpus.last_is_interrupted", last_cpu_is_interrupted());
    check("cpus.last_takes_its_alarm", last_cpu_takes_its_alarm());
    check("cpus.last_takes_events", last_cpu_takes_events());
    end();
}
