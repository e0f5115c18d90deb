/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Reads of the first disk and packets of the first network, as the sample kernel does them
 * (sample_kernel/bench_devices.c): a round is one batch, and begins when the one before has ended.
 * Reads go past the page cache, by Linux's own asynchronous calls; packets are ICMP's, by Linux's
 * IP, many of them in one call.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "linux_workloads.h"

#define DEPTH 32   /* reads at a time */
#define READ  4096 /* bytes */

#define BATCH       64 /* packets at a time */
#define BYTES       64 /* of a packet with the header of Ethernet */
#define ETHERNET    14
#define ICMP_BYTES  (BYTES - ETHERNET - (int)sizeof(struct iphdr))
#define PACKET_MOST 2048

#define WAITS             1000
#define WAIT_MICROSECONDS 10000

/* ---- what the CPU rests ---- */

static bool mounted;

static void mount_all(void)
{
    if (!mounted &&
        (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) || mount("proc", "/proc", "proc", 0, NULL)))
        fail("mount");
    mounted = true;
}

/* Nanoseconds of the first CPU, from its idle loop's beginning to the interrupt that ends it. */
static unsigned long long rested(void)
{
    FILE *file = fopen("/proc/timer_list", "r");
    unsigned long long found = 0;
    char line[256];
    bool seen = false;

    if (!file)
        fail("/proc/timer_list");
    while (!seen && fgets(line, sizeof(line), file))
        seen = sscanf(line, " .idle_sleeptime : %llu nsecs", &found) == 1;
    fclose(file);
    if (!seen)
        fail("idle_sleeptime");
    return found;
}

static unsigned long long rested_before;

static void begin_devices(const char *name, unsigned rounds)
{
    rested_before = rested();
    begin(name, rounds);
}

static void end_devices(const char *name)
{
    printf("# rested %s nanoseconds=%llu\n", name, rested() - rested_before);
}

/* ---- disks ---- */

static int open_disk(void)
{
    static const char *const paths[] = {"/dev/vda", "/dev/xvda", "/dev/sda", "/dev/nvme0n1"};

    mount_all();
    /* A driver may need a while to find its device. */
    for (unsigned waits = 0; waits < WAITS; waits++) {
        for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
            int file = open(paths[i], O_RDONLY | O_DIRECT);

            if (file >= 0)
                return file;
        }
        usleep(WAIT_MICROSECONDS);
    }
    fail("the disk");
}

static void disk(const char *name, unsigned rounds, unsigned depth)
{
    int file = open_disk();
    off_t size = lseek(file, 0, SEEK_END), next = 0;
    aio_context_t context = 0;
    struct iocb requests[DEPTH], *list[DEPTH];
    struct io_event ended[DEPTH];
    char *buffers = aligned_alloc(READ, DEPTH * READ);

    if (size < DEPTH * READ || !buffers || syscall(SYS_io_setup, DEPTH, &context))
        fail("the disk's requests");
    memset(buffers, 0, DEPTH * READ);
    memset(requests, 0, sizeof(requests));
    for (unsigned i = 0; i < depth; i++) {
        requests[i].aio_fildes = (uint32_t)file;
        requests[i].aio_lio_opcode = IOCB_CMD_PREAD;
        requests[i].aio_buf = (uintptr_t)(buffers + i * READ);
        requests[i].aio_nbytes = READ;
        list[i] = &requests[i];
    }
    begin_devices(name, rounds);
    while (rounds--) {
        for (unsigned i = 0; i < depth; i++, next += READ) {
            if (next + READ > size)
                next = 0;
            requests[i].aio_offset = next;
        }
        if (syscall(SYS_io_submit, context, depth, list) != depth ||
            syscall(SYS_io_getevents, context, depth, depth, ended, NULL) != depth)
            fail("reads");
        for (unsigned i = 0; i < depth; i++)
            if (ended[i].res != READ)
                fail("a read");
        round_end();
    }
    end_devices(name);
    syscall(SYS_io_destroy, context);
    free(buffers);
    close(file);
}

void disk_1(unsigned rounds)
{
    disk("disk_1", rounds, 1);
}

void disk_32(unsigned rounds)
{
    disk("disk_32", rounds, DEPTH);
}

/* ---- networks ---- */

static uint16_t checksum(const void *bytes, unsigned size)
{
    const uint16_t *words = bytes;
    uint32_t sum = 0;

    for (unsigned i = 0; i < size / 2; i++)
        sum += words[i];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static struct {
    struct icmphdr head;
    char content[ICMP_BYTES - (int)sizeof(struct icmphdr)];
} packets[BATCH];
static char answers[BATCH][PACKET_MOST];
static struct iovec to_send[BATCH], to_receive[BATCH];
static struct mmsghdr sending[BATCH], receiving[BATCH];

static void set_address(int file, struct ifreq *request, unsigned long what, const char *address)
{
    struct sockaddr_in in = {.sin_family = AF_INET};

    inet_pton(AF_INET, address, &in.sin_addr);
    memcpy(&request->ifr_addr, &in, sizeof(in));
    if (ioctl(file, what, request))
        fail("the network's address");
}

/* A socket to 10.0.2.2, whose network is up. */
static int open_network(void)
{
    struct sockaddr_in other = {.sin_family = AF_INET};
    struct ifreq request = {.ifr_name = "eth0"};
    int file = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    unsigned waits = 0;

    mount_all();
    if (file < 0)
        fail("socket");
    for (; ioctl(file, SIOCGIFINDEX, &request) && waits < WAITS; waits++)
        usleep(WAIT_MICROSECONDS);
    set_address(file, &request, SIOCSIFADDR, "10.0.2.15");
    set_address(file, &request, SIOCSIFNETMASK, "255.255.255.0");
    if (ioctl(file, SIOCGIFFLAGS, &request))
        fail("the network");
    request.ifr_flags |= IFF_UP | IFF_RUNNING;
    if (ioctl(file, SIOCSIFFLAGS, &request))
        fail("the network");
    inet_pton(AF_INET, "10.0.2.2", &other.sin_addr);
    if (connect(file, (struct sockaddr *)&other, sizeof(other)))
        fail("connect");
    return file;
}

/* Packets of one kind, answered or not. */
static void make_packets(uint8_t type, uint16_t run)
{
    for (unsigned i = 0; i < BATCH; i++) {
        memset(&packets[i], (int)i, sizeof(packets[i]));
        packets[i].head = (struct icmphdr){.type = type};
        packets[i].head.un.echo.id = htons(run);
        packets[i].head.un.echo.sequence = htons((uint16_t)i);
        packets[i].head.checksum = checksum(&packets[i], sizeof(packets[i]));
        to_send[i] = (struct iovec){.iov_base = &packets[i], .iov_len = sizeof(packets[i])};
        to_receive[i] = (struct iovec){.iov_base = answers[i], .iov_len = PACKET_MOST};
        sending[i].msg_hdr = (struct msghdr){.msg_iov = &to_send[i], .msg_iovlen = 1};
        receiving[i].msg_hdr = (struct msghdr){.msg_iov = &to_receive[i], .msg_iovlen = 1};
    }
}

static void give(int file, unsigned first, unsigned count)
{
    for (unsigned last = first + count; first < last;) {
        int taken = sendmmsg(file, sending + first, last - first, 0);

        if (taken <= 0)
            fail("sendmmsg");
        first += (unsigned)taken;
    }
}

/* How many answers of that run have come, at least one packet being waited for; -1 if none comes.
 */
static int take(int file, uint16_t run, unsigned most, int flags)
{
    int count = recvmmsg(file, receiving, most, flags, NULL);
    int found = 0;

    if (count < 0 && errno == EAGAIN)
        return -1;
    if (count < 0)
        fail("recvmmsg");
    for (int i = 0; i < count; i++) {
        const struct icmphdr *head = (void *)(answers[i] + sizeof(struct iphdr));

        found += receiving[i].msg_len >= sizeof(struct iphdr) + sizeof(*head) &&
                 head->type == ICMP_ECHOREPLY && head->un.echo.id == htons(run);
    }
    return found;
}

/* The other side may come later; whoever has answered once is known to ARP. */
static int reach_other(uint16_t run)
{
    int file = open_network();
    bool found = false;

    make_packets(ICMP_ECHO, run);
    for (unsigned waits = 0; !found && waits < WAITS; waits++) {
        give(file, 0, 1);
        for (unsigned looks = 0; !found && looks < 10; looks++) {
            usleep(WAIT_MICROSECONDS);
            found = take(file, run, 1, MSG_DONTWAIT) > 0;
        }
    }
    if (!found)
        fail("10.0.2.2");
    return file;
}

static int unsent(int file)
{
    int bytes;

    if (ioctl(file, SIOCOUTQ, &bytes))
        fail("SIOCOUTQ");
    return bytes;
}

/* One or all at a time, each time until they have left, which is looked for without a rest; what
 * giving them takes is told apart. */
static void send_packets(const char *name, unsigned rounds, unsigned batch)
{
    int file = reach_other(1);
    uint64_t gave = 0;

    make_packets(ICMP_ECHOREPLY, 0);
    begin_devices(name, rounds);
    while (rounds--) {
        for (unsigned i = 0; i < BATCH; i += batch) {
            uint64_t start = ticks();

            give(file, i, batch);
            gave += ticks() - start;
            while (unsent(file))
                ;
        }
        round_end();
    }
    printf("# gave %s ticks=%llu\n", name, (unsigned long long)gave);
    close(file);
}

void send_1(unsigned rounds)
{
    send_packets("send_1", rounds, 1);
}

void send_64(unsigned rounds)
{
    send_packets("send_64", rounds, BATCH);
}

/* A round whose packets are lost on the way ends with a second in which none comes. */
static void echo(const char *name, unsigned rounds, unsigned batch)
{
    const struct timeval second = {.tv_sec = 1};
    static uint16_t run = 1;
    int file = reach_other(++run);
    unsigned lost = 0;

    if (setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)))
        fail("SO_RCVTIMEO");
    make_packets(ICMP_ECHO, ++run);
    begin_devices(name, rounds);
    while (rounds--) {
        unsigned left = batch;

        give(file, 0, batch);
        while (left) {
            int answered = take(file, run, left, MSG_WAITFORONE);

            if (answered < 0)
                break;
            left -= (unsigned)answered;
        }
        lost += left;
        round_end();
    }
    end_devices(name);
    printf("# lost %s packets=%u\n", name, lost);
    close(file);
}

void echo_1(unsigned rounds)
{
    echo("echo_1", rounds, 1);
}

void echo_64(unsigned rounds)
{
    echo("echo_64", rounds, BATCH);
}
