/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "image/image.h"

struct vmi__kernel vmi__kernel;

static void (*kernel_entry)(const struct vmi_boot_info *boot);
static void (*kernel_entry_unpaged)(const struct vmi_boot_info *boot);
static struct vmi__kernel *binder_copy;

/* Tells the binder what the library has for the kernel, once all is ready. */
static void tell(void)
{
    binder_copy->calls = vmi_calls;
    binder_copy->calls_count = vmi_calls_count;
    binder_copy->hypercalls = vmi_hypercalls;
    binder_copy->hypercalls_count = vmi_hypercalls_count;
}

static VMI__ADDRESS_TAKEN void enter(const struct vmi_boot_info *boot)
{
    tell();
    vmi__kernel_call(boot, kernel_entry);
}

static VMI__ADDRESS_TAKEN void enter_unpaged(const struct vmi_boot_info *boot)
{
    tell();
    vmi__kernel_call(boot, kernel_entry_unpaged);
}

void vmi__construct(void)
{
}

uint32_t vmi__image_probe(void)
{
    return vmi__backend_here();
}

void vmi__image_take(struct vmi__kernel *kernel)
{
    vmi__kernel = *kernel;
    binder_copy = kernel;
    kernel_entry = kernel->main;
    kernel_entry_unpaged = kernel->main_unpaged;
    vmi__kernel.main = enter;
    if (kernel->main_unpaged)
        vmi__kernel.main_unpaged = enter_unpaged;
}
