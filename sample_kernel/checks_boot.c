/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What the kernel is told at its entry. */
#include <stdbool.h>
#include <stddef.h>

#include "attempt.h"
#include "checks.h"
#include "descriptors.h"
#include "frames.h"
#include "print.h"
#include "x86.h"

const struct vmi_boot_info *checks_boot_info;

extern const char vmi_image_start[], vmi_image_end[];

static void information(void)
{
    const struct vmi_boot_info *boot = checks_boot_info;

    EXPECT_EQUAL(boot->magic, VMI_BOOT_INFO_MAGIC);
    EXPECT_EQUAL(boot->version, VMI_BOOT_INFO_VERSION);
    EXPECT_EQUAL(boot->size, sizeof(*boot));
    EXPECT(boot->protocol >= VMI_BOOT_MULTIBOOT && boot->protocol <= VMI_BOOT_MULTIBOOT2);
    EXPECT(boot->backend[0] != '\0');
    EXPECT(boot->kernel_rpl <= 3);
    EXPECT(boot->cpu_count >= 1);
}

static void memory_map(void)
{
    const struct vmi_boot_info *boot = checks_boot_info;
    uint64_t image = (uint64_t)frame_of(vmi_image_start) << PAGE_SHIFT;
    uint64_t end = 0;
    bool image_found = false;

    EXPECT(boot->memory_count > 0);
    for (uint32_t i = 0; i < boot->memory_count; i++) {
        const struct vmi_memory_range *range = &boot->memory[i];
        EXPECT(range->size > 0);
        EXPECT(range->base >= end);
        end = range->base + range->size;
        if (range->kind == VMI_MEMORY_IMAGE && range->base <= image && image < end)
            image_found = true;
        EXPECT(range->kind != VMI_MEMORY_USABLE || range->base > image || end <= image);
    }
    EXPECT(image_found);
}

static void FROM_ASSEMBLY raise_invalid_opcode(void *argument)
{
    (void)argument;
    __asm__ volatile("ud2");
}

static void privilege(void)
{
    struct fault fault;

    EXPECT(!attempt(raise_invalid_opcode, NULL, &fault));
    /* What the kernel has loaded: of a kernel in ring 3, where processes are, frames say 0. */
    print("# cs 0x%04x rpl %u\n", kernel_cs(), kernel_cs() & RPL_MASK);
    EXPECT_EQUAL(kernel_cs() & RPL_MASK, checks_boot_info->kernel_rpl);
    EXPECT_EQUAL((fault.cs & 0xffff) | checks_boot_info->kernel_rpl, kernel_cs());
    EXPECT((fault.cs & RPL_MASK) != RPL_USER);
}

const struct check checks_boot[] = {
    {"boot.information", information},
    {"boot.memory_map", memory_map},
    {"boot.privilege", privilege},
    {NULL, NULL},
};
