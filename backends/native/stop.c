/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * StopCPU: the CPU halts until INIT and STARTUP interrupts reset it, as they did before its first
 * start. Source: Intel SDM vol. 3A, 9.4.4 and table 9-1.
 */
#include "startup.h"
#include <native/routines.h>

VMI__RUN_ONCE VMI__ROUTINE int32_t vmi__native_stop_cpu(void)
{
    uint32_t cpu = vmi__native_cpu();

    if (!cpu)
        return VMI_EBUSY;
    vmi__irq_save();
    vmi_cancel_alarm(VMI_ALARM_WIRED_LVTT);
    vmi__native_cpu_forgotten(cpu);
    /* Another one may be filling these for a start, with the same. */
    vmi__native_startup_tables();
    /* Once that it does not run is noted, it may be reset, and its stack is anybody's. */
    __asm__ volatile("mov %0, %%cr3\n"
                     "lock decl %1\n"
                     "movb $0, (%2)\n"
                     "1: hlt\n"
                     "jmp 1b"
                     :
                     : "r"(vmi__native_startup_root()), "m"(vmi__native_cpus_started),
                       "r"(vmi__native_cpu_noted(cpu))
                     : "memory");
    __builtin_unreachable();
}
