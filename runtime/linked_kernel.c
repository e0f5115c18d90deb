/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The kernel that a library was linked with. A provider image has a variable of the same name in
 * its place (image/image.c), which its binder fills.
 */
#include "runtime.h"

extern const char vmi_image_start[], vmi_image_end[]; /* runtime/kernel.ld */

struct vmi__kernel vmi__kernel = {
    .image_start = vmi_image_start,
    .image_end = vmi_image_end,
    .main = kernel_main,
    .main_unpaged = kernel_main_unpaged,
};
