/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The way from an entry path to the kernel, and out again when the library cannot run.
 */
#include "runtime.h"

void vmi__print(const char *text)
{
    uint32_t length = 0;

    while (text[length])
        length++;
    vmi_console_write(text, length);
}

void vmi__fatal(const char *reason)
{
    vmi__print("vmi: cannot run: ");
    vmi__print(reason);
    vmi__print("\r\n");
    vmi_shutdown_reason(VMI_SHUTDOWN_CRASH, VMI_STATUS_REFUSED);
}

void vmi__start(void)
{
    const char *reason = vmi__options();

    if (reason)
        vmi__fatal(reason);
    vmi__backend_init(&vmi__boot);
    reason = vmi__memory_publish();
    if (reason)
        vmi__fatal(reason);
    vmi__kernel.main(&vmi__boot);
    vmi__print("vmi: kernel_main returned\r\n");
    vmi_shutdown_reason(VMI_SHUTDOWN_CRASH, VMI_STATUS_PANIC);
}
