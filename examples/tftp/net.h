/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* ARP (RFC 826), IPv4 (RFC 791), ICMP echo (RFC 792) and UDP (RFC 768) on the one card. */
#ifndef NET_H
#define NET_H

#include <stdbool.h>
#include <stdint.h>

#define ETHER_BYTES 6u
#define BROADCAST   0xffffffffu
#define DHCP_CLIENT 68u /* port that is open while there is no address */

/* Who a datagram is from or for. IPv4 addresses are numbers: 10.0.2.15 is 0x0a00020f. */
struct endpoint {
    uint32_t address;
    uint16_t port;
    uint8_t ether[ETHER_BYTES]; /* a router's, where that has passed it on */
};

struct datagram {
    struct endpoint from;
    uint16_t port;       /* that it is for */
    const uint8_t *data; /* until net_take is called again */
    uint32_t size;
};

/* The kernel's own address; 0 while it has none. Sets it, and tells the others if it is one. */
uint32_t net_address(void);
void net_set_address(uint32_t address);

/* Whether a host can have this address. */
bool net_is_host(uint32_t address);

/*
 * Takes what has come until there is a datagram for this kernel, and answers ARP and echoes; false
 * if nothing is left.
 */
bool net_take(struct datagram *taken);

/* Bytes that a datagram's content may have so that it is not divided. */
uint32_t net_room_bytes(void);

/* Where the content of the next datagram is to be written; 0: not now (card_room). */
uint8_t *net_room(void);

/* Sends so many bytes of it from a port of this kernel's. */
void net_send(uint32_t size, uint16_t port, const struct endpoint *to);

#endif
