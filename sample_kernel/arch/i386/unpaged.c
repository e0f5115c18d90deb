/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A kernel that needs no page tables and no traps: what is left of the sample kernel's checks
 * without them, and some of its own. It runs as well with paging, and everywhere.
 */
#include <stdbool.h>
#include <stddef.h>
#include <vmi/vmi.h>

#include "checks.h"
#include "lock.h"
#include "print.h"
#include "report.h"
#include "string.h"
#include "x86.h"

static const struct vmi_boot_info *boot_info;

static void information(void)
{
    EXPECT_EQUAL(boot_info->magic, VMI_BOOT_INFO_MAGIC);
    EXPECT_EQUAL(boot_info->size, sizeof(*boot_info));
    EXPECT(boot_info->backend[0] != '\0');
    EXPECT(boot_info->memory_count > 0);
}

static void paging(void)
{
    uint32_t cr0 = vmi_get_cr0();

    EXPECT(cr0 & CR0_PE);
    EXPECT_EQUAL(!(cr0 & CR0_PG), boot_info->boot_cr3 == 0);
}

static void privilege(void)
{
    uint16_t cs;

    __asm__("mov %%cs, %0" : "=rm"(cs));
    print("# cs 0x%04x rpl %u\n", cs, cs & RPL_MASK);
    EXPECT_EQUAL(cs & RPL_MASK, boot_info->kernel_rpl);
}

static void identification(void)
{
    uint32_t highest;
    char vendor[13] = "";

    NEEDS(CPUID);
    vmi_cpuid(0, 0, &highest, (uint32_t *)(void *)&vendor[0], (uint32_t *)(void *)&vendor[8],
              (uint32_t *)(void *)&vendor[4]);
    EXPECT(highest >= 1);
    print("# cpu %s\n", vendor);
}

static void mask(void)
{
    uint32_t flags = interrupts_mask();

    EXPECT_EQUAL(flags & EFLAGS_IF, 0); /* as at the entry */
    EXPECT_EQUAL(vmi_get_interrupt_mask() & EFLAGS_IF, 0);
    interrupts_restore(flags);
}

static void console_write(void)
{
    static const char line[] = "# the console takes a line whole\r\n";

    EXPECT_EQUAL(vmi_console_write(line, sizeof(line) - 1), sizeof(line) - 1);
    EXPECT_EQUAL(vmi_console_write(line, 0), 0);
}

static void console_read(void)
{
    char typed[16];

    NEEDS(CONSOLE_READ);
    EXPECT_EQUAL(vmi_console_read(typed, sizeof(typed)), 0);
}

static void shared_page(void)
{
    static char page[4096] __attribute__((aligned(4096)));

    NEEDS(SHARE_PAGE);
    NEEDS(UNSHARE_PAGE);
    int32_t reference = vmi_share_page(
        ((uint32_t)(uintptr_t)page - boot_info->linear_base) >> PAGE_SHIFT, 0, VMI_SHARE_READ);
    if (reference == VMI_ENOSYS) {
        ktap_skip("nobody here takes a page");
        return;
    }
    EXPECT(reference >= 0);
    EXPECT_EQUAL(vmi_unshare_page((uint32_t)reference), VMI_OK);
    EXPECT_EQUAL(vmi_unshare_page((uint32_t)reference), VMI_EINVAL);
}

static void yield(void)
{
    uint64_t start = vmi_clock_nanoseconds();

    vmi_yield();
    EXPECT(vmi_clock_nanoseconds() >= start);
}

static const struct check checks_unpaged[] = {
    {"boot.information", information}, {"boot.paging", paging},
    {"boot.privilege", privilege},     {"processor.identification", identification},
    {"interrupts.mask", mask},         {"console.write", console_write},
    {"console.read", console_read},    {"sharing.page", shared_page},
    {"hypervisor.yield", yield},       {NULL, NULL},
};

void kernel_main_unpaged(const struct vmi_boot_info *boot)
{
    boot_info = boot;

    const struct check *const lists[] = {checks_unpaged, checks_clocks};
    struct ktap_result result = ktap_run(lists, sizeof(lists) / sizeof(lists[0]), "", NULL);
    print("# paging %s\n", boot->boot_cr3 != 0 ? "on" : "off");
    /* No other CPU was started. */
    vmi_disable_interrupts();
    report_count();
    report(boot, &result, true);
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF,
                        result.failed == 0 ? VMI_STATUS_PASS : VMI_STATUS_FAIL);
}

void kernel_main(const struct vmi_boot_info *boot)
{
    kernel_main_unpaged(boot);
}
