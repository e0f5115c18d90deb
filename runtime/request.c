/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "runtime.h"

void vmi__request_default(uint32_t request)
{
    const bool reboot = (request & 0xff) == VMI_REQUEST_REBOOT;

    if (!reboot && (request & 0xff) != VMI_REQUEST_POWER_OFF)
        return;
    vmi__print(reboot
                   ? "vmi: asked to reboot; the kernel takes no requests, so it ends here\r\n"
                   : "vmi: asked to power off; the kernel takes no requests, so it ends here\r\n");
    vmi_shutdown_reason(reboot ? VMI_SHUTDOWN_REBOOT : VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS);
}
