/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Fuzz target: networks by Intel's gigabit controllers that lie (life.h).
 */
#include "devices/e1000.c"

#include "network.h"
#include "on_pci.h"

static void plug_model_of_it(void)
{
    guard_pieces();
    plug_model(next8() & 1 ? EXPRESS : PLAIN);
    eeprom = EEPROM_HERE;
    ended_of[RECEIVE] = ended_of[SEND] = 0;
}

static uint64_t looked_in(uint32_t *bytes)
{
    *bytes = 0;
    return 0;
}

static bool has_rings(void)
{
    return memory_given && entries_of(RECEIVE) && entries_of(SEND);
}

static uint32_t read_back(void)
{
    return has_rings() ? (uint32_t)((uintptr_t)entry(SEND, 0) - (uintptr_t)memory_of_device) +
                             entries_of(SEND) * (uint32_t)sizeof(struct descriptor) +
                             devices[0].setup.requests * PIECE
                       : 0;
}

/* How far it has come, and not beyond what it was told. */
static bool is_behind(uint32_t way)
{
    return has_rings() && ended_of[way] % entries_of(way) != tail_of(way) % entries_of(way);
}

static void do_next(uint32_t way)
{
    if (way == RECEIVE) {
        if (is_behind(RECEIVE))
            say_received(LEAST + next16() % MTU, DONE | LAST, 0);
        return;
    }
    while (is_behind(SEND) && !(entry(SEND, ended_of[SEND])->command & REPORT))
        ended_of[SEND]++;
    if (is_behind(SEND))
        say_sent();
}

static void lie_of_a_request(void)
{
    uint32_t way = next8() & 1;

    if (!has_rings())
        return;
    if (next8() & 1)
        say_received(random(), (uint8_t)random(), (uint8_t)random());
    else
        ((uint8_t *)entry(way, next8()))[next8() % sizeof(struct descriptor)] = (uint8_t)random();
}

static void lie_of_the_device(void)
{
    static const uint16_t registers[] = {CONTROL,     STATUS,           EEPROM_CONTROL,
                                         EEPROM_READ, CONTROL_EXTENDED, CAUSES,
                                         MASK_SET,    STATION_HIGH,     SEND_RING + RING_TAIL,
                                         STATION_LOW, RECEIVE_CONTROL,  SEND_CONTROL,
                                         VECTORS,     AUTO_CLEAR,       RECEIVE_RING + RING_TAIL};
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
        stuck = what & 0x10;
        unloaded = what & 0x20;
        if (what & 0x40)
            eeprom = next8() & 1 ? random() : 0;
    }
}
