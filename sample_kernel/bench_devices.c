/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Requests of a disk and packets of a network, for whoever counts from outside what each costs the
 * hypervisor. The CPU halts while it has nothing to do, and an event of the device's wakes it, as
 * in a kernel that has other work. Of many at once it looks for more for a while before it halts,
 * with interrupts masked: as long as some come, none needs an event.
 */
#undef VMI_COUNT_CALLS /* the counting would be part of the cost */
#include "bench_devices.h"

#include "first_device.h"
#include "frames.h"
#include "layout.h"
#include "packets.h"
#include "panic.h"
#include "patience.h"
#include "string.h"
#include "traps.h"
#include "x86.h"

#define DEPTH 32   /* reads at a time */
#define READ  4096 /* bytes */

#define BATCH 64 /* packets at a time */
#define BUFFERS                                                                                    \
    128          /* as many again as are under way, so that the device never runs out of them      \
                  */
#define BYTES 64 /* of a packet */

#define LOOKS  8000 /* before it halts: one is about a microsecond of a PC's */
#define PAUSES 8    /* between looks */

#define AGAIN_MILLISECONDS 100

uint64_t bench_rested;
static uint64_t resting; /* since then, in ticks; 0: it does not */

static void end_rest(uint64_t now)
{
    if (resting != 0)
        bench_rested += now - resting;
    resting = 0;
}

/*
 * Of a device's vector. Where an emulator takes an interrupt between STI and HLT, it does not go
 * back to the HLT, which might have nothing to wait for.
 */
static void wake(struct trap_frame *frame)
{
    end_rest(vmi_rdtsc());
    if (!trap_from_user(frame) && trap_before_halt(frame->ip))
        frame->ip++;
    first_device_note(frame);
}

/* Until an event that has not been seen. */
static void halt(uint32_t seen)
{
    while (first_device_events == seen) {
        vmi_disable_interrupts();
        if (first_device_events == seen)
            vmi_halt();
        else
            vmi_enable_interrupts();
    }
}

static bool looking;
static uint32_t looks; /* that are left */

static void look_anew(void)
{
    looks = LOOKS;
    if (looking)
        vmi_disable_interrupts();
}

/* Before so many are given at once. */
static void begin_waiting(uint32_t count)
{
    looking = count > 1;
    look_anew();
}

/* Events and ticks before the device was looked at. */
struct look {
    uint32_t events;
    uint64_t ticks;
};

static struct look begin_look(void)
{
    return (struct look){.events = first_device_events, .ticks = vmi_rdtsc()};
}

/* Looks at which nothing has come are a part of the rest. */
static void end_look(const struct look *look, bool came)
{
    if (came)
        end_rest(look->ticks);
    else if (resting == 0)
        resting = look->ticks;
}

/* Behind a look: if nothing has come, until there may be something. */
static void wait_on(const struct look *look, bool came)
{
    end_look(look, came);
    if (came) {
        looks = LOOKS;
    } else if (looking && looks != 0) {
        looks--;
        for (uint32_t i = 0; i < PAUSES; i++)
            __asm__ volatile("pause");
    } else {
        halt(look->events);
        look_anew();
    }
}

static void end_waiting(void)
{
    vmi_enable_interrupts();
}

/* Has the device open, with memory in it for so many frames. */
static void open(struct first_device *device, uint32_t *frames, uint32_t count, uint32_t vector)
{
    int32_t result;

    if (!first_device_find(device))
        panic("there is no %s", device->name);
    result = first_device_open(device);
    if (result != VMI_OK)
        panic("the %s does not open: %d", device->name, result);
    if (device->setup.requests < device->requests)
        panic("the %s takes %u requests only", device->name, device->setup.requests);
    for (uint32_t i = 0; i < count && frames[i] == FRAME_NONE; i++) {
        frames[i] = frame_allocate();
        if (frames[i] == FRAME_NONE)
            panic("no memory");
    }
    trap_handler_set((uint8_t)vector, wake);
}

static bool is_open(struct first_device *device)
{
    return first_device_find(device) && device->facts.flags & VMI_DEVICE_IS_OPEN;
}

/* The event of one of a device's queues, masked; a line's is that of all queues. */
static uint32_t bind(const struct first_device *device, uint32_t queue, uint32_t vector)
{
    int32_t event = vmi_event_bind(VMI_EVENT_DEVICE, device->number << 16 | queue, vector);

    if (event < 0)
        panic("the %s has no event: %d", device->name, event);
    return (uint32_t)event;
}

/* What has ended; one more than can, so that who reaps them all is told of the next one. */
static struct vmi_completion completions[BUFFERS + 1];

/* ---- disks ---- */

static struct first_device disk = {
    .kind = VMI_DEVICE_BLOCK,
    .name = "disk",
    .requests = DEPTH,
    .segments = 1,
};
static uint32_t read_into[DEPTH];

void bench_disk_prepare(void)
{
    bool was_open = is_open(&disk);

    open(&disk, read_into, DEPTH, VECTOR_DISK);
    if (was_open)
        return;
    if (disk.facts.blocks < DEPTH * READ / disk.facts.block_size)
        panic("the disk has %llu blocks only", (unsigned long long)disk.facts.blocks);
    if (vmi_event_unmask(bind(&disk, 0, VECTOR_DISK)) != VMI_OK)
        panic("the disk's event stays masked");
}

static void disk_rounds(uint32_t rounds, uint32_t depth)
{
    static struct vmi_block_request requests[DEPTH];
    static struct vmi_segment segments[DEPTH];
    uint32_t blocks = READ / disk.facts.block_size;
    uint64_t next = 0;

    for (uint32_t i = 0; i < depth; i++) {
        segments[i] =
            (struct vmi_segment){.address = (uint64_t)read_into[i] << PAGE_SHIFT, .length = READ};
        requests[i] = (struct vmi_block_request){
            .id = i,
            .segments = &segments[i],
            .count = 1,
            .operation = VMI_BLOCK_READ,
            .blocks = blocks,
        };
    }
    while (rounds-- != 0) {
        uint32_t ended = 0;

        for (uint32_t i = 0; i < depth; i++, next += blocks) {
            if (next + blocks > disk.facts.blocks)
                next = 0;
            requests[i].block = next;
        }
        begin_waiting(depth);
        if (vmi_block_submit(disk.number, 0, requests, depth) != (int32_t)depth)
            panic("the disk does not take %u requests", depth);
        while (ended < depth) {
            struct look look = begin_look();
            int32_t count = vmi_block_reap(disk.number, 0, completions, BUFFERS + 1);

            wait_on(&look, count != 0);
            for (int32_t i = 0; i < count; i++)
                if (completions[i].status != VMI_OK || completions[i].id >= depth)
                    panic("a read fails: %d", completions[i].status);
            if (count < 0)
                panic("the disk fails: %d", count);
            ended += (uint32_t)count;
        }
        end_waiting();
    }
}

void bench_disk_1(uint32_t rounds)
{
    disk_rounds(rounds, 1);
}

void bench_disk_32(uint32_t rounds)
{
    disk_rounds(rounds, DEPTH);
}

/* ---- networks ---- */

static struct first_device network = {
    .kind = VMI_DEVICE_NETWORK,
    .name = "network",
    .requests = BUFFERS,
    .segments = 1,
};
enum { RECEIVE, SEND, WAYS };
static uint32_t frames[WAYS * BUFFERS]; /* those to send come behind */
static struct packet_ends ends;
static uint32_t sending;        /* packets that have not been sent */
static uint32_t first[BUFFERS]; /* all buffers of a way, from 0 on */

static uint32_t frame(uint32_t way, uint32_t i)
{
    return frames[way * BUFFERS + i];
}

/* Gives buffers of a way. */
static void give(uint32_t way, const uint32_t *which, uint32_t count, uint32_t bytes)
{
    static struct vmi_segment segments[BUFFERS];
    static struct vmi_net_buffer buffers[BUFFERS];
    int32_t taken;

    for (uint32_t i = 0; i < count; i++) {
        segments[i] = (struct vmi_segment){
            .address = (uint64_t)frame(way, which[i]) << PAGE_SHIFT,
            .length = bytes,
        };
        buffers[i] = (struct vmi_net_buffer){.id = which[i], .segments = &segments[i], .count = 1};
    }
    taken = way == SEND ? vmi_net_send(network.number, 0, buffers, count)
                        : vmi_net_post(network.number, 0, buffers, count);
    if (taken != (int32_t)count)
        panic("the network does not take %u buffers", count);
    sending += way == SEND ? count : 0;
}

/* Buffers that have been received in, and how many bytes. */
static uint32_t which[BUFFERS], bytes[BUFFERS];

static uint32_t receive(void)
{
    int32_t count = vmi_net_received(network.number, 0, completions, BUFFERS + 1);

    if (count < 0)
        panic("the network fails: %d", count);
    for (int32_t i = 0; i < count; i++) {
        which[i] = (uint32_t)completions[i].id;
        bytes[i] = completions[i].length;
    }
    return (uint32_t)count;
}

/* False if nothing has been sent since. */
static bool reap_sent(void)
{
    int32_t count = vmi_net_sent(network.number, 0, completions, BUFFERS + 1);

    if (count < 0)
        panic("the network fails: %d", count);
    sending -= (uint32_t)count;
    return count != 0;
}

static uint32_t packet_room(void)
{
    return network.facts.mtu + ETHERNET;
}

/* Has all buffers receive, and finds the other side, which may come later. */
static void find_other(void)
{
    uint64_t now = vmi_clock_nanoseconds(), again = now;
    uint64_t end = now + PATIENCE_MILLISECONDS * 1000000ull;
    bool found = false;

    memcpy(ends.own, network.facts.address, sizeof(ends.own));
    for (uint32_t i = 0; i < BUFFERS; i++)
        first[i] = i;
    give(RECEIVE, first, BUFFERS, packet_room());
    for (; !found; now = vmi_clock_nanoseconds()) {
        if (now > end)
            panic("nobody answers for 10.0.2.2");
        if (now >= again) {
            packet_question(frame_address(frame(SEND, 0)), &ends);
            give(SEND, first, 1, QUESTION_BYTES);
            again = now + AGAIN_MILLISECONDS * 1000000ull;
        }
        uint32_t count = receive();
        for (uint32_t i = 0; i < count; i++)
            found |= packet_is_other(frame_address(frame(RECEIVE, which[i])), bytes[i], &ends);
        if (count != 0)
            give(RECEIVE, which, count, packet_room());
        reap_sent();
    }
}

static void prepare(void)
{
    bool was_open = is_open(&network);

    /* What both take together may be more than the other side can be lent. */
    if (is_open(&disk) && vmi_device_close(disk.number) != VMI_OK)
        panic("the disk does not close");
    open(&network, frames, WAYS * BUFFERS, VECTOR_NETWORK);
    if (!was_open) {
        if (vmi_event_unmask(bind(&network, RECEIVE, VECTOR_NETWORK)) != VMI_OK)
            panic("the network's event stays masked");
        find_other();
    }
    while (sending != 0)
        reap_sent();
}

/* Packets of a round of echoes. */
static void make_packets(uint32_t run, bool answered)
{
    for (uint32_t i = 0; i < BATCH; i++) {
        uint8_t *packet = frame_address(frame(SEND, i));

        packet_echo(packet, &ends, run, i, BYTES);
        if (!answered)
            packet_unanswered(packet, BYTES);
    }
}

void bench_send_prepare(void)
{
    prepare();
    make_packets(0, false);
}

static uint32_t run;

void bench_echo_prepare(void)
{
    prepare();
    make_packets(++run, true);
}

/* What is sent needs no event: it is looked for without a rest. */
static void send_rounds(uint32_t rounds, uint32_t batch)
{
    while (rounds-- != 0)
        for (uint32_t i = 0; i < BATCH; i += batch) {
            give(SEND, first + i, batch, BYTES);
            while (sending != 0) {
                struct look look = begin_look();

                end_look(&look, reap_sent());
            }
        }
}

void bench_send_1(uint32_t rounds)
{
    send_rounds(rounds, 1);
}

void bench_send_64(uint32_t rounds)
{
    send_rounds(rounds, BATCH);
}

/* Of so many received packets, how many are answers. */
static uint32_t answers(uint32_t count)
{
    uint32_t found = 0, number;

    for (uint32_t i = 0; i < count; i++)
        if (packet_is_answer(frame_address(frame(RECEIVE, which[i])), bytes[i], run, &number))
            found++;
    return found;
}

static void echo_rounds(uint32_t rounds, uint32_t batch)
{
    static uint32_t used[BUFFERS];

    while (rounds-- != 0) {
        uint32_t answered = 0, free = 0;

        while (sending > BUFFERS - batch)
            reap_sent();
        begin_waiting(batch);
        give(SEND, first, batch, BYTES);
        while (answered < batch) {
            struct look look = begin_look();
            uint32_t count = receive();

            wait_on(&look, count != 0);
            answered += answers(count);
            memcpy(used + free, which, count * sizeof(*which));
            free += count;
        }
        end_waiting();
        give(RECEIVE, used, free, packet_room());
    }
}

void bench_echo_1(uint32_t rounds)
{
    echo_rounds(rounds, 1);
}

void bench_echo_64(uint32_t rounds)
{
    echo_rounds(rounds, BATCH);
}
