/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Fuzz target: networks of Xen's whose back end lies (life.h).
 */
#include "xen_common/tests/netfront.c"

static void lie_of_itself(void)
{
    static const char *const paths[] = {
        OWN "/backend-id", OTHER "/feature-rx-copy", OTHER "/feature-split-event-channels",
        OWN "/mac",        OTHER "/carrier",         OWN "/mtu",
        OWN "/backend",    OTHER "/state",
    };

    say_anything(paths[random() % COUNT(paths)]);
}

#include "network.h"
#include "back_end.h"

static void plug_back_end(void)
{
    guard_pieces();
    plug();
    heads[VMI__RECEIVE] = heads[VMI__SEND] = 0;
}

/* Has it rings on which there is something that way? */
static bool is_behind(uint32_t way)
{
    return memory_given && heads[way] && answered[way] != heads[way]->requested;
}

static void do_next(uint32_t way)
{
    if (!is_behind(way))
        return;
    if (way == VMI__RECEIVE)
        say_received(posted(answered[way])->id, 0, 0, (int16_t)(14 + next16() % 1501));
    else
        say_sent(sending(answered[way])->id, NETIF_RSP_OKAY);
}

static void lie_of_a_request(void)
{
    uint32_t way = next8() & 1, what = next8();

    if (!memory_given || !heads[way])
        return;
    if (what & 1)
        heads[way]->responded = random();
    else if (way == VMI__RECEIVE)
        say_received(what & 2 ? posted(answered[way])->id : (uint16_t)random(), (uint16_t)random(),
                     what & 4 ? 0 : (uint16_t)random(), (int16_t)random());
    else
        say_sent(what & 2 ? sending(answered[way])->id : (uint16_t)random(), (int16_t)random());
}
