/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Fuzz target: disks by NVMe whose controller lies (life.h).
 */
#include "devices/nvme.c"

#include "disk.h"
#include "on_pci.h"

static uint32_t said; /* requests that have ended as they should */

static void plug_model_of_it(void)
{
    plug();
    said = 0;
}

static uint64_t looked_in(uint32_t *bytes)
{
    static uint64_t from;

    /* The admin queues, and behind them what it says of itself. */
    *bytes = 3 * PAGE;
    if (get(ASQ) && get(ASQ) != (uintptr_t)memory_of_device)
        from = get(ASQ);
    return from;
}

static uint32_t read_back(void)
{
    return io.size ? io.completions + io.size * 16 - (uint32_t)(uintptr_t)memory_of_device : 0;
}

static void do_next(uint32_t way)
{
    (void)way;
    if (io.size && said % io.size != tail())
        say(given(said++), 0);
}

static void lie_of_a_request(void)
{
    lie(next8() % 12, 0);
}

static void lie_of_the_device(void)
{
    static const uint16_t registers[] = {CAP, CAP_HIGH, VS, INTMS, INTMC, CC, CSTS};
    uint32_t what = next8();

    switch (what % 8) {
    case 0:
    case 1:
        write_register(registers, COUNT(registers));
        break;
    case 2:
        write_configuration();
        break;
    case 3:
        silent = what & 0x10;
        stuck = what & 0x20;
        broken = what & 0x40;
        break;
    case 4:
        refused = what >> 4;
        failure = random() << 17;
        break;
    case 5:
        namespaces[0] = random();
        break;
    case 6:
        facts_of_controller[what & 0x10 ? 77 : 520 + what / 32] = (uint8_t)random();
        break;
    default:
        lie_of_itself();
    }
}
