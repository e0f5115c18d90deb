/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * ShutdownReason: a crash is told to the hypervisor, which keeps what it was for whoever runs the
 * machine (TLFS, Partition Crash Enlightenment). It may end the machine at that; if it does not,
 * the native end follows.
 */
#include "hyperv.h"
#include <hyperv/routines.h>
#include <native/routines.h>

#define SIGNATURE 0x564d49 /* "VMI" */

VMI__ROUTINE void vmi__hyperv_shutdown_reason(uint32_t reason, uint32_t status)
{
    if (reason == VMI_SHUTDOWN_CRASH && vmi__hyperv_uses(HYPERV__CRASH)) {
        vmi__wrmsr(HYPERV__MSR_CRASH_P0, SIGNATURE);
        vmi__wrmsr(HYPERV__MSR_CRASH_P0 + 1, reason);
        vmi__wrmsr(HYPERV__MSR_CRASH_P0 + 2, status);
        vmi__wrmsr(HYPERV__MSR_CRASH_P0 + 3, (uintptr_t)__builtin_return_address(0));
        vmi__wrmsr(HYPERV__MSR_CRASH_P0 + 4, 0);
        vmi__wrmsr(HYPERV__MSR_CRASH_CONTROL, HYPERV__CRASH_NOTIFY);
    }
    vmi__native_shutdown_reason(reason, status);
}
