/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Where the image is, for the SDK's linker script: the last 2 GiB of linear space are the first of
 * memory.
 */
#include "../../runtime.h"

struct vmi__image_place vmi__image_place = {
    .linear = VMI__IMAGE_BASE,
    .size = -VMI__IMAGE_BASE,
    .physical = 0,
};
