/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The console's ring as a Linux process: this file plays the other side, sound and hostile.
 */
#include "xen_common/console_ring.h"

#include "backends/played.h"

static struct xencons_interface ring;

#define OUT ((uint32_t)sizeof(ring.out))
#define IN  ((uint32_t)sizeof(ring.in))

static char text[4096];

/* Both directions begin shortly before their indices begin again at 0. */
static void begin(void)
{
    uint32_t i;

    for (i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + i % 23);
    ring.out_prod = ring.out_cons = ring.in_prod = ring.in_cons = ~0u - 5;
}

static void output_fills_the_ring_and_no_more(void)
{
    uint32_t i;

    begin();
    EXPECT(vmi__console_ring_is_drained(&ring));
    EXPECT(vmi__console_ring_room(&ring) == OUT);
    EXPECT(vmi__console_ring_put(&ring, text, 10, OUT) == 10);
    EXPECT(!vmi__console_ring_is_drained(&ring));
    EXPECT(vmi__console_ring_put(&ring, text + 10, sizeof(text) - 10, OUT - 10) == OUT - 10);
    EXPECT(vmi__console_ring_room(&ring) == 0);
    for (i = 0; i < OUT; i++)
        EXPECT(ring.out[MASK_XENCONS_IDX(ring.out_cons + i, ring.out)] == text[i]);
    ring.out_cons = ring.out_prod;
    EXPECT(vmi__console_ring_is_drained(&ring));
}

static void wrong_output_index_is_told(void)
{
    begin();
    ring.out_cons = ring.out_prod + 1;
    EXPECT(vmi__console_ring_is_wrong(vmi__console_ring_room(&ring)));
    EXPECT(vmi__console_ring_is_drained(&ring));
    ring.out_cons = ring.out_prod - OUT - 1;
    EXPECT(vmi__console_ring_is_wrong(vmi__console_ring_room(&ring)));
    ring.out_cons = ring.out_prod - OUT;
    EXPECT(!vmi__console_ring_is_wrong(vmi__console_ring_room(&ring)));
}

static void input_comes_in_order(void)
{
    char to[64];
    uint32_t i;

    begin();
    EXPECT(vmi__console_ring_input_end(&ring) == ring.in_cons);
    EXPECT(vmi__console_ring_take(&ring, to, sizeof(to)) == 0);
    for (i = 0; i < 20; i++)
        ring.in[MASK_XENCONS_IDX(ring.in_prod + i, ring.in)] = text[i];
    ring.in_prod += 20;
    EXPECT(vmi__console_ring_input_end(&ring) == ring.in_cons + 20);
    EXPECT(vmi__console_ring_take(&ring, to, 12) == 12);
    EXPECT(vmi__console_ring_take(&ring, to + 12, sizeof(to) - 12) == 8);
    for (i = 0; i < 20; i++)
        EXPECT(to[i] == text[i]);
    EXPECT(ring.in_cons == ring.in_prod);
}

static void wrong_input_index_is_told(void)
{
    char to[64];

    begin();
    ring.in_prod = ring.in_cons + IN + 1;
    EXPECT(vmi__console_ring_take(&ring, to, sizeof(to)) == -1);
    ring.in_prod = ring.in_cons - 1;
    EXPECT(vmi__console_ring_take(&ring, to, sizeof(to)) == -1);
    ring.in_prod = ring.in_cons + IN;
    EXPECT(vmi__console_ring_take(&ring, to, sizeof(to)) == (int32_t)sizeof(to));
}

static const struct played_check checks[] = {
    CHECK(output_fills_the_ring_and_no_more),
    CHECK(wrong_output_index_is_told),
    CHECK(input_comes_in_order),
    CHECK(wrong_input_index_is_told),
};

PLAY(checks)
