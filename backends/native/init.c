/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Order in which the parts of the PC are prepared.
 */
#include "native.h"

#define CPUID_1_EDX_TSC (1u << 4)
#define CPUID_1_EDX_MSR (1u << 5)

void vmi__native_init(struct vmi_boot_info *boot)
{
    uint32_t features = vmi__cpuid(1, 0).edx;

    (void)boot;
#ifdef __x86_64__
    vmi__native_segments_init();
#endif
    vmi__native_console_init();
    vmi__native_pat_init();
    vmi__native_console_screen_init();
    if (!(features & CPUID_1_EDX_TSC) || !(features & CPUID_1_EDX_MSR))
        vmi__fatal("the processor has no time-stamp counter or no model-specific registers");
    /* In this order: what the firmware's timer has asked for is forgotten with all requests. */
    vmi__native_pit_init();
    vmi__native_pic_init();
    vmi__native_apic_init();
    vmi__cpu_first(vmi__native_apic_id());
    vmi__native_firmware_init();
    vmi__native_ioapic_init();
    vmi__native_pending_forget();
    vmi__native_event_init();
    vmi__native_alarm_prepare();
    vmi__native_tsc_init();
    vmi__native_smp_init();
    vmi__native_cpus_listed();
    vmi__native_apic_calls_init();
    vmi__native_alarm_init();
#ifdef __i386__
    vmi__native_cpu_by_tss_init();
#endif
    vmi__native_report();
}
