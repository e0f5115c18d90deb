/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A network card: Ethernet frames in and out. */
#ifndef CARD_H
#define CARD_H

#include <stdbool.h>
#include <stdint.h>

#define ETHERNET     14u   /* bytes of its header */
#define CARD_PAYLOAD 1500u /* bytes that a frame has at most behind it, both ways */
#define CARD_FRAME   (ETHERNET + CARD_PAYLOAD)

/* Opens the first network; false if there is none. */
bool card_open(void);

/* Its Ethernet address, and the payload of a frame at most. */
const uint8_t *card_address(void);
uint32_t card_payload(void);

/* Takes the next frame that has come, CARD_FRAME bytes at most; how long it is, 0: none has. */
uint32_t card_receive(uint8_t *frame);

/*
 * Where the next frame to be sent is to be written, for the payload of a frame at most. 0: all
 * buffers are under way; the wait ends when one is free. The same until card_send.
 */
uint8_t *card_room(void);

/* Sends so many bytes of it. */
void card_send(uint32_t size);

#endif
