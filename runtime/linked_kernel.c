/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The kernel that a library was linked with. A provider image has a variable of the same name in
 * its place (image/image.c), which its binder fills.
 */
#include "runtime.h"

/* runtime/kernel.ld; a linker script without constructors need not define the weak ones. */
extern const char vmi_image_start[], vmi_text_end[], vmi_rodata_end[], vmi_image_end[],
    VMI__BASE_SYMBOL[];
typedef void constructor(void);
extern constructor *const __init_array_start[] __attribute__((weak));
extern constructor *const __init_array_end[] __attribute__((weak));

void vmi__construct(void)
{
    /* Only linker scripts that keep to the libraries' linear base define it: others do not link. */
    __asm__ volatile("" : : "r"(VMI__BASE_SYMBOL));
    for (constructor *const *next = __init_array_start; next != __init_array_end; next++)
        (*next)();
}

struct vmi__kernel vmi__kernel = {
    .image_start = vmi_image_start,
    .text_end = vmi_text_end,
    .rodata_end = vmi_rodata_end,
    .image_end = vmi_image_end,
    .main = kernel_main,
    .main_unpaged = kernel_main_unpaged,
};
