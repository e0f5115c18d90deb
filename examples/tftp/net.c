/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "net.h"

#include "bytes.h"
#include "card.h"

#define TYPE_IP      0x0800u
#define TYPE_ARP     0x0806u
#define ARP_BYTES    28u
#define IP_BYTES     20u /* of a header without options */
#define UDP_BYTES    8u
#define ICMP_BYTES   8u
#define HEADERS      (ETHERNET + IP_BYTES + UDP_BYTES)
#define FRAME_LEAST  60u
#define VERSION_4    0x45u /* and a header of five words */
#define DO_NOT_SPLIT 0x4000u
#define IS_A_PART    0x3fffu /* more parts follow, or the place of this one */
#define TIME_TO_LIVE 64u
enum { ICMP = 1, UDP = 17 };
enum { ICMP_REPLY = 0, ICMP_REQUEST = 8 };
enum { ARP_REQUEST = 1, ARP_REPLY = 2 };

/* Ethernet, IPv4, and the sizes of their addresses. */
static const uint8_t arp_head[6] = {0, 1, TYPE_IP >> 8, TYPE_IP & 0xff, ETHER_BYTES, 4};
static const uint8_t everybody[ETHER_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static uint32_t own_address;
static uint8_t frame[CARD_FRAME];

/* ---- checksums (RFC 1071) ---- */

static uint32_t sum(uint32_t before, const uint8_t *bytes, uint32_t size)
{
    for (; size > 1; bytes += 2, size -= 2)
        before += get16(bytes);
    return size ? before + ((uint32_t)bytes[0] << 8) : before;
}

/* What is to be stored; of what has been stored rightly it is 0. */
static uint32_t checksum(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return ~sum & 0xffff;
}

/* What UDP's checksum has of the IP header `ip` beside its own bytes. */
static uint32_t pseudo_header(const uint8_t *ip, uint32_t size)
{
    return sum(UDP + size, ip + 12, 8);
}

/* ---- sending ---- */

static void put_ethernet(uint8_t *at, const uint8_t *to, uint32_t type)
{
    memcpy(at, to, ETHER_BYTES);
    memcpy(at + ETHER_BYTES, card_address(), ETHER_BYTES);
    put16(at + 2 * ETHER_BYTES, type);
}

/* The card may have no longer ones than needed, but other ones on the wire want FRAME_LEAST. */
static void send_frame(uint8_t *at, uint32_t size)
{
    if (size < FRAME_LEAST) {
        memset(at + size, 0, FRAME_LEAST - size);
        size = FRAME_LEAST;
    }
    card_send(size);
}

static void put_ip(uint8_t *ip, uint32_t protocol, uint32_t size, uint32_t to)
{
    ip[0] = VERSION_4;
    ip[1] = 0;
    put16(ip + 2, IP_BYTES + size);
    put16(ip + 4, 0); /* not needed where nothing is divided (RFC 6864) */
    put16(ip + 6, DO_NOT_SPLIT);
    ip[8] = TIME_TO_LIVE;
    ip[9] = (uint8_t)protocol;
    put16(ip + 10, 0);
    put32(ip + 12, own_address);
    put32(ip + 16, to);
    put16(ip + 10, checksum(sum(0, ip, IP_BYTES)));
}

uint32_t net_room_bytes(void)
{
    return card_payload() - IP_BYTES - UDP_BYTES;
}

uint8_t *net_room(void)
{
    uint8_t *room = card_room();

    return room ? room + HEADERS : 0;
}

void net_send(uint32_t size, uint16_t port, const struct endpoint *to)
{
    uint8_t *at = card_room(), *ip = at + ETHERNET, *udp = ip + IP_BYTES;
    uint32_t check;

    size += UDP_BYTES;
    put_ethernet(at, to->ether, TYPE_IP);
    put_ip(ip, UDP, size, to->address);
    put16(udp, port);
    put16(udp + 2, to->port);
    put16(udp + 4, size);
    put16(udp + 6, 0);
    check = checksum(sum(pseudo_header(ip, size), udp, size));
    put16(udp + 6, check ? check : 0xffff); /* 0 says that there is none */
    send_frame(at, ETHERNET + IP_BYTES + size);
}

/* ---- addresses ---- */

/* To one (`ether`), or to all that this kernel has its address. */
static void send_arp(uint32_t operation, const uint8_t *ether, uint32_t address)
{
    uint8_t *at = card_room(), *arp = at + ETHERNET;

    if (!at)
        return; /* it is asked for again */
    put_ethernet(at, ether, TYPE_ARP);
    memcpy(arp, arp_head, sizeof(arp_head));
    put16(arp + 6, operation);
    memcpy(arp + 8, card_address(), ETHER_BYTES);
    put32(arp + 14, own_address);
    memcpy(arp + 18, ether, ETHER_BYTES);
    put32(arp + 24, address);
    send_frame(at, ETHERNET + ARP_BYTES);
}

static void take_arp(const uint8_t *arp, uint32_t size)
{
    if (size < ARP_BYTES || memcmp(arp, arp_head, sizeof(arp_head)) != 0 ||
        get16(arp + 6) != ARP_REQUEST || !own_address || get32(arp + 24) != own_address ||
        arp[8] & 1)
        return;
    send_arp(ARP_REPLY, arp + 8, get32(arp + 14));
}

uint32_t net_address(void)
{
    return own_address;
}

void net_set_address(uint32_t address)
{
    own_address = address;
    if (address)
        send_arp(ARP_REQUEST, everybody, address);
}

bool net_is_host(uint32_t address)
{
    uint32_t first = address >> 24;

    return first != 0 && first != 127 && first < 224;
}

/* ---- receiving ---- */

/* Answers an echo with what it carries. */
static void take_icmp(const uint8_t *icmp, uint32_t size, const struct endpoint *from)
{
    uint8_t *at = card_room(), *answer = at + ETHERNET + IP_BYTES;

    if (!at || size < ICMP_BYTES || IP_BYTES + size > card_payload() || icmp[0] != ICMP_REQUEST ||
        icmp[1] != 0 || checksum(sum(0, icmp, size)) != 0)
        return;
    put_ethernet(at, from->ether, TYPE_IP);
    put_ip(at + ETHERNET, ICMP, size, from->address);
    memcpy(answer, icmp, size);
    answer[0] = ICMP_REPLY;
    put16(answer + 2, 0);
    put16(answer + 2, checksum(sum(0, answer, size)));
    send_frame(at, ETHERNET + IP_BYTES + size);
}

static bool take_udp(const uint8_t *ip, const uint8_t *udp, uint32_t room, struct datagram *taken)
{
    uint32_t size;

    if (room < UDP_BYTES)
        return false;
    size = get16(udp + 4);
    if (size < UDP_BYTES || size > room ||
        (get16(udp + 6) != 0 && checksum(sum(pseudo_header(ip, size), udp, size)) != 0))
        return false;
    taken->from.port = (uint16_t)get16(udp);
    taken->port = (uint16_t)get16(udp + 2);
    taken->data = udp + UDP_BYTES;
    taken->size = size - UDP_BYTES;
    /* While there is no address only who gives one may speak. */
    return taken->from.port != 0 && (own_address || taken->port == DHCP_CLIENT);
}

/* A packet in `room` bytes; true if it brings a datagram. */
static bool take_ip(const uint8_t *ip, uint32_t room, struct datagram *taken)
{
    uint32_t header, size, to;

    if (room < IP_BYTES || ip[0] >> 4 != VERSION_4 >> 4)
        return false;
    header = (ip[0] & 15) * 4u;
    size = get16(ip + 2);
    if (header < IP_BYTES || size < header || size > room || checksum(sum(0, ip, header)) != 0 ||
        get16(ip + 6) & IS_A_PART)
        return false;
    taken->from.address = get32(ip + 12);
    to = get32(ip + 16);
    if (!net_is_host(taken->from.address) || (own_address && to != own_address && to != BROADCAST))
        return false;
    if (ip[9] == UDP)
        return take_udp(ip, ip + header, size - header, taken);
    if (ip[9] == ICMP && own_address && to == own_address)
        take_icmp(ip + header, size - header, &taken->from);
    return false;
}

bool net_take(struct datagram *taken)
{
    uint32_t size;

    while ((size = card_receive(frame)) != 0) {
        const uint32_t type = get16(frame + 2 * ETHER_BYTES);

        /* For others, or from nobody. */
        if ((memcmp(frame, card_address(), ETHER_BYTES) != 0 &&
             memcmp(frame, everybody, ETHER_BYTES) != 0) ||
            frame[ETHER_BYTES] & 1)
            continue;
        memcpy(taken->from.ether, frame + ETHER_BYTES, ETHER_BYTES);
        if (type == TYPE_ARP)
            take_arp(frame + ETHERNET, size - ETHERNET);
        else if (type == TYPE_IP && take_ip(frame + ETHERNET, size - ETHERNET, taken))
            return true;
    }
    return false;
}
