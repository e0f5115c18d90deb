/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The ends of a PVH domain as a Linux process: this file plays Xen, which tells its toolstack the
 * reason. Some of them look alike to who only sees whether the domain has ended.
 */
#include "xen_pvh/machine.c"

#include "backends/played.h"

static void *back[5];
static uint32_t reason;
static bool drained;

HYPERCALL __typeof__(vmi__xen_pvh_hypercall_sched_op) vmi__xen_pvh_hypercall_sched_op;

HYPERCALL intptr_t vmi__xen_pvh_hypercall_sched_op(uint32_t command, const void *argument)
{
    EXPECT(command == SCHEDOP_shutdown && drained);
    drained = false;
    reason = ((const struct sched_shutdown *)argument)->reason;
    __builtin_longjmp(back, 1);
}

void vmi__xen_pvh_console_drain(void)
{
    drained = true;
}

bool vmi__xen_pvh_present(void)
{
    return true;
}

void *vmi__xen_pvh_argument(const void *pointer)
{
    return (void *)(uintptr_t)pointer;
}

VMI__ROUTINE void vmi__native_shutdown_reason(uint32_t how, uint32_t status)
{
    (void)how, (void)status;
    EXPECT(false);
    __builtin_longjmp(back, 1);
}

static uint32_t told_by_reason(uint32_t how, uint32_t status)
{
    reason = ~0u;
    if (!__builtin_setjmp(back))
        vmi__xen_pvh_shutdown_reason(how, status);
    return reason;
}

static void each_end_has_its_reason(void)
{
    EXPECT(told_by_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS) == SHUTDOWN_poweroff);
    EXPECT(told_by_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_FAIL) == SHUTDOWN_crash);
    EXPECT(told_by_reason(VMI_SHUTDOWN_REBOOT, VMI_STATUS_PASS) == SHUTDOWN_reboot);
    EXPECT(told_by_reason(VMI_SHUTDOWN_CRASH, VMI_STATUS_PANIC) == SHUTDOWN_crash);
}

static void a_shutdown_is_a_power_off(void)
{
    reason = ~0u;
    if (!__builtin_setjmp(back))
        vmi__xen_pvh_shutdown();
    EXPECT(reason == SHUTDOWN_poweroff);
}

static void a_reboot_is_one(void)
{
    reason = ~0u;
    if (!__builtin_setjmp(back))
        vmi__xen_pvh_reboot(VMI_REBOOT_HARD);
    EXPECT(reason == SHUTDOWN_reboot);
}

static const struct played_check checks[] = {
    CHECK(each_end_has_its_reason),
    CHECK(a_shutdown_is_a_power_off),
    CHECK(a_reboot_is_one),
};

PLAY(checks)
