/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <vmi/vmi.h>

namespace {

class Console {
public:
    explicit Console(const char *greeting) { *this << greeting; }

    Console &operator<<(const char *text)
    {
        uint32_t length = 0;

        while (text[length] != 0)
            length++;
        vmi_console_write(text, length);
        return *this;
    }
};

/* Constructors of global objects run before kernel_main. */
Console console("Hello from a constructor, ");

}

/* Entry point. The library calls it with paging enabled and interrupts masked. */
void kernel_main(const struct vmi_boot_info *boot)
{
    console << "then from ring " << (boot->kernel_rpl == 0 ? "0" : boot->kernel_rpl == 1 ? "1" : "3");
    console << ", linked with the library for " << boot->backend << "\r\n";
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS);
}
