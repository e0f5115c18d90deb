/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The way from an entry path to the kernel, and out again when the library cannot run.
 */
#include "runtime.h"

struct vmi_boot_info vmi__boot = {
    .magic = VMI_BOOT_INFO_MAGIC,
    .version = VMI_BOOT_INFO_VERSION,
    .size = sizeof(struct vmi_boot_info),
    .backend = "",
    .loader = "",
    .command_line = "",
    .cpu_count = 1,
};

uint32_t vmi_call_count[VMI_ORDINALS];

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

static void __attribute__((noreturn))
enter(void (*init)(struct vmi_boot_info *), void (*kernel)(const struct vmi_boot_info *))
{
    const char *reason = vmi__options();

    if (reason)
        vmi__fatal(reason);
    init(&vmi__boot);
    reason = vmi__memory_publish();
    if (reason)
        vmi__fatal(reason);
    kernel(&vmi__boot);
    vmi__print("vmi: the kernel returned\r\n");
    vmi_shutdown_reason(VMI_SHUTDOWN_CRASH, VMI_STATUS_PANIC);
}

void vmi__start(void)
{
    enter(vmi__backend_init, kernel_main);
}

void vmi__start_unpaged(void)
{
    if (vmi__backend_init_unpaged && kernel_main_unpaged)
        enter(vmi__backend_init_unpaged, kernel_main_unpaged);
}
