/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Ends of a PVH domain (xen/sched.h).
 */
#include "pvh.h"
#include <native/routines.h>

#include <xen/sched.h>

static void __attribute__((noreturn)) shut_down(uint32_t reason)
{
    struct sched_shutdown how = {.reason = reason};

    if (vmi__xen_pvh_present()) {
        vmi__xen_pvh_console_drain();
        vmi__xen_pvh_hypercall_sched_op(SCHEDOP_shutdown, vmi__xen_pvh_argument(&how));
    }
    vmi__stop();
}

VMI__ROUTINE void vmi__xen_pvh_reboot(uint32_t how)
{
    (void)how; /* Xen knows one way */
    shut_down(SHUTDOWN_reboot);
}

VMI__ROUTINE void vmi__xen_pvh_shutdown(void)
{
    shut_down(SHUTDOWN_poweroff);
}

VMI__ROUTINE void vmi__xen_pvh_shutdown_reason(uint32_t reason, uint32_t status)
{
    if (!vmi__xen_pvh_present())
        vmi__native_shutdown_reason(reason, status); /* as on a PC, for that is what it is */
    if (reason == VMI_SHUTDOWN_REBOOT)
        shut_down(SHUTDOWN_reboot);
    shut_down(reason == VMI_SHUTDOWN_POWEROFF && status == VMI_STATUS_PASS ? SHUTDOWN_poweroff
                                                                           : SHUTDOWN_crash);
}
