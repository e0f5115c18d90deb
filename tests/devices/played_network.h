/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What checks of drivers for networks share, whatever device is played. The process has, before it
 * includes this: REQUESTS, SEGMENTS (2), SEEDS, MTU, look() and open_it().
 */
#ifndef VMI_TESTS_DEVICES_PLAYED_NETWORK_H
#define VMI_TESTS_DEVICES_PLAYED_NETWORK_H

#include "devices/played_interface.h"

enum { RECEIVE, SEND, WAYS };
#define LEAST 14u           /* bytes of a packet */
#define BYTES (MTU + LEAST) /* of a buffer */

static uint8_t buffer[0x4000] __attribute__((aligned(4096)));

/* A sound device that nobody has looked at: the process's. */
static void plug(void);

/* Does it reach no memory, and will it do nothing? */
static bool is_reset(void);

/* A network that is open. */
static void begin(void)
{
    plug();
    look();
    EXPECT(open_it() == VMI_OK);
}

/* Buffers of one way, by identifiers from `first` on; how many were taken. */
static int32_t pass_on(uint32_t way, uint64_t first, uint32_t wanted)
{
    struct vmi_segment segments[SEGMENTS] = {
        {.address = (uintptr_t)buffer + 1, .length = 100},
        {.address = (uintptr_t)buffer + 0x1003, .length = BYTES - 100},
    };
    struct vmi_net_buffer buffers[2 * REQUESTS];

    for (uint32_t i = 0; i < wanted; i++)
        buffers[i] = (struct vmi_net_buffer){.id = first + i, .segments = segments, .count = 2};
    return way == RECEIVE ? vmi__net_post(0, 0, buffers, wanted)
                          : vmi__net_send(0, 0, buffers, wanted);
}

static void begin_both(void)
{
    begin();
    EXPECT(pass_on(RECEIVE, 0, 3) == 3 && pass_on(SEND, 0, 3) == 3);
}

/* ---- what has ended ---- */

static struct vmi_completion done[2 * REQUESTS];

static int32_t reap_some(uint32_t way, uint32_t room)
{
    return way == RECEIVE ? vmi__net_received(0, 0, done, room) : vmi__net_sent(0, 0, done, room);
}

/* Takes all that can be taken of one way, and how many; `seen` counts by identifier. */
static uint32_t reap_all(uint32_t way, uint8_t *seen, int32_t status)
{
    int32_t taken = reap_some(way, 2 * REQUESTS);

    EXPECT(taken >= 0);
    for (int32_t i = 0; i < taken; i++) {
        EXPECT(done[i].id < REQUESTS && !seen[done[i].id]++);
        EXPECT(done[i].status == status);
        EXPECT(status == VMI_OK || !done[i].length);
    }
    return (uint32_t)taken;
}

/* Takes so many at most of buffers that are pending, each once. */
static int32_t reap_pending(uint32_t way, uint8_t *pending, uint32_t most)
{
    int32_t taken = reap_some(way, most);

    for (int32_t i = 0; i < taken; i++)
        EXPECT(done[i].id < REQUESTS && pending[done[i].id]-- == 1);
    return taken;
}

/* Closes it, whatever it has come to: all that is pending ends. */
static void close_with_pending(uint8_t pending[WAYS][REQUESTS])
{
    vmi__device_close(0);
    for (uint32_t way = 0; way < WAYS; way++) {
        while (reap_pending(way, pending[way], REQUESTS) > 0)
            ;
        for (uint32_t i = 0; i < REQUESTS; i++)
            EXPECT(!pending[way][i]);
    }
    vmi__device_close(0);
    EXPECT(devices[0].state == VMI__DEVICE_CLOSED && !locks);
}

/*
 * With three buffers under way each way, of which some of one way have been reaped (`seen`), a lie
 * about that way has the device shut off: it reaches no memory, and all that are left end once.
 */
static void is_shut_off(uint32_t fault, uint32_t way, uint8_t *seen, uint32_t left)
{
    uint8_t others[REQUESTS] = {0};

    EXPECT(reap_all(way, seen, VMI_EIO) == left);
    EXPECT(look().fault == fault);
    EXPECT(is_reset());
    EXPECT(reap_all(way, seen, VMI_EIO) == 0);
    EXPECT(pass_on(RECEIVE, 0, 1) == VMI_EIO && pass_on(SEND, 0, 1) == VMI_EIO);
    EXPECT(vmi__device_close(0) == VMI_EBUSY);
    EXPECT(reap_all(!way, others, VMI_EIO) == 3);
    EXPECT(vmi__device_close(0) == VMI_OK);
    EXPECT(open_it() == VMI_OK && look().fault == VMI_FAULT_NONE);
    EXPECT(!locks);
}

/*
 * Whatever it says, each buffer ends once. At each step `lie` says something of one way, by a
 * number below `kinds`, unless a buffer is given: for three in eight of the numbers, if there is
 * one. `given` are that way so far. How often it was shut off.
 */
static uint32_t any_lies(uint32_t kinds, void (*lie)(uint32_t what, uint32_t way, uint32_t given))
{
    uint32_t faults = 0;

    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + SEEDS && !failed_line; seed++) {
        uint8_t pending[WAYS][REQUESTS] = {{0}};
        uint32_t next[WAYS] = {0};

        state = seed;
        begin();
        for (uint32_t step = 0; step < 60; step++) {
            uint32_t what = random() % kinds, way = random() % WAYS, id = next[way] % REQUESTS;

            if (what < kinds * 3 / 8 && !pending[way][id] && pass_on(way, id, 1) == 1)
                pending[way][next[way]++ % REQUESTS] = 1;
            else
                lie(what, way, next[way]);
            EXPECT(reap_pending(way, pending[way], random() % 3) >= 0);
        }
        faults += !!look().fault;
        close_with_pending(pending);
    }
    EXPECT(faults > SEEDS / 10 && faults < SEEDS);
    return faults;
}

static void what_is_no_buffer(void)
{
    const uint64_t at = (uintptr_t)buffer;

    begin();
    const uint32_t more = look().segment_bytes + 1;
    const struct {
        struct vmi_segment segments[SEGMENTS + 1];
        uint32_t count;
        int32_t receive, send;
    } cases[] = {
        {{{.address = at, .length = BYTES}}, 1, 1, 1},
        {{{.address = at, .length = BYTES}}, 0, VMI_EINVAL, VMI_EINVAL},
        {{{.address = at, .length = BYTES - 1}}, 1, VMI_EINVAL, 1},
        {{{.address = at, .length = LEAST}}, 1, VMI_EINVAL, 1},
        {{{.address = at, .length = LEAST - 1}}, 1, VMI_EINVAL, VMI_EINVAL},
        {{{.address = at, .length = BYTES + 4}}, 1, 1, 1},
        {{{.address = at, .length = BYTES + 5}}, 1, 1, VMI_EINVAL},
        {{{.address = at, .length = BYTES}, {.address = at}}, 2, VMI_EINVAL, VMI_EINVAL},
        {{{.address = at}, {.address = at, .length = BYTES}}, 2, VMI_EINVAL, VMI_EINVAL},
        {{{.address = 0ull - BYTES + 1, .length = BYTES}}, 1, VMI_EINVAL, VMI_EINVAL},
        {{{.address = at, .length = 400},
          {.address = at, .length = 400},
          {.address = at, .length = 400}},
         3,
         VMI_EINVAL,
         VMI_EINVAL},
        {{{.address = at, .length = more}}, 1, VMI_EINVAL, VMI_EINVAL},
        {{{.address = at, .length = 0xffffffff}, {.address = at, .length = BYTES + 1}},
         2,
         VMI_EINVAL,
         VMI_EINVAL},
    };

    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vmi_net_buffer one = {.segments = cases[i].segments, .count = cases[i].count};

        begin();
        EXPECT(vmi__net_post(0, 0, &one, 1) == cases[i].receive);
        EXPECT(vmi__net_send(0, 0, &one, 1) == cases[i].send);
        EXPECT(vmi__net_send(0, 1, &one, 1) == VMI_EINVAL);
        EXPECT(vmi__net_post(1, 0, &one, 1) == VMI_ENOENT);
    }
    EXPECT(vmi__block_reap(0, 0, done, 1) == VMI_EINVAL);
}

#endif
