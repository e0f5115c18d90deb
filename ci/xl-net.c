/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Carries Ethernet frames between a network interface of the Xen rig's dom0 and a stream:
 *
 *     xl-net INTERFACE PORT
 *
 * waits for a connection to the TCP port and passes frames on both ways, each behind its length in
 * 4 bytes as QEMU's `-netdev stream` has it, until the stream ends. Exits with 1 if it cannot.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME_MAX 0x10000

static uint8_t frame[4 + FRAME_MAX];

static void check(bool right, const char *what)
{
    if (!right) {
        perror(what);
        exit(1);
    }
}

/* Frames of that interface, whomever they are for. */
static int open_interface(const char *name)
{
    struct sockaddr_ll place = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    struct packet_mreq all = {.mr_type = PACKET_MR_PROMISC};
    int packets = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

    place.sll_ifindex = all.mr_ifindex = (int)if_nametoindex(name);
    check(packets >= 0 && place.sll_ifindex, name);
    check(!bind(packets, (struct sockaddr *)&place, sizeof(place)), name);
    check(!setsockopt(packets, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)), name);
    return packets;
}

static int wait_for_stream(const char *port)
{
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int listening = socket(AF_INET, SOCK_STREAM, 0), on = 1, stream;

    check(listening >= 0, port);
    check(!setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), port);
    check(!bind(listening, (struct sockaddr *)&place, sizeof(place)), port);
    check(!listen(listening, 1), port);
    stream = accept(listening, 0, 0);
    check(stream >= 0, port);
    close(listening);
    return stream;
}

static bool write_all(int to, const uint8_t *from, size_t size)
{
    while (size) {
        ssize_t done = write(to, from, size);

        if (done <= 0)
            return false;
        from += done;
        size -= (size_t)done;
    }
    return true;
}

static bool read_all(int from, uint8_t *to, size_t size)
{
    while (size) {
        ssize_t done = read(from, to, size);

        if (done <= 0)
            return false;
        to += done;
        size -= (size_t)done;
    }
    return true;
}

/* What comes from the guest; what goes to it comes by here as well. */
static bool from_guest(int packets, int stream)
{
    struct sockaddr_ll sender;
    socklen_t size = sizeof(sender);
    ssize_t bytes = recvfrom(packets, frame + 4, FRAME_MAX, 0, (struct sockaddr *)&sender, &size);
    uint32_t length;

    if (bytes <= 0 || sender.sll_pkttype == PACKET_OUTGOING)
        return true;
    length = htonl((uint32_t)bytes);
    memcpy(frame, &length, 4);
    return write_all(stream, frame, 4 + (size_t)bytes);
}

static bool to_guest(int stream, int packets)
{
    uint32_t length;

    if (!read_all(stream, frame, 4))
        return false;
    memcpy(&length, frame, 4);
    length = ntohl(length);
    if (length > FRAME_MAX || !read_all(stream, frame, length))
        return false;
    /* One that the guest has no room for is lost, as on a wire. */
    return write(packets, frame, length) >= 0 || errno != EBADF;
}

int main(int count, char **words)
{
    check(count == 3, "expected INTERFACE PORT");
    int packets = open_interface(words[1]), stream = wait_for_stream(words[2]);
    struct pollfd ready[2] = {{.fd = packets, .events = POLLIN}, {.fd = stream, .events = POLLIN}};

    while (poll(ready, 2, -1) > 0) {
        if (ready[0].revents && !from_guest(packets, stream))
            break;
        if (ready[1].revents && !to_guest(stream, packets))
            break;
    }
    return 0;
}
