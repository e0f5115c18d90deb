/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The pair of 8259 interrupt controllers. Source: Intel 8259A data sheet; ports and cascade as in
 * the PC/AT.
 */
#include "native.h"

#define COMMAND 0 /* port of a chip */
#define DATA    1

#define ICW1_INITIALIZE 0x11 /* edge-triggered, cascaded, ICW4 follows */
#define ICW4_8086       0x01
#define OCW2_END        0x60 /* of the line in bits 0-2 */
#define OCW3_REQUESTS   0x0a
#define OCW3_IN_SERVICE 0x0b
#define OCW3_POLL       0x0c
#define POLL_REQUEST    0x80 /* in what is read then, with the line in bits 0-2 */

#define CASCADE 2

static struct chip {
    uint16_t port;
    uint8_t wiring;  /* ICW3 */
    uint8_t vectors; /* first of eight */
    uint8_t mask;
    uint8_t routed; /* lines that have got their vectors */
} chips[2] = {
    {.port = 0x20, .wiring = 1 << CASCADE, .vectors = 0x20},
    {.port = 0xa0, .wiring = CASCADE, .vectors = 0x28},
};

static void initialize(const struct chip *chip)
{
    vmi__outb(chip->port + COMMAND, ICW1_INITIALIZE);
    vmi__outb(chip->port + DATA, chip->vectors);
    vmi__outb(chip->port + DATA, chip->wiring);
    vmi__outb(chip->port + DATA, ICW4_8086);
    vmi__outb(chip->port + DATA, chip->mask);
}

static uint8_t state(const struct chip *chip, uint8_t which)
{
    vmi__outb(chip->port + COMMAND, which);
    return vmi__inb(chip->port + COMMAND);
}

VMI__RUN_ONCE void vmi__native_pic_init(void)
{
    uint32_t i;

    for (i = 0; i < 2; i++) {
        chips[i].mask = 0xff;
        initialize(&chips[i]);
    }
}

VMI__RUN_ONCE bool vmi__native_pic_route(uint32_t line, uint32_t vector)
{
    struct chip *chip = &chips[line / 8], *other = &chips[1 - line / 8];
    uint8_t vectors = (uint8_t)(vector & ~7u);

    if ((vector & 7) != (line & 7) || (chip->routed && chip->vectors != vectors) ||
        (other->routed && other->vectors == vectors))
        return false;
    if (chip->vectors != vectors) {
        chip->vectors = vectors;
        initialize(chip);
    }
    chip->routed |= (uint8_t)(1u << (line & 7));
    return true;
}

VMI__RUN_ONCE void vmi__native_pic_unroute(uint32_t line)
{
    chips[line / 8].routed &= (uint8_t) ~(1u << (line & 7));
}

void vmi__native_pic_unmask(uint32_t line)
{
    struct chip *chip = &chips[line / 8];

    chip->mask &= (uint8_t) ~(1u << (line & 7));
    vmi__outb(chip->port + DATA, chip->mask);
    if (line >= 8) {
        chips[0].mask &= (uint8_t) ~(1u << CASCADE);
        vmi__outb(chips[0].port + DATA, chips[0].mask);
    }
}

bool vmi__native_pic_requested(uint32_t line)
{
    return state(&chips[line / 8], OCW3_REQUESTS) >> (line & 7) & 1;
}

void vmi__native_pic_mask(uint32_t line)
{
    struct chip *chip = &chips[line / 8];

    chip->mask |= (uint8_t)(1u << (line & 7));
    vmi__outb(chip->port + DATA, chip->mask);
}

void vmi__native_pic_forget(uint32_t line)
{
    const struct chip *chip = &chips[line / 8];

    /* With all others masked, a poll acknowledges the line's request, unless it is in service. */
    vmi__outb(chip->port + DATA, (uint8_t) ~(1u << (line & 7)));
    if (state(chip, OCW3_POLL) == (POLL_REQUEST | (line & 7)))
        vmi__outb(chip->port + COMMAND, (uint8_t)(OCW2_END | (line & 7)));
    vmi__outb(chip->port + DATA, chip->mask);
}

bool vmi__native_pic_end(uint32_t vector)
{
    uint32_t line = vector & 7, i;
    bool ended = false;

    for (i = 0; i < 2; i++) {
        const struct chip *chip = &chips[i];

        if (!chip->routed || (vector & ~7u) != chip->vectors)
            continue;
        /*
         * Not in service: the vector is somebody else's, or line 7, which a request that went away
         * leaves.
         */
        if (state(chip, OCW3_IN_SERVICE) >> line & 1) {
            vmi__outb(chip->port + COMMAND, (uint8_t)(OCW2_END | line));
            ended = true;
        }
        if (i == 1 && (state(&chips[0], OCW3_IN_SERVICE) >> CASCADE & 1)) {
            vmi__outb(chips[0].port + COMMAND, OCW2_END | CASCADE);
            ended = true;
        }
    }
    return ended;
}
