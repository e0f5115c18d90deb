/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "patience.h"

#include <vmi/vmi.h>

#define MILLISECOND 1000000ull

void patience_begin(struct patience *patience, uint32_t milliseconds)
{
    patience->last = vmi_clock_nanoseconds();
    patience->left = milliseconds * MILLISECOND;
}

bool patience_left(struct patience *patience)
{
    uint64_t now = vmi_clock_nanoseconds(), passed = now - patience->last;

    patience->last = now;
    if (passed > PATIENCE_STEP_MILLISECONDS * MILLISECOND)
        passed = PATIENCE_STEP_MILLISECONDS * MILLISECOND;
    if (passed >= patience->left) {
        patience->left = 0;
        return false;
    }
    patience->left -= passed;
    return true;
}
