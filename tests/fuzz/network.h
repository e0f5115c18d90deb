/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A kernel that has a network, for fuzz targets. Each piece of a buffer ends where memory begins
 * that nobody may touch.
 */
#ifndef VMI_TESTS_FUZZ_NETWORK_H
#define VMI_TESTS_FUZZ_NETWORK_H

#include <sanitizer/asan_interface.h>

#include "kernel.h"

#define PIECE_PLACES 16u
#define PIECE_BYTES  2048u
#define PIECE_GAP    64u
#define FRAME_LEAST  14u

static uint8_t pieces_of_packets[PIECE_PLACES * PIECE_BYTES + PIECE_GAP]
    __attribute__((aligned(4096)));

static void guard_pieces(void)
{
    for (uint32_t i = 0; i <= PIECE_PLACES; i++)
        ASAN_POISON_MEMORY_REGION(pieces_of_packets + i * PIECE_BYTES, PIECE_GAP);
}

static struct vmi_segment piece(uint32_t at, uint32_t bytes)
{
    uintptr_t end = (uintptr_t)pieces_of_packets + (at % PIECE_PLACES + 1) * PIECE_BYTES;

    return (struct vmi_segment){.address = end - bytes, .length = bytes};
}

/* Gives packets, or memory for some, of one piece or two. */
static void give_something(uint32_t device, uint32_t queue, uint32_t way)
{
    bool receive = way == VMI__RECEIVE;
    struct vmi_segment segments[4][2];
    struct vmi_net_buffer buffers[4];
    uint32_t wanted = next8() % 4 + 1, first = given_ids, largest;

    if (given_ids + 4 > IDS)
        return;
    largest = device < count ? devices[device].info.mtu + FRAME_LEAST : PIECE_BYTES / 2;
    for (uint32_t i = 0; i < wanted; i++) {
        uint32_t bytes = receive ? largest + next8() % 32 : next16() % (largest + 8);
        uint32_t before = 1 + next16() % (PIECE_BYTES - PIECE_GAP), at = next8();

        buffers[i] = (struct vmi_net_buffer){.id = given_ids, .segments = segments[i], .count = 1};
        segments[i][0] = piece(at, before < bytes ? before : bytes);
        if (before < bytes) {
            segments[i][1] = piece(at >> 4, bytes - before);
            buffers[i].count = 2;
        }
        pending[given_ids++] = 1 + (receive ? bytes : 0);
    }
    keep(first, wanted,
         receive ? vmi__net_post(device, queue, buffers, wanted)
                 : vmi__net_send(device, queue, buffers, wanted));
}

static reaper *const reapers[] = {vmi__net_received, vmi__net_sent};

#endif
