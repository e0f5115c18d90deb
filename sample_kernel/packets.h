/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Packets that another side of a network answers, as QEMU's user network does: ARP's question for
 * 10.0.2.2 (RFC 826), and ICMP echoes to it (RFC 792) from 10.0.2.15.
 */
#ifndef PACKETS_H
#define PACKETS_H

#include <stdbool.h>
#include <stdint.h>

#define ETHERNET       14 /* bytes of its header */
#define IP_BYTES       20
#define ECHO           8
#define HEADERS        (ETHERNET + IP_BYTES + ECHO) /* of an echo */
#define QUESTION_BYTES (ETHERNET + 28)

/* The addresses of both sides. */
struct packet_ends {
    uint8_t own[6], other[6];
};

/* Who has 10.0.2.2? */
void packet_question(uint8_t *packet, const struct packet_ends *ends);

/* Is it the answer, of so many bytes? The other side's address then. */
bool packet_is_other(const uint8_t *packet, uint32_t bytes, struct packet_ends *ends);

/* An echo of a run, in a packet of `bytes`: its contents follow from its number. */
void packet_echo(uint8_t *packet, const struct packet_ends *ends, uint32_t run, uint32_t number,
                 uint32_t bytes);

/* Is it the answer to an echo of that run? Its number then. */
bool packet_is_answer(const uint8_t *packet, uint32_t bytes, uint32_t run, uint32_t *number);

/* Does it carry what an echo of `sent` bytes has carried? */
bool packet_is_same(const uint8_t *packet, const struct packet_ends *ends, uint32_t bytes,
                    uint32_t number, uint32_t sent);

/* Makes an echo its own answer, which nobody answers. */
void packet_unanswered(uint8_t *packet, uint32_t bytes);

#endif
