/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the alarms of all libraries compute alike.
 */
#include "runtime.h"

uint64_t vmi__alarm_next(uint64_t expiry, uint64_t period, uint64_t now)
{
    uint64_t past = now - expiry, step = period;

    /* past modulo period, by subtraction of its doublings. */
    while (step <= past >> 1)
        step <<= 1;
    for (; step >= period; step >>= 1)
        if (past >= step)
            past -= step;
    return vmi__add_saturating(now - past, period);
}
