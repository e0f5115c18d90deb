/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "card.h"

#include "bytes.h"
#include "devices.h"
#include "memory.h"
#include "print.h"

#define QUEUE   0u
#define EVENTS  2u  /* received, sent */
#define BUFFERS 64u /* each way, at most */
#define BATCH   16u /* that are taken back at a time */

#define MTU_LEAST 576u /* what every network with IPv4 can do (RFC 791) */

static struct vmi_device_properties facts;
static uint32_t card; /* its number */
static uint32_t buffer_bytes;
static uint8_t *receiving, *sending;   /* the buffers of each way, one behind the other */
static uint32_t free_count;            /* of those to send from */
static uint32_t free_buffers[BUFFERS]; /* their numbers */

static struct vmi_segment segment_of(const uint8_t *buffers, uint32_t number, uint32_t size)
{
    return (struct vmi_segment){.address = memory_physical(buffers + number * buffer_bytes),
                                .length = size};
}

/* Has the card receive in a buffer. */
static void post(uint32_t number)
{
    const struct vmi_segment segment = segment_of(receiving, number, buffer_bytes);
    const struct vmi_net_buffer buffer = {.id = number, .segments = &segment, .count = 1};

    if (vmi_net_post(card, QUEUE, &buffer, 1) != 1)
        stop(VMI_STATUS_FAIL, "the network takes no buffer: it was shut off");
}

bool card_open(void)
{
    uint32_t buffers;

    if (!device_find(VMI_DEVICE_NETWORK, &card, &facts))
        return false;
    buffers = least(facts.requests, BUFFERS);
    /* A buffer is to take the longest packet that the network has. */
    buffer_bytes = facts.mtu + ETHERNET;
    if (facts.mtu < MTU_LEAST || buffer_bytes > facts.segment_bytes ||
        !device_open(card,
                     (struct vmi_device_setup){.queues = 1, .requests = buffers, .segments = 1},
                     EVENTS)) {
        say("%s: it cannot be opened", facts.name);
        return false;
    }
    receiving = memory_take(buffers * buffer_bytes, 1, 0);
    sending = memory_take(buffers * buffer_bytes, 1, 0);
    for (uint32_t i = 0; i < buffers; i++) {
        post(i);
        free_buffers[free_count++] = i;
    }
    say("%s: address %e", facts.name, facts.address);
    return true;
}

const uint8_t *card_address(void)
{
    return facts.address;
}

uint32_t card_payload(void)
{
    return least(facts.mtu, CARD_PAYLOAD);
}

uint32_t card_receive(uint8_t *frame)
{
    struct vmi_completion completion;
    uint32_t size = 0;

    while (!size && vmi_net_received(card, QUEUE, &completion, 1) == 1) {
        const uint32_t number = (uint32_t)completion.id;

        if (completion.status != VMI_OK)
            stop(VMI_STATUS_FAIL, "the network has failed");
        if (completion.length >= ETHERNET && completion.length <= CARD_FRAME) {
            size = completion.length;
            memcpy(frame, receiving + number * buffer_bytes, size);
        }
        post(number);
    }
    return size;
}

uint8_t *card_room(void)
{
    struct vmi_completion completions[BATCH];
    int32_t ended = free_count ? 0 : (int32_t)BATCH;

    while (ended == (int32_t)BATCH) {
        ended = vmi_net_sent(card, QUEUE, completions, BATCH);
        for (int32_t i = 0; i < ended; i++)
            free_buffers[free_count++] = (uint32_t)completions[i].id;
    }
    return free_count ? sending + free_buffers[free_count - 1] * buffer_bytes : 0;
}

void card_send(uint32_t size)
{
    const uint32_t number = free_buffers[free_count - 1];
    const struct vmi_segment segment = segment_of(sending, number, size);
    const struct vmi_net_buffer buffer = {.id = number, .segments = &segment, .count = 1};

    if (vmi_net_send(card, QUEUE, &buffer, 1) != 1)
        stop(VMI_STATUS_FAIL, "the network sends nothing: it was shut off");
    free_count--;
}
