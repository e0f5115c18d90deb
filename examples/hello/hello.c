/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <vmi/vmi.h>

static void print(const char *text)
{
    uint32_t length = 0;

    while (text[length] != 0)
        length++;
    vmi_console_write(text, length);
}

/* The library calls this, with paging on and interrupts masked. */
void kernel_main(const struct vmi_boot_info *boot)
{
    print("Hello from ring ");
    print(boot->kernel_rpl == 0 ? "0" : boot->kernel_rpl == 1 ? "1" : "3");
    print(", linked with the library for ");
    print(boot->backend);
    print("\r\n");
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS);
}
