/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Fuzz target: disks by AHCI whose controller, or the disk at it, lies (life.h).
 */
#include "devices/ahci.c"

#include "disk.h"
#include "on_pci.h"

static void plug_model_of_it(void)
{
    plug();
}

static uint64_t looked_in(uint32_t *bytes)
{
    static uint64_t from;
    uint32_t list = get(of_port(CLB));

    /* The list, what is received, a table with one entry, and what the disk says of itself. */
    *bytes = 1024 + 256 + 128 + 16 + sizeof(facts);
    if (list && list != (uintptr_t)memory_of_device)
        from = list;
    return from;
}

static uint32_t read_back(void)
{
    return get(of_port(CLB)) ? 1024 + 256 : 0;
}

static void do_next(uint32_t way)
{
    if (get(of_port(CI)) & 1 && get(of_port(CLB)))
        say(way ? FAILED : DONE, SECTOR);
}

static void lie_of_a_request(void)
{
    lie(9 + next8() % 3, 0);
}

static void lie_of_the_device(void)
{
    static const uint16_t registers[] = {
        CAP,
        GHC,
        IS,
        PI,
        CAP2,
        BOHC,
        PORTS + 2 * PORT + PIS,
        PORTS + 2 * PORT + CMD,
        PORTS + 2 * PORT + TFD,
        PORTS + 2 * PORT + SIG,
        PORTS + 2 * PORT + SSTS,
        PORTS + 2 * PORT + SERR,
        PORTS + 2 * PORT + CI,
    };
    uint32_t what = next8();

    switch (what % 8) {
    case 0:
    case 1:
    case 2:
        write_register(registers, COUNT(registers));
        break;
    case 3:
        write_configuration();
        break;
    case 4:
        silent = what & 0x10;
        stuck = what & 0x20;
        hangs = what & 0x40;
        refuses = what & 0x80;
        break;
    case 5:
        linked = what & 0x80;
        told = next8() & 1 ? sizeof(facts) : random();
        signature = next8() & 1 ? 0x101 : random();
        disk_at = what >> 4 & 7;
        break;
    case 6:
        facts[what & 0x10 ? 106 : 117 + what / 128] = (uint16_t)random();
        break;
    default:
        lie_of_itself();
    }
}
