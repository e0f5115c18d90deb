/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <vmi/vmi.h>

static uint32_t length(const char *text)
{
    uint32_t n = 0;
    while (text[n] != 0)
        n++;
    return n;
}

static void print(const char *text)
{
    vmi_console_write(text, length(text));
}

static void print_number(const char *before, uint32_t number, const char *after)
{
    char digits[11] = {0}, *first = &digits[10];
    do
        *--first = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    print(before), print(first), print(after);
}

/* The library calls this, with paging on and interrupts masked. */
void kernel_main(const struct vmi_boot_info *boot);

void kernel_main(const struct vmi_boot_info *boot)
{
    uint64_t now = vmi_get_wallclock_time(), memory = 0;
    uint32_t seconds, rest; /* 64 by 32 bits: without libgcc there is no `/` for that */
    __asm__("divl %4"
            : "=a"(seconds), "=d"(rest)
            : "a"((uint32_t)now), "d"((uint32_t)(now >> 32)), "r"(1000000000));
    for (uint32_t i = 0; i < boot->memory_count; i++)
        if (boot->memory[i].kind == VMI_MEMORY_USABLE)
            memory += boot->memory[i].size;

    print("Hello from "), print(boot->backend), print("\r\n");
    print_number("", seconds, " seconds since 1970\r\n");
    print_number("", (uint32_t)(memory >> 20), " MiB of free memory\r\n");
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS);
}
