/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Fuzz target: disks by pvscsi whose adapter, or the unit at it, lies (life.h).
 */
#include "vmware/tests/pvscsi.c"

#include "disk.h"
#include "on_pci.h"

static void plug_model_of_it(void)
{
    plug();
    news = next8() % 8;
}

static uint64_t looked_in(uint32_t *bytes)
{
    static uint64_t from;
    uint64_t now = setup.state * 4096;

    /* Its rings' state, with what the unit says of itself, and a page of each. */
    *bytes = 3 * PAGE;
    if (is_set_up && now != (uintptr_t)memory_of_device)
        from = now;
    return from;
}

static bool has_rings(void)
{
    return is_set_up && memory_given && setup.state * 4096 == (uintptr_t)memory_of_device;
}

static uint32_t read_back(void)
{
    return has_rings() ? (1 + setup.request_pages + setup.ended_pages) * PAGE : 0;
}

static void do_next(uint32_t way)
{
    if (has_rings() && rings_state()->given - fetched > said)
        say(given_of(said++)->context, 0, way ? CHECK_STATE : 0);
}

static void lie_of_a_request(void)
{
    if (!has_rings())
        return;
    if (next8() & 1)
        say(next8() % 32, (uint16_t)random(), (uint16_t)random());
    else
        rings_state()->ended += random();
}

static void lie_of_the_device(void)
{
    static const uint16_t registers[] = {CAUSES, CAUSES_LET, COMMAND};
    uint32_t what = next8();

    switch (what % 8) {
    case 0:
        write_register(registers, COUNT(registers));
        break;
    case 1:
        write_configuration();
        break;
    case 2:
        answers = what & 0x10;
        bits_less = what >> 5;
        break;
    case 3:
        news = what >> 4;
        break;
    case 4:
        unit.block_size = what & 0x10 ? 1u << (what >> 5) * 2 : random();
        break;
    case 5:
        unit.most = random();
        unit.discarded = random();
        break;
    default:
        ((uint8_t *)&unit)[next8() % sizeof(unit)] = (uint8_t)random();
    }
}
