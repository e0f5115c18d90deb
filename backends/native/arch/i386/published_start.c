/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The native library as a ROM of the published API. A library that inherits has its own in place of
 * this file, or none.
 */
#include "image/published.h"
#include "../../native.h"

bool vmi__backend_serve(void)
{
    return vmi__native_serve();
}

const struct vmi__published_call vmi__published_calls[] = {
    VMI__NATIVE_PUBLISHED_CALLS,
    {0, 0},
};
