/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Fuzz target: networks by vmxnet3 that lie (life.h).
 */
#include "vmware/tests/vmxnet3.c"

#include "network.h"
#include "on_pci.h"

static void plug_model_of_it(void)
{
    guard_pieces();
    plug();
    ended_of[RECEIVE] = ended_of[SEND] = 0;
    index_of[RECEIVE] = index_of[SEND] = 0;
}

static uint64_t looked_in(uint32_t *bytes)
{
    *bytes = 0;
    return 0;
}

/* Rings as it was told of them, whatever has become of that. */
static bool has_rings(void)
{
    return memory_given && active && size_of(RECEIVE) && size_of(SEND);
}

static uint32_t read_back(void)
{
    const struct vmi_device_setup *setup = &devices[0].setup;
    uint32_t entries = 32 + 2 * vmi__ring_size(setup->requests, 32) +
                       2 * vmi__ring_size(setup->requests * setup->segments, 32);

    return active ? 1024 + WAYS * 256 + entries * 16 + setup->requests * PIECE : 0;
}

static void do_next(uint32_t way)
{
    if (has_rings())
        say(way, next_index(way), way == RECEIVE ? LEAST + next16() % MTU : 0);
}

static void lie_of_a_request(void)
{
    uint32_t way = next8() & 1;

    if (!has_rings())
        return;
    switch (next8() % 4) {
    case 0:
        say(way, next_index(way), random());
        break;
    case 1:
        say(way, random(), random());
        break;
    case 2:
        completion(way, next8())->flags ^= GENERATION;
        break;
    default:
        ((uint8_t *)completion(way, next8()))[next8() % 16] = (uint8_t)random();
    }
}

static void lie_of_the_device(void)
{
    static const uint16_t registers[] = {REVISIONS,    UPT_REVISIONS, COMMAND, STATION_LOW,
                                         STATION_HIGH, CAUSE,         MASK};
    uint32_t what = next8();

    switch (what % 4) {
    case 0:
    case 1:
        write_register(registers, COUNT(registers));
        break;
    case 2:
        write_configuration();
        break;
    default:
        refuses = what & 0x10;
        linked = what & 0x20;
    }
}
