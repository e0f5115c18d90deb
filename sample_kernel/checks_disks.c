/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The first disk, if there is one: what it says of itself, requests that are none, a pattern over
 * all of it with as many requests under way as it takes, closing with requests under way. A disk
 * that can be written to is: whoever gives this kernel one has nothing else on it. What is to be
 * there afterwards is known outside (`pattern`).
 */
#include <stddef.h>

#include "checks.h"
#include "first_device.h"
#include "frames.h"
#include "layout.h"
#include "lock.h"
#include "options.h"
#include "paging.h"
#include "patience.h"
#include "string.h"
#include "threads.h"
#include "timer.h"
#include "traps.h"
#include "x86.h"

#define REQUESTS_MAX 128
#define SEGMENTS     2
#define BUFFERS      128 /* pages; as many requests are under way */

static struct first_device disk = {
    .kind = VMI_DEVICE_BLOCK,
    .name = "disk",
    .requests = REQUESTS_MAX,
    .segments = SEGMENTS,
};
static uint32_t buffers[BUFFERS];

#define NEEDS_OPEN_DISK()                                                                          \
    do {                                                                                           \
        NEEDS_OPEN_DEVICE(&disk);                                                                  \
        EXPECT(have_buffers());                                                                    \
    } while (0)

/* ---- memory ---- */

static bool have_buffers(void)
{
    for (uint32_t i = 0; i < BUFFERS && buffers[BUFFERS - 1] == FRAME_NONE; i++)
        buffers[i] = frame_allocate();
    return buffers[BUFFERS - 1] != FRAME_NONE;
}

static void *buffer(uint32_t i)
{
    return frame_address(buffers[i]);
}

static uint64_t address(uint32_t i)
{
    return (uint64_t)buffers[i] << PAGE_SHIFT;
}

/* ---- requests ---- */

/* One request and its end; EAGAIN if none came, or another one's. */
static int32_t carry_out(uint32_t operation, uint64_t block, uint32_t blocks,
                         const struct vmi_segment *segments, uint32_t count)
{
    struct vmi_block_request request = {
        .id = 0x123456789abcdef0 ^ block,
        .block = block,
        .segments = segments,
        .count = count,
        .operation = operation,
        .blocks = blocks,
    };
    struct vmi_completion completion;
    struct patience patience;
    int32_t result = vmi_block_submit(disk.number, 0, &request, 1);

    if (result != 1)
        return result;
    patience_begin(&patience, PATIENCE_MILLISECONDS);
    do {
        result = vmi_block_reap(disk.number, 0, &completion, 1);
    } while (result == 0 && patience_left(&patience));
    return result != 1 || completion.id != request.id ? VMI_EAGAIN : completion.status;
}

static int32_t one(uint32_t operation, uint64_t block)
{
    const struct vmi_segment segment = {.address = address(0), .length = disk.facts.block_size};

    return carry_out(operation, block, 1, &segment, 1);
}

/* What belongs to a disk's block: its words are the number of the block and their own. */
static void pattern(uint32_t *words, uint64_t block)
{
    for (uint32_t i = 0; i < disk.facts.block_size / 4; i++)
        words[i] = (uint32_t)block * 0x9e3779b1u + i;
}

static bool is_pattern(const uint32_t *words, uint64_t block)
{
    for (uint32_t i = 0; i < disk.facts.block_size / 4; i++)
        if (words[i] != (uint32_t)block * 0x9e3779b1u + i)
            return false;
    return true;
}

/* ---- checks ---- */

static void told(void)
{
    struct vmi_device_memory needs;
    struct vmi_device_properties other;

    NEEDS_DEVICE(&disk);
    EXPECT(disk.facts.blocks > 0);
    EXPECT(disk.facts.block_size >= 512 &&
           (disk.facts.block_size & (disk.facts.block_size - 1)) == 0);
    EXPECT(disk.facts.queues > 0 && disk.facts.requests > 0 && disk.facts.segments > 0);
    EXPECT(disk.facts.request_blocks > 0 && disk.facts.segment_bytes >= disk.facts.block_size);
    EXPECT_EQUAL(disk.facts.fault, VMI_FAULT_NONE);
    EXPECT(disk.facts.name[0] != 0 && disk.facts.name[sizeof(disk.facts.name) - 1] == 0);
    EXPECT_EQUAL(vmi_device_info(UINT32_MAX, &other), VMI_ENOENT);
    const struct vmi_device_setup least = {.queues = 1, .requests = 1, .segments = 1};
    EXPECT_EQUAL(vmi_device_needs(disk.number, &least, &needs), VMI_OK);
    EXPECT(needs.size > 0 && needs.size % PAGE_SIZE == 0 && needs.alignment >= PAGE_SIZE);
    EXPECT(first_device_has_limits(&disk));
}

static void opened(void)
{
    struct vmi_block_request request = {.operation = VMI_BLOCK_FLUSH};
    struct vmi_completion completion;

    NEEDS_DEVICE(&disk);
    EXPECT_EQUAL(vmi_device_close(disk.number), VMI_EINVAL);
    EXPECT_EQUAL(vmi_block_submit(disk.number, 0, &request, 1), VMI_EINVAL);
    EXPECT_EQUAL(vmi_block_reap(disk.number, 0, &completion, 1), VMI_EINVAL);
    EXPECT_EQUAL(first_device_open(&disk), VMI_OK);
    disk.setup.memory += 1;
    EXPECT_EQUAL(vmi_device_open(disk.number, &disk.setup), VMI_EBUSY);
    EXPECT_EQUAL(vmi_device_close(disk.number), VMI_OK);
    EXPECT_EQUAL(vmi_device_open(disk.number, &disk.setup), VMI_EINVAL); /* not on a page */
    EXPECT(first_device_find(&disk));
    EXPECT_EQUAL(first_device_open(&disk), VMI_OK);
    EXPECT(first_device_find(&disk));
    EXPECT(disk.facts.flags & VMI_DEVICE_IS_OPEN);
}

static void refused(void)
{
    NEEDS_OPEN_DISK();
    const uint32_t size = disk.facts.block_size;
    const struct vmi_segment whole[3] = {{.address = address(0), .length = size},
                                         {.address = address(1), .length = size},
                                         {.address = address(2), .length = size}};
    const struct vmi_segment odd = {.address = address(0) + 4, .length = size};
    const struct vmi_segment shorter = {.address = address(0), .length = size - 4};
    const struct vmi_segment longer = {.address = address(0), .length = 2 * size};
    const struct vmi_segment empty[2] = {whole[0], {.address = address(1)}};
    const struct vmi_segment wraps = {.address = 0ull - size / 2, .length = size};
    const struct {
        const struct vmi_segment *segments;
        uint64_t block;
        uint32_t operation, blocks, count;
        int32_t result;
    } cases[] = {
        {whole, disk.facts.blocks, VMI_BLOCK_READ, 1, 1, VMI_EINVAL},
        {whole, disk.facts.blocks - 1, VMI_BLOCK_READ, 2, 2, VMI_EINVAL},
        {whole, UINT64_MAX, VMI_BLOCK_READ, 1, 1, VMI_EINVAL},
        {whole, 0, VMI_BLOCK_READ, 0, 1, VMI_EINVAL},
        {whole, 0, VMI_BLOCK_READ, 0, 0, VMI_EINVAL},
        {whole, 0, VMI_BLOCK_READ, 1, 0, VMI_EINVAL},
        {whole, 0, VMI_BLOCK_READ, 2, 1, VMI_EINVAL},
        {whole, 0, VMI_BLOCK_READ, 3, disk.setup.segments + 1, VMI_EINVAL},
        {whole, 0, VMI_BLOCK_READ, disk.facts.request_blocks + 1, 1, VMI_EINVAL},
        {&odd, 0, VMI_BLOCK_READ, 1, 1, VMI_EINVAL},
        {&shorter, 0, VMI_BLOCK_READ, 1, 1, VMI_EINVAL},
        {&longer, 0, VMI_BLOCK_READ, 1, 1, VMI_EINVAL},
        {empty, 0, VMI_BLOCK_READ, 1, 2, VMI_EINVAL},
        {&wraps, 0, VMI_BLOCK_READ, 1, 1, VMI_EINVAL},
        {whole, 1, VMI_BLOCK_FLUSH, 0, 0, VMI_EINVAL},
        {whole, 0, VMI_BLOCK_DISCARD + 1, 1, 1, VMI_EINVAL},
        {whole, 0, UINT32_MAX, 1, 1, VMI_EINVAL},
    };

    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int32_t result = carry_out(cases[i].operation, cases[i].block, cases[i].blocks,
                                   cases[i].segments, cases[i].count);
        if (result != cases[i].result) {
            ktap_fail("case %u: %d, not %d", i, result, cases[i].result);
            return;
        }
    }
    struct vmi_block_request two[2] = {
        {.id = 1, .segments = whole, .count = 1, .blocks = 1},
        {.id = 2, .segments = whole, .count = 1, .blocks = 1, .block = disk.facts.blocks},
    };
    struct vmi_completion completion;
    /* What stands before the first one that cannot be is taken. */
    EXPECT_EQUAL(vmi_block_submit(disk.number, 0, two, 2), 1);
    uint64_t end = vmi_clock_nanoseconds() + PATIENCE_MILLISECONDS * 1000000ull;
    while (vmi_block_reap(disk.number, 0, &completion, 1) == 0 && vmi_clock_nanoseconds() < end)
        ;
    EXPECT_EQUAL(completion.id, 1);
    EXPECT_EQUAL(completion.status, VMI_OK);
    EXPECT_EQUAL(vmi_block_submit(disk.number, disk.setup.queues, two, 1), VMI_EINVAL);
    EXPECT_EQUAL(vmi_block_submit(UINT32_MAX, 0, two, 1), VMI_ENOENT);
    EXPECT_EQUAL(vmi_block_submit(disk.number, 0, two, 0), 0);
}

static void read_only(void)
{
    NEEDS_OPEN_DISK();
    if (!(disk.facts.flags & VMI_DEVICE_IS_READ_ONLY)) {
        ktap_skip("this disk can be written to");
        return;
    }
    EXPECT_EQUAL(one(VMI_BLOCK_WRITE, 0), VMI_EROFS);
    EXPECT_EQUAL(carry_out(VMI_BLOCK_DISCARD, 0, 1, NULL, 0), VMI_EROFS);
    EXPECT_EQUAL(one(VMI_BLOCK_READ, 0), VMI_OK);
    EXPECT_EQUAL(one(VMI_BLOCK_READ, disk.facts.blocks - 1), VMI_OK);
}

/* ---- the whole disk ---- */

/*
 * Reads or writes the whole disk in requests of up to a page, a buffer each; waits by events if
 * `by_event`. The number of blocks that were right; *reason is what was not.
 */
static uint64_t whole_disk(uint32_t operation, bool by_event, const char **reason)
{
    uint32_t blocks = PAGE_SIZE / disk.facts.block_size, free = BUFFERS;
    struct vmi_completion completions[8];
    uint8_t free_buffers[BUFFERS];
    uint64_t next = 0, right = 0, first[BUFFERS];
    uint64_t end = vmi_clock_nanoseconds() + 10 * PATIENCE_MILLISECONDS * 1000000ull;
    uint32_t most = disk.setup.requests < BUFFERS ? disk.setup.requests : BUFFERS, under_way = 0;

    *reason = NULL;
    if (blocks > disk.facts.request_blocks)
        blocks = disk.facts.request_blocks;
    for (uint32_t i = 0; i < BUFFERS; i++)
        free_buffers[i] = (uint8_t)i;
    while (right < disk.facts.blocks && *reason == NULL) {
        while (free > BUFFERS - most && next < disk.facts.blocks) {
            uint32_t i = free_buffers[free - 1];
            uint32_t count =
                disk.facts.blocks - next < blocks ? (uint32_t)(disk.facts.blocks - next) : blocks;
            /* In two parts, where that can be. */
            uint32_t part = disk.setup.segments > 1 && count > 1 ? disk.facts.block_size : 0;
            struct vmi_segment segments[2] = {
                {.address = address(i), .length = part},
                {.address = address(i) + part, .length = count * disk.facts.block_size - part},
            };
            struct vmi_block_request request = {
                .id = next << 8 | i,
                .block = next,
                .segments = part ? segments : segments + 1,
                .count = part ? 2 : 1,
                .operation = operation,
                .blocks = count,
            };
            for (uint32_t block = 0; block < count; block++) {
                uint32_t *words = (uint32_t *)((char *)buffer(i) + block * disk.facts.block_size);
                if (operation == VMI_BLOCK_WRITE)
                    pattern(words, next + block);
                else
                    words[0] = ~(uint32_t)(next + block);
            }
            if (vmi_block_submit(disk.number, 0, &request, 1) != 1)
                break;
            first[i] = next;
            next += count;
            free--;
        }
        if (under_way < BUFFERS - free)
            under_way = BUFFERS - free;
        uint32_t seen = first_device_events;
        int32_t ended = vmi_block_reap(disk.number, 0, completions, 8);
        for (int32_t j = 0; j < ended && *reason == NULL; j++) {
            uint32_t i = completions[j].id & 0xff;
            uint64_t start = completions[j].id >> 8;
            uint32_t count =
                disk.facts.blocks - start < blocks ? (uint32_t)(disk.facts.blocks - start) : blocks;
            if (i >= BUFFERS || first[i] != start)
                *reason = "another request has ended";
            else if (completions[j].status != VMI_OK)
                *reason = "a request failed";
            for (uint32_t block = 0; block < count && *reason == NULL; block++)
                if (operation == VMI_BLOCK_READ &&
                    !is_pattern((uint32_t *)((char *)buffer(i) + block * disk.facts.block_size),
                                start + block))
                    *reason = "a block holds something else";
            if (*reason == NULL) {
                free_buffers[free++] = (uint8_t)i;
                first[i] = UINT64_MAX;
                right += count;
            }
        }
        if (ended < 0)
            *reason = "reaping failed";
        else if (vmi_clock_nanoseconds() > end)
            *reason = "it takes too long";
        else if (ended == 0 && by_event && right < disk.facts.blocks &&
                 !wait_for_count(&first_device_events, seen + 1, PATIENCE_MILLISECONDS))
            *reason = "no event came";
    }
    if (*reason == NULL && under_way < most && right > (uint64_t)most * blocks)
        *reason = "fewer requests were under way than the disk takes";
    return right;
}

#define EXPECT_WHOLE(operation, by_event)                                                          \
    do {                                                                                           \
        const char *reason_;                                                                       \
        uint64_t right_ = whole_disk(operation, by_event, &reason_);                               \
        if (reason_ != NULL) {                                                                     \
            ktap_fail("line %u: %s after %llu blocks", (unsigned)__LINE__, reason_,                \
                      (unsigned long long)right_);                                                 \
            return;                                                                                \
        }                                                                                          \
    } while (0)

static void whole(void)
{
    NEEDS_OPEN_DISK();
    if (disk.facts.flags & VMI_DEVICE_IS_READ_ONLY) {
        ktap_skip("this disk is read-only");
        return;
    }
    EXPECT_WHOLE(VMI_BLOCK_WRITE, false);
    EXPECT_EQUAL(carry_out(VMI_BLOCK_FLUSH, 0, 0, NULL, 0),
                 disk.facts.flags & VMI_DEVICE_IS_CACHED ? VMI_OK : VMI_ENOSYS);
    EXPECT_WHOLE(VMI_BLOCK_READ, false);
}

static uint32_t disk_event;

/* Keeps its own event back and lets it in, before it has ended. */
static void note_and_let_in(struct trap_frame *frame)
{
    vmi_event_mask(disk_event);
    vmi_event_unmask(disk_event);
    first_device_note(frame);
}

/* Interrupts come as before, also on a line, whose end the library must not have lost then. */
static void let_in_by_handler(void)
{
    char word[8];

    NEEDS_OPEN_DISK();
    NEEDS(EVENT_BIND);
    NEEDS(EVENT_MASK);
    if (!option_value(checks_boot_info->command_line, "handlers", word, sizeof(word))) {
        ktap_skip("it takes handlers=let_in");
        return;
    }
    trap_handler_set(VECTOR_DISK, note_and_let_in);
    int32_t event = vmi_event_bind(VMI_EVENT_DEVICE, disk.number << 16, VECTOR_DISK);
    EXPECT(event >= 0);
    disk_event = (uint32_t)event;
    EXPECT_EQUAL(vmi_event_unmask(disk_event), VMI_OK);
    EXPECT_WHOLE(VMI_BLOCK_READ, true);
    EXPECT_EQUAL(vmi_event_unbind(disk_event), VMI_OK);
}

static void by_event(void)
{
    struct vmi_completion completion;

    NEEDS_OPEN_DISK();
    NEEDS(EVENT_BIND);
    const uint32_t source = disk.number << 16;
    trap_handler_set(VECTOR_DISK, first_device_note);
    EXPECT_EQUAL(vmi_event_bind(VMI_EVENT_DEVICE, source | disk.setup.queues, VECTOR_DISK),
                 VMI_EINVAL);
    EXPECT_EQUAL(vmi_event_bind(VMI_EVENT_DEVICE, 0xffff0000, VECTOR_DISK), VMI_EINVAL);
    int32_t event = vmi_event_bind(VMI_EVENT_DEVICE, source, VECTOR_DISK);
    EXPECT(event >= 0);
    EXPECT_EQUAL(vmi_event_bind(VMI_EVENT_DEVICE, source, VECTOR_DISK), VMI_EBUSY);
    /* Kept back until it is let in, and then it comes. */
    const struct vmi_segment segment = {.address = address(0), .length = disk.facts.block_size};
    const struct vmi_block_request request = {
        .id = 7, .segments = &segment, .count = 1, .blocks = 1};
    first_device_events = 0;
    EXPECT_EQUAL(vmi_block_reap(disk.number, 0, &completion, 1), 0);
    EXPECT_EQUAL(vmi_block_submit(disk.number, 0, &request, 1), 1);
    spin_milliseconds(20);
    EXPECT_EQUAL(first_device_events, 0);
    EXPECT_EQUAL(vmi_event_unmask((uint32_t)event), VMI_OK);
    EXPECT(wait_for_count(&first_device_events, 1, PATIENCE_MILLISECONDS));
    /* A message that was kept back since an earlier request, which has been reaped, comes first. */
    uint32_t seen = first_device_events;
    int32_t reaped = vmi_block_reap(disk.number, 0, &completion, 1);
    if (reaped == 0 && wait_for_count(&first_device_events, seen + 1, PATIENCE_MILLISECONDS))
        reaped = vmi_block_reap(disk.number, 0, &completion, 1);
    EXPECT_EQUAL(reaped, 1);
    EXPECT_EQUAL(completion.id, 7);
    EXPECT_EQUAL(completion.status, VMI_OK);
    EXPECT_EQUAL(vmi_event_mask((uint32_t)event), VMI_OK);
    EXPECT_EQUAL(vmi_event_unmask((uint32_t)event), VMI_OK);
    if (!(disk.facts.flags & VMI_DEVICE_IS_READ_ONLY)) {
        EXPECT_WHOLE(VMI_BLOCK_WRITE, true);
        EXPECT_WHOLE(VMI_BLOCK_READ, true);
        EXPECT_EQUAL(carry_out(VMI_BLOCK_FLUSH, 0, 0, NULL, 0),
                     disk.facts.flags & VMI_DEVICE_IS_CACHED ? VMI_OK : VMI_ENOSYS);
    }
    EXPECT_EQUAL(vmi_event_unbind((uint32_t)event), VMI_OK);
    EXPECT_EQUAL(vmi_event_unmask((uint32_t)event), VMI_EINVAL);
}

/* Requests that are under way end once: by the disk or by closing it. */
static void closed(void)
{
    static struct vmi_block_request requests[BUFFERS];
    static struct vmi_segment segments[BUFFERS];
    struct vmi_completion completions[5];
    static uint8_t times[BUFFERS];

    NEEDS_OPEN_DISK();
    memset(times, 0, sizeof(times));
    for (uint32_t i = 0; i < BUFFERS; i++) {
        segments[i] = (struct vmi_segment){.address = address(i), .length = disk.facts.block_size};
        requests[i] = (struct vmi_block_request){.id = i,
                                                 .segments = &segments[i],
                                                 .count = 1,
                                                 .operation = VMI_BLOCK_READ,
                                                 .blocks = 1};
    }
    int32_t given = vmi_block_submit(disk.number, 0, requests, BUFFERS);
    EXPECT(given > 0);
    int32_t result = vmi_device_close(disk.number), reaped = 0;
    EXPECT_EQUAL(result, VMI_EBUSY);
    EXPECT_EQUAL(vmi_block_submit(disk.number, 0, requests, 1), VMI_EINVAL);
    for (int32_t i = 0, count; i <= given; i++, reaped += count) {
        count = vmi_block_reap(disk.number, 0, completions, 5);
        EXPECT(count >= 0);
        for (int32_t j = 0; j < count; j++) {
            EXPECT(completions[j].id < BUFFERS);
            EXPECT(completions[j].status == VMI_OK || completions[j].status == VMI_ECANCELED);
            times[completions[j].id]++;
        }
    }
    EXPECT_EQUAL(reaped, given);
    for (int32_t i = 0; i < given; i++)
        EXPECT_EQUAL(times[i], 1);
    EXPECT_EQUAL(vmi_device_close(disk.number), VMI_OK);
    EXPECT_EQUAL(vmi_device_close(disk.number), VMI_EINVAL);
    EXPECT(first_device_find(&disk));
    EXPECT_EQUAL(disk.facts.flags & VMI_DEVICE_IS_OPEN, 0);
    EXPECT_EQUAL(disk.facts.fault, VMI_FAULT_NONE);
    /* It comes up again as at first. */
    EXPECT_EQUAL(first_device_open(&disk), VMI_OK);
    EXPECT_EQUAL(one(VMI_BLOCK_READ, 0), VMI_OK);
    EXPECT_EQUAL(vmi_device_close(disk.number), VMI_OK);
    /* Nobody has the memory then. */
    uint32_t before = frames_free(), back = BUFFERS + first_device_give_back(&disk);
    for (uint32_t i = 0; i < BUFFERS; i++)
        frame_release(buffers[i]);
    memset(buffers, 0, sizeof(buffers));
    EXPECT_EQUAL(frames_free(), before + back);
}

/* ---- while something else happens ---- */

const char *disk_goes_on(uint32_t round)
{
    if (call_unsupported(VMI_ORDINAL_DEVICE_INFO) || !first_device_find(&disk))
        return NULL;
    if (first_device_open(&disk) != VMI_OK || !have_buffers())
        return "the disk is not opened";
    const uint64_t block = round < disk.facts.blocks ? round : 0;
    if (disk.facts.flags & VMI_DEVICE_IS_READ_ONLY)
        return one(VMI_BLOCK_READ, block) == VMI_OK ? NULL : "a block was not read";
    uint32_t *words = buffer(0);
    pattern(words, block);
    if (one(VMI_BLOCK_WRITE, block) != VMI_OK)
        return "a block was not written";
    memset(words, 0, disk.facts.block_size);
    if (one(VMI_BLOCK_READ, block) != VMI_OK)
        return "a block was not read";
    return is_pattern(words, block) ? NULL : "a block holds something else";
}

/* ---- over a suspend ---- */

#define UNDER_WAY 32

static struct {
    int32_t given;
    uint32_t events; /* that had come when they were given */
    bool bound;
} under_way;

const char *disk_is_busy(void)
{
    static struct vmi_block_request requests[UNDER_WAY];
    static struct vmi_segment segments[UNDER_WAY];

    under_way.given = 0;
    if (call_unsupported(VMI_ORDINAL_DEVICE_INFO) || !first_device_find(&disk) ||
        disk.facts.flags & VMI_DEVICE_IS_READ_ONLY || disk.facts.blocks < UNDER_WAY)
        return NULL;
    if (first_device_open(&disk) != VMI_OK || !have_buffers())
        return "the disk is not opened";
    if (!under_way.bound) {
        trap_handler_set(VECTOR_DISK, first_device_note);
        int32_t event = vmi_event_bind(VMI_EVENT_DEVICE, disk.number << 16, VECTOR_DISK);
        if (event < 0 || vmi_event_unmask((uint32_t)event) != VMI_OK)
            return "the disk's event is not bound";
        under_way.bound = true;
    }
    for (uint32_t i = 0; i < UNDER_WAY; i++) {
        bool writes = i % 2 == 0;
        uint32_t *words = buffer(i);

        memset(words, 0, disk.facts.block_size);
        segments[i] = (struct vmi_segment){.address = address(i), .length = disk.facts.block_size};
        requests[i] =
            (struct vmi_block_request){.id = i,
                                       .block = i,
                                       .segments = &segments[i],
                                       .count = 1,
                                       .operation = writes ? VMI_BLOCK_WRITE : VMI_BLOCK_READ,
                                       .blocks = 1};
        if (writes)
            pattern(words, i);
        else {
            pattern(buffer(0), i);
            if (one(VMI_BLOCK_WRITE, i) != VMI_OK)
                return "a block was not written";
        }
    }
    pattern(buffer(0), 0);
    under_way.events = first_device_events;
    under_way.given = vmi_block_submit(disk.number, 0, requests, UNDER_WAY);
    return under_way.given > 0 ? NULL : "the disk takes nothing";
}

const char *disk_was_busy(uint32_t *ended)
{
    struct vmi_completion completions[8];
    uint8_t times[UNDER_WAY] = {0};
    uint32_t seen = under_way.events;

    *ended = 0;
    while (*ended < (uint32_t)under_way.given) {
        if (!wait_for_count(&first_device_events, seen + 1, PATIENCE_MILLISECONDS))
            return "no event came";
        seen = first_device_events;
        for (int32_t count = 8; count == 8;) {
            count = vmi_block_reap(disk.number, 0, completions, 8);
            if (count < 0)
                return "reaping failed";
            for (int32_t i = 0; i < count; i++) {
                uint64_t id = completions[i].id;

                if (id >= (uint32_t)under_way.given || times[id]++)
                    return "a request has ended twice, or was not given";
                if (completions[i].status != VMI_OK)
                    return "a request failed";
                if (id % 2 && !is_pattern(buffer((uint32_t)id), id))
                    return "a block holds something else";
            }
            *ended += (uint32_t)count;
        }
    }
    for (uint32_t i = 0; i < (uint32_t)under_way.given; i += 2)
        if (one(VMI_BLOCK_READ, i) != VMI_OK || !is_pattern(buffer(0), i))
            return "a block was not written";
    return NULL;
}

/* ---- large requests ---- */

#define KEPT_PAGES  2
#define LARGE_PAGES 33 /* of memory: 128 KiB, and where it begins */

/*
 * Reads or writes from block 0 on in one request of so many bytes, in as many pieces of the memory
 * as a disk that is open that way takes; VMI_OK or what came of it.
 */
static int32_t in_pieces(const struct first_device *large, uint32_t operation, uint64_t memory,
                         uint32_t bytes)
{
    const uint32_t size = large->facts.block_size, most = large->setup.segments;
    uint32_t piece = ((bytes / size + most - 1) / most) * size, count = 0;
    struct vmi_segment segments[16];

    for (uint32_t at = 0; at < bytes; at += piece)
        segments[count++] =
            (struct vmi_segment){.address = memory + at, .length = least(piece, bytes - at)};
    return carry_out(operation, 0, bytes / size, segments, count);
}

/* Requests of all sizes up to the largest, in pieces that begin off a page. */
static void large(void)
{
    static struct first_device opened_large = {
        .kind = VMI_DEVICE_BLOCK, .name = "disk", .requests = 4, .segments = 16};
    const struct vmi_device_properties *facts = &opened_large.facts;

    NEEDS_DEVICE(&disk);
    NEEDS_OPEN_DEVICE(&opened_large);
    const uint32_t size = facts->block_size, run = frame_allocate_run(LARGE_PAGES);
    const uint32_t offset = size < PAGE_SIZE ? size : 0;
    const uint32_t room = (LARGE_PAGES - 1) * PAGE_SIZE;
    const uint32_t pieces = opened_large.setup.segments * least(facts->segment_bytes, room);
    uint32_t most = least(facts->request_blocks, least(pieces, room) / size);

    EXPECT(run != FRAME_NONE);
    most = most < facts->blocks ? most : (uint32_t)facts->blocks;
    for (uint32_t blocks = most; blocks > 0; blocks /= 2) {
        const uint64_t memory = ((uint64_t)run << PAGE_SHIFT) + offset;
        char *words = (char *)frame_address(run) + offset;

        for (uint32_t i = 0; i < blocks; i++)
            pattern((uint32_t *)(words + i * size), i);
        if (!(facts->flags & VMI_DEVICE_IS_READ_ONLY)) {
            EXPECT_EQUAL(in_pieces(&opened_large, VMI_BLOCK_WRITE, memory, blocks * size), VMI_OK);
            memset(words, 0, blocks * size);
        }
        EXPECT_EQUAL(in_pieces(&opened_large, VMI_BLOCK_READ, memory, blocks * size), VMI_OK);
        for (uint32_t i = 0; i < blocks; i++)
            EXPECT(facts->flags & VMI_DEVICE_IS_READ_ONLY ||
                   is_pattern((uint32_t *)(words + i * size), i));
    }
    EXPECT_EQUAL(vmi_device_close(opened_large.number), VMI_OK);
    first_device_give_back(&opened_large);
    frame_release_run(run, LARGE_PAGES);
}

/* Frames that are left to the disk, and used again and again; requests name no others then. */
static void kept(void)
{
    static struct first_device with_frames = {
        .kind = VMI_DEVICE_BLOCK, .name = "disk", .requests = 4, .segments = 2};

    NEEDS_DEVICE(&disk);
    NEEDS_DEVICE(&with_frames);
    const uint32_t size = disk.facts.block_size, number = disk.number;
    const uint32_t run = frame_allocate_run(KEPT_PAGES), blocks = KEPT_PAGES * PAGE_SIZE / size;
    const struct vmi_segment before = {.address = ((uint64_t)run << PAGE_SHIFT) - size,
                                       .length = size};
    const struct vmi_segment behind = {.address = (uint64_t)(run + KEPT_PAGES) << PAGE_SHIFT,
                                       .length = size};

    EXPECT(run != FRAME_NONE && disk.facts.blocks >= blocks);
    EXPECT_EQUAL(vmi_device_release(number), VMI_EINVAL);
    EXPECT_EQUAL(vmi_device_keep(number, run, 0), VMI_EINVAL);
    EXPECT_EQUAL(vmi_device_keep(number, run, UINT32_MAX), VMI_EINVAL);
    EXPECT_EQUAL(vmi_device_keep(number, run, KEPT_PAGES), VMI_OK);
    EXPECT_EQUAL(vmi_device_keep(number, run, KEPT_PAGES), VMI_EBUSY);
    EXPECT_EQUAL(first_device_open(&with_frames), VMI_OK);
    EXPECT_EQUAL(vmi_device_keep(number, run, KEPT_PAGES), VMI_EBUSY);
    EXPECT_EQUAL(vmi_device_release(number), VMI_EBUSY);
    EXPECT_EQUAL(carry_out(VMI_BLOCK_READ, 0, 1, &before, 1), VMI_EINVAL);
    EXPECT_EQUAL(carry_out(VMI_BLOCK_READ, 0, 1, &behind, 1), VMI_EINVAL);
    for (uint32_t i = 0; i < 3 * blocks; i++) {
        const uint64_t block = i % blocks;
        char *words = (char *)frame_address(run) + block * size;
        const struct vmi_segment segment = {.address = ((uint64_t)run << PAGE_SHIFT) + block * size,
                                            .length = size};

        pattern((uint32_t *)words, block);
        if (!(disk.facts.flags & VMI_DEVICE_IS_READ_ONLY)) {
            EXPECT_EQUAL(carry_out(VMI_BLOCK_WRITE, block, 1, &segment, 1), VMI_OK);
            memset(words, 0, size);
        }
        EXPECT_EQUAL(carry_out(VMI_BLOCK_READ, block, 1, &segment, 1), VMI_OK);
        EXPECT(disk.facts.flags & VMI_DEVICE_IS_READ_ONLY || is_pattern((uint32_t *)words, block));
    }
    EXPECT_EQUAL(vmi_device_close(number), VMI_OK);
    EXPECT_EQUAL(vmi_device_release(number), VMI_OK);
    EXPECT_EQUAL(vmi_device_release(number), VMI_EINVAL);
    first_device_give_back(&with_frames);
    frame_release_run(run, KEPT_PAGES);
}

const struct check checks_disks[] = {
    {"disks.told", told},
    {"disks.opened", opened},
    {"disks.refused", refused},
    {"disks.read_only", read_only},
    {"disks.whole", whole},
    {"disks.by_event", by_event},
    {"disks.let_in_by_handler", let_in_by_handler},
    {"disks.closed", closed},
    {"disks.large", large},
    {"disks.kept", kept},
    {NULL, NULL},
};
