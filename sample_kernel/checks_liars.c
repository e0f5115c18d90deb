/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Networks that say what is not so (test=liars): each but the first. The library shuts such a one
 * off and says why, each buffer ends once, and the first network works on.
 */
#include <stddef.h>

#include "checks.h"
#include "first_device.h"
#include "frames.h"
#include "layout.h"
#include "packets.h"
#include "patience.h"
#include "print.h"
#include "string.h"

#define BUFFERS 8 /* each way, a page for each */
#define ROUNDS  2 /* that each is opened: it may be opened anew */

enum { RECEIVE, SEND, WAYS };

static const char *const faults[] = {
    [VMI_FAULT_NONE] = "none",     [VMI_FAULT_COUNT] = "count",   [VMI_FAULT_IDENTIFIER] = "id",
    [VMI_FAULT_LENGTH] = "length", [VMI_FAULT_STATUS] = "status", [VMI_FAULT_STUCK] = "stuck",
    [VMI_FAULT_HELD] = "held",
};

/* Gives all buffers of a way at once, to be filled or with a question that is answered; how many
 * it takes. */
static int32_t give(const struct first_device *liar, uint32_t way, uint32_t first)
{
    struct vmi_segment segments[BUFFERS];
    struct vmi_net_buffer buffers[BUFFERS];
    struct packet_ends ends = {.other = {0}};

    memcpy(ends.own, liar->facts.address, sizeof(ends.own));
    for (uint32_t i = 0; i < BUFFERS; i++) {
        if (way == SEND)
            packet_question(frame_address(first + i), &ends);
        segments[i] = (struct vmi_segment){
            .address = (uint64_t)(first + i) << PAGE_SHIFT,
            .length = way == SEND ? QUESTION_BYTES : liar->facts.mtu + ETHERNET,
        };
        buffers[i] = (struct vmi_net_buffer){.id = i, .segments = &segments[i], .count = 1};
    }
    return way == SEND ? vmi_net_send(liar->number, 0, buffers, BUFFERS)
                       : vmi_net_post(liar->number, 0, buffers, BUFFERS);
}

/* Takes back what has ended of both ways, and counts how often each buffer has; false if something
 * else has, or with another status. */
static bool reap(const struct first_device *liar, uint8_t times[WAYS][BUFFERS])
{
    struct vmi_completion ended[BUFFERS];

    for (uint32_t way = 0; way < WAYS; way++) {
        int32_t count = way == SEND ? vmi_net_sent(liar->number, 0, ended, BUFFERS)
                                    : vmi_net_received(liar->number, 0, ended, BUFFERS);
        if (count < 0)
            return false;
        for (int32_t i = 0; i < count; i++) {
            if (ended[i].id >= BUFFERS || (ended[i].status != VMI_OK && ended[i].status != VMI_EIO))
                return false;
            times[way][ended[i].id]++;
        }
    }
    return true;
}

/* Why a network is not one that lies and is shut off, or null. */
static const char *is_shut_off(struct first_device *liar, uint32_t frames)
{
    uint8_t times[WAYS][BUFFERS] = {{0}};
    struct patience patience;

    if (first_device_open(liar) != VMI_OK || !first_device_find(liar))
        return "it does not open";
    if (give(liar, RECEIVE, frames) != BUFFERS || give(liar, SEND, frames + BUFFERS) != BUFFERS)
        return "it does not take all buffers";
    patience_begin(&patience, PATIENCE_MILLISECONDS);
    while (liar->facts.fault == VMI_FAULT_NONE) {
        if (!reap(liar, times))
            return "another buffer has ended, or with another status";
        if (!first_device_find(liar) || !patience_left(&patience))
            return "it is not shut off";
    }
    if (liar->facts.fault >= sizeof(faults) / sizeof(faults[0]))
        return "it is shut off for no reason that there is";
    print("# liar %s: shut off, %s\n", (const char *)liar->facts.name, faults[liar->facts.fault]);
    if (give(liar, SEND, frames + BUFFERS) != VMI_EIO)
        return "it takes packets though it is shut off";
    if (!reap(liar, times))
        return "another buffer has ended, or with another status";
    for (uint32_t way = 0; way < WAYS; way++)
        for (uint32_t i = 0; i < BUFFERS; i++)
            if (times[way][i] != 1)
                return "a buffer has not ended once";
    return vmi_device_close(liar->number) == VMI_OK ? NULL : "it does not close";
}

static void liars(void)
{
    struct first_device honest = {.kind = VMI_DEVICE_NETWORK, .name = "network"};
    uint32_t found = 0;

    NEEDS_DEVICE(&honest);
    uint32_t frames = frame_allocate_run(WAYS * BUFFERS);
    EXPECT(frames != FRAME_NONE);
    for (uint32_t i = honest.number + 1;; i++) {
        struct first_device liar = {
            .kind = VMI_DEVICE_NETWORK,
            .name = "liar",
            .requests = BUFFERS,
            .segments = 1,
            .found = true,
            .number = i,
        };
        if (!first_device_find(&liar))
            break;
        if (liar.facts.kind != VMI_DEVICE_NETWORK)
            continue;
        found++;
        for (uint32_t round = 0; round < ROUNDS; round++) {
            const char *reason = is_shut_off(&liar, frames);

            if (reason == NULL)
                reason = network_goes_on(ROUNDS * found + round);
            if (reason != NULL) {
                ktap_fail("%s, round %u: %s", (const char *)liar.facts.name, round, reason);
                return;
            }
            first_device_find(&liar);
        }
        first_device_give_back(&liar);
    }
    frame_release_run(frames, WAYS * BUFFERS);
    EXPECT(found > 0);
}

const struct check checks_liars[] = {{"test.liars", liars}, {NULL, NULL}};
