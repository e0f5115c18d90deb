/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The kernel that a library was linked with. A provider image has a variable of the same name in
 * its place (image/image.c), which its binder fills.
 */
#include "runtime.h"

/*
 * What a linker script of the SDK's defines, and the kernel with it. Not there in a kernel with an
 * entry of its own, nor have all scripts constructors; what the SDK's entry needs is named by it
 * (entry.S), so that nothing links without.
 */
#define MAYBE __attribute__((weak, visibility("hidden")))

extern const char vmi_image_start[] MAYBE, vmi_text_end[] MAYBE, vmi_rodata_end[] MAYBE,
    vmi_image_end[] MAYBE;
extern __typeof__(kernel_main) kernel_main MAYBE;
typedef void constructor(void);
extern constructor *const __init_array_start[] MAYBE;
extern constructor *const __init_array_end[] MAYBE;

void vmi__construct(void)
{
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
