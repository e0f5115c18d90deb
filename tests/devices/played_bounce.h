/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What checks of drivers for networks share whose device receives a packet in one piece of memory
 * (devices/bounce), and which have an interrupt line for both ways. The process has, before it
 * includes this: what played_network.h wants; HERE, the station's address, first byte last; and
 * PIECE, the bytes of such memory.
 */
#ifndef VMI_TESTS_DEVICES_PLAYED_BOUNCE_H
#define VMI_TESTS_DEVICES_PLAYED_BOUNCE_H

#include "devices/played_network.h"

static uint32_t causes_read; /* how often the line was lowered */

/* ---- the process's ---- */

/* Where the packet is received whose buffer was given as that one, from 0. */
static uint64_t address_given(uint32_t number);

/* Has the device been told of so many buffers to receive in, and the last one's size? */
static bool told_of(uint32_t buffers);

/* Says that the next packet has been received, with that length and nothing wrong. */
static void say_length(uint32_t length);

/* Says that the next packet has ended, that way. */
static void say_sound(uint32_t way);

/* ---- checks ---- */

static void says_what_a_network_is(void)
{
    struct vmi_device_properties info;

    plug();
    info = look();
    EXPECT(info.kind == VMI_DEVICE_NETWORK && info.mtu == MTU && info.queues == 1);
    for (uint32_t i = 0; i < 6; i++)
        EXPECT(info.address[i] == (uint8_t)(HERE >> 8 * i));
    EXPECT(info.requests == VMI__REQUESTS_MAX && info.segments >= SEGMENTS);
    EXPECT(info.segment_bytes >= BYTES + 4 && info.flags == VMI_DEVICE_IS_LINKED);
    EXPECT(!(space[1] & COMMAND_MASTER) && space[1] & COMMAND_MEMORY);
}

static void is_none(void)
{
    struct vmi_device_properties info;

    EXPECT(vmi__device_info(0, &info) == VMI_ENOENT);
}

/* What a ring has no room for. */
static void too_many_descriptors(void)
{
    struct vmi_device_setup setup = {.queues = 1, .requests = 1024, .segments = 3};
    struct vmi_device_memory needs;

    plug();
    look();
    EXPECT(vmi__device_needs(0, &setup, &needs) == VMI_OK);
    setup.segments = 4;
    EXPECT(vmi__device_needs(0, &setup, &needs) == VMI_EINVAL);
    setup.requests = 1023;
    EXPECT(vmi__device_needs(0, &setup, &needs) == VMI_OK);
}

/* Where a packet is received: in the kernel's own memory if that has room for any. */
static void copied_or_not(void)
{
    struct vmi_segment segments[SEGMENTS] = {{.address = (uintptr_t)buffer, .length = PIECE},
                                             {.address = (uintptr_t)buffer + 8192, .length = 1}};
    const struct vmi_net_buffer one = {.id = 1, .segments = segments, .count = SEGMENTS};
    uint8_t *between;

    begin();
    EXPECT(vmi__net_post(0, 0, &one, 1) == 1);
    EXPECT(address_given(0) == (uintptr_t)buffer);
    memset(buffer, 7, PIECE);
    say_length(PIECE);
    EXPECT(reap_some(RECEIVE, 1) == 1 && done[0].length == PIECE && buffer[PIECE - 1] == 7);
    segments[0].length = 101;
    segments[1] = (struct vmi_segment){.address = (uintptr_t)buffer + 8192, .length = PIECE};
    EXPECT(vmi__net_post(0, 0, &one, 1) == 1);
    between = (uint8_t *)(uintptr_t)address_given(1);
    EXPECT(between > memory_of_device && between < memory_of_device + sizeof(memory_of_device));
    for (uint32_t i = 0; i < BYTES; i++)
        between[i] = (uint8_t)(i * 3);
    memset(buffer, 0xee, sizeof(buffer));
    say_length(BYTES);
    EXPECT(reap_some(RECEIVE, 1) == 1 && done[0].length == BYTES);
    for (uint32_t i = 0; i < BYTES; i++)
        EXPECT(buffer[i < 101 ? i : 8192 + i - 101] == (uint8_t)(i * 3));
    EXPECT(buffer[101] == 0xee && buffer[8192 + BYTES - 101] == 0xee);
}

/* Each packet goes to its own buffer. */
static void each_to_its_own(void)
{
    struct vmi_segment segment = {.length = BYTES};
    struct vmi_net_buffer one = {.segments = &segment, .count = 1};

    begin();
    for (uint32_t i = 0; i < 4; i++) {
        one.id = i;
        segment.address = (uintptr_t)buffer + 4096 * i;
        EXPECT(vmi__net_post(0, 0, &one, 1) == 1);
        *(uint8_t *)(uintptr_t)address_given(i) = (uint8_t)(i + 1);
        say_length(BYTES);
    }
    EXPECT(reap_some(RECEIVE, 4) == 4);
    for (uint32_t i = 0; i < 4; i++)
        EXPECT(done[i].id == i && buffer[4096 * i] == i + 1);
}

/* What is copied to has to be in the linear mapping. */
static void beyond_the_linear_mapping(void)
{
    struct vmi_memory_range more = {.kind = VMI_MEMORY_USABLE, .size = 0xf0000000u};
    struct vmi_segment segment = {.length = BYTES};
    const struct vmi_net_buffer one = {.segments = &segment, .count = 1};

    vmi__boot.memory = &more;
    vmi__boot.memory_count = 1;
    begin();
    segment.address = (uint64_t)vmi__boot.linear_pages * 4096 - BYTES;
    EXPECT(vmi__net_post(0, 0, &one, 1) == 1);
    segment.address++;
    EXPECT(vmi__net_post(0, 0, &one, 1) == VMI_EINVAL);
    vmi__boot.memory_count = 0;
}

/* In several laps of the rings; `look_at` sees that so many are under way, before each ends. */
static void each_ends_once(void (*look_at)(uint32_t way, uint32_t left))
{
    for (uint32_t way = 0; way < WAYS; way++) {
        begin();
        for (uint32_t round = 0; round < 17; round++) {
            uint8_t seen[REQUESTS] = {0};

            EXPECT(pass_on(way, 0, REQUESTS + 2) == (int32_t)REQUESTS);
            EXPECT(pass_on(way, 0, 1) == 0 && reap_some(way, 1) == 0);
            for (uint32_t i = 0; i < REQUESTS; i++) {
                look_at(way, REQUESTS - i);
                say_sound(way);
                if (i == REQUESTS / 2) {
                    EXPECT(reap_all(way, seen, VMI_OK) == i + 1);
                    for (uint32_t j = 0; j <= i; j++)
                        EXPECT(done[j].id == j && done[j].length == (way == RECEIVE ? LEAST : 0));
                }
            }
            EXPECT(reap_all(way, seen, VMI_OK) == REQUESTS / 2 - 1);
            look_at(way, 0);
        }
    }
}

/* A packet with that length is dropped; its buffer waits for the next one. */
static void is_dropped(uint32_t length)
{
    uint8_t seen[REQUESTS] = {0};

    begin_both();
    memset(buffer, 0xee, sizeof(buffer));
    say_length(length);
    EXPECT(reap_all(RECEIVE, seen, VMI_OK) == 0);
    EXPECT(told_of(4) && address_given(3) == address_given(0));
    EXPECT(buffer[1] == 0xee && !look().fault);
    for (uint32_t j = 0; j < 3; j++)
        say_length(BYTES);
    EXPECT(reap_all(RECEIVE, seen, VMI_OK) == 3 && done[2].id == 0);
    EXPECT(done[2].length == BYTES && done[0].id == 1);
}

/* What is longer than its buffer, or no packet. */
static void no_room(void)
{
    static const uint32_t lengths[] = {0, LEAST - 1, BYTES + 1, BYTES + 6, PIECE};

    for (uint32_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        is_dropped(lengths[i]);
}

static void closed_with_buffers_in_flight(void)
{
    uint8_t received[REQUESTS] = {0}, sent[REQUESTS] = {0};

    begin_both();
    EXPECT(vmi__device_close(0) == VMI_EBUSY && is_reset());
    EXPECT(pass_on(RECEIVE, 3, 1) == VMI_EINVAL && pass_on(SEND, 3, 1) == VMI_EINVAL);
    EXPECT(reap_all(SEND, sent, VMI_ECANCELED) == 3 && vmi__device_close(0) == VMI_EBUSY);
    EXPECT(reap_all(RECEIVE, received, VMI_ECANCELED) == 3);
    EXPECT(vmi__device_close(0) == VMI_OK && vmi__device_close(0) == VMI_EINVAL);
    EXPECT(open_it() == VMI_OK && !is_reset());
    EXPECT(pass_on(SEND, 0, 1) == 1 && reap_some(SEND, 1) == 0);
}

/* On an interrupt line: what nobody has looked at is said once. */
static void one_line_for_both_ways(void)
{
    const struct vmi__driver *driver;

    begin_both();
    driver = devices[0].driver;
    causes_read = 0;
    EXPECT(!driver->acknowledge(&devices[0]) && causes_read == 1);
    say_sound(SEND);
    say_sound(RECEIVE);
    EXPECT(driver->ask(&devices[0], SEND) && reap_some(RECEIVE, REQUESTS) == 1);
    EXPECT(!driver->ask(&devices[0], RECEIVE));
    EXPECT(driver->acknowledge(&devices[0]));  /* sent, and nobody has looked */
    EXPECT(!driver->acknowledge(&devices[0])); /* that has been said */
    EXPECT(reap_some(SEND, REQUESTS) == 1);
    say_sound(RECEIVE);
    EXPECT(reap_some(RECEIVE, REQUESTS) == 1 && !driver->acknowledge(&devices[0]));
    say_sound(RECEIVE);
    EXPECT(driver->acknowledge(&devices[0]) && causes_read == 5);
}

/* What ends while the last look is taken is not left for an event that does not come. */
static void asked_again(void)
{
    begin_both();
    EXPECT(!devices[0].driver->ask(&devices[0], RECEIVE));
    say_sound(RECEIVE);
    EXPECT(devices[0].driver->ask(&devices[0], RECEIVE));
    EXPECT(!devices[0].driver->ask(&devices[0], SEND));
}

#endif
