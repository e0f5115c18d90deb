/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "packets.h"

#include "string.h"

#define TYPE_IP  0x0800
#define TYPE_ARP 0x0806
#define IP_ICMP  1
enum { ICMP_REPLY = 0, ICMP_REQUEST = 8 };

static const uint8_t own_ip[4] = {10, 0, 2, 15}, other_ip[4] = {10, 0, 2, 2};

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

/* RFC 1071. */
static uint32_t checksum(const uint8_t *bytes, uint32_t size)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i + 1 < size; i += 2)
        sum += get16(bytes + i);
    if (size % 2)
        sum += (uint32_t)bytes[size - 1] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return ~sum & 0xffff;
}

static void ethernet(uint8_t *packet, const uint8_t *from, const uint8_t *to, uint32_t type)
{
    memcpy(packet, to, 6);
    memcpy(packet + 6, from, 6);
    put16(packet + 12, type);
}

void packet_question(uint8_t *packet, const struct packet_ends *ends)
{
    static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t head[8] = {0, 1, TYPE_IP >> 8, 0, 6, 4, 0, 1};
    uint8_t *arp = packet + ETHERNET;

    ethernet(packet, ends->own, all, TYPE_ARP);
    memcpy(arp, head, sizeof(head));
    memcpy(arp + 8, ends->own, 6);
    memcpy(arp + 14, own_ip, 4);
    memset(arp + 18, 0, 6);
    memcpy(arp + 24, other_ip, 4);
}

bool packet_is_other(const uint8_t *packet, uint32_t bytes, struct packet_ends *ends)
{
    const uint8_t *arp = packet + ETHERNET;

    if (bytes < QUESTION_BYTES || get16(packet + 12) != TYPE_ARP || arp[7] != 2 ||
        memcmp(arp + 14, other_ip, 4) != 0)
        return false;
    memcpy(ends->other, arp + 8, 6);
    return true;
}

static uint8_t content(uint32_t number, uint32_t i)
{
    return (uint8_t)(number * 151 + i * 7 + (i >> 8));
}

static void icmp_checksum(uint8_t *packet, uint32_t bytes)
{
    uint8_t *icmp = packet + ETHERNET + IP_BYTES;

    put16(icmp + 2, 0);
    put16(icmp + 2, checksum(icmp, bytes - ETHERNET - IP_BYTES));
}

void packet_echo(uint8_t *packet, const struct packet_ends *ends, uint32_t run, uint32_t number,
                 uint32_t bytes)
{
    uint8_t *ip = packet + ETHERNET, *icmp = ip + IP_BYTES;

    ethernet(packet, ends->own, ends->other, TYPE_IP);
    memset(ip, 0, IP_BYTES + ECHO);
    ip[0] = 0x45;
    put16(ip + 2, bytes - ETHERNET);
    put16(ip + 4, number);
    ip[8] = 64;
    ip[9] = IP_ICMP;
    memcpy(ip + 12, own_ip, 4);
    memcpy(ip + 16, other_ip, 4);
    put16(ip + 10, checksum(ip, IP_BYTES));
    icmp[0] = ICMP_REQUEST;
    put16(icmp + 4, run);
    put16(icmp + 6, number);
    for (uint32_t i = 0; i < bytes - HEADERS; i++)
        icmp[ECHO + i] = content(number, i);
    icmp_checksum(packet, bytes);
}

void packet_unanswered(uint8_t *packet, uint32_t bytes)
{
    packet[ETHERNET + IP_BYTES] = ICMP_REPLY;
    icmp_checksum(packet, bytes);
}

bool packet_is_answer(const uint8_t *packet, uint32_t bytes, uint32_t run, uint32_t *number)
{
    const uint8_t *ip = packet + ETHERNET, *icmp = ip + IP_BYTES;

    if (bytes < HEADERS || get16(packet + 12) != TYPE_IP || ip[0] != 0x45 || ip[9] != IP_ICMP ||
        icmp[0] != ICMP_REPLY || get16(icmp + 4) != run)
        return false;
    *number = get16(icmp + 6);
    return true;
}

bool packet_is_same(const uint8_t *packet, const struct packet_ends *ends, uint32_t bytes,
                    uint32_t number, uint32_t sent)
{
    const uint8_t *ip = packet + ETHERNET, *icmp = ip + IP_BYTES;

    if (bytes < sent || get16(ip + 2) != sent - ETHERNET ||
        checksum(icmp, sent - ETHERNET - IP_BYTES) != 0 || memcmp(packet, ends->own, 6) != 0)
        return false;
    for (uint32_t i = 0; i < sent - HEADERS; i++)
        if (icmp[ECHO + i] != content(number, i))
            return false;
    return true;
}
