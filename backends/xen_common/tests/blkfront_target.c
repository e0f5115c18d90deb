/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Fuzz target: disks of Xen's whose back end lies (life.h).
 */
#include "xen_common/tests/blkfront.c"

#include "disk.h"
#include "back_end.h"

static void plug_back_end(void)
{
    offers = next8() & 1;
    plug();
    head = 0;
}

static void do_next(uint32_t way)
{
    if (memory_given && head && answered != head->requested)
        say(given(answered)->id, way ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY);
}

static void lie_of_a_request(void)
{
    if (!memory_given || !head)
        return;
    if (next8() & 1)
        say(random(), (int16_t)random());
    else
        head->responded = random();
}
