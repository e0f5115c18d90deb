/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A kernel that makes compilers call what they call on their own: copies and comparisons of
 * structures, 64-bit shifts, the stack protector, constructors. test_options.py compiles it with
 * all kinds of options.
 */
#include <vmi/vmi.h>

struct block {
    uint32_t word[64];
};

static struct block from, to;
static uint32_t constructed;
static volatile uint32_t forty = 40;
static volatile uint64_t wide = 0x123456789abcdef0;

__attribute__((constructor)) static void construct(void)
{
    constructed = 0x56495254;
}

__attribute__((noinline)) static void copy(struct block *target, const struct block *source)
{
    *target = *source;
}

__attribute__((noinline)) static uint32_t sum(const struct block *source)
{
    struct block own = *source;
    char text[32] = {0};
    uint32_t total = 0;

    for (uint32_t i = 0; i < sizeof(text); i++)
        text[i] = (char)i;
    for (uint32_t i = 0; i < 64; i++)
        total += own.word[i] + (uint32_t)text[i % sizeof(text)];
    return total;
}

static const char *failure(void)
{
    struct vmi_dtr dtr;
    uint32_t eax, ebx, ecx, edx;

    if (constructed != 0x56495254)
        return "constructor";
    for (uint32_t i = 0; i < 64; i++)
        from.word[i] = i;
    copy(&to, &from);
    if (sum(&to) != 64 * 63 / 2 + 2 * 32 * 31 / 2)
        return "copy";
    if (wide >> forty != 0x123456 || wide << forty != 0xbcdef00000000000 ||
        (int64_t)(wide << 8 | 1ull << 63) >> forty >> 23 != -1)
        return "shift";
    vmi_cpuid(0, 0, &eax, &ebx, &ecx, &edx);
    if (!eax || !ebx)
        return "cpuid";
    vmi_get_gdt(&dtr);
    /* One with words on the stack: there are 256 pages at least below 1 MiB. */
    vmi_set_linear_mapping(0, 0xc0000000, 256, 0);
    return dtr.limit ? 0 : "get_gdt";
}

void kernel_main(const struct vmi_boot_info *boot)
{
    const char *wrong = boot->magic == VMI_BOOT_INFO_MAGIC ? failure() : "boot";
    uint32_t length = 0;

    if (!wrong)
        wrong = "nothing";
    while (wrong[length])
        length++;
    vmi_console_write("wrong: ", 7);
    vmi_console_write(wrong, length);
    vmi_console_write("\r\n", 2);
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS);
}
