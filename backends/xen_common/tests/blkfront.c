/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Disks of Xen's as a Linux process: this file is the back end, which lies.
 */
static const char folder_of_devices[] = "device/vbd";
#define OWN "device/vbd/51712"
static void connected(void);
#include "split.h"

#include <xen/io/blkif.h>

extern const struct vmi__driver vmi__driver_blkfront;
const struct vmi__driver *const vmi__drivers[] = {&vmi__driver_blkfront, 0};

#define BLOCKS   1000u
#define SECTOR   512u
#define REQUESTS 8u
#define SEGMENTS 4u
#define SEEDS    1000u
#define ENTRIES  32u /* of a ring of one page */

/* A request's frames, at most: with SEGMENTS segments, and the most that one names itself. */
#define FRAMES_OF_REQUEST 11u

static uint8_t buffer[0x22000] __attribute__((aligned(4096)));

#include "devices/played_disk.h"

/* ---- the back end ---- */

static struct vmi__xen_common_ring_head *head;
static uint32_t answered; /* responses given */
static uint32_t rings;    /* how often it was given a ring */
static uint32_t entries;  /* of the ring */
static bool offers;       /* larger rings and requests, from the beginning */

static void tell(const char *name, const char *value)
{
    char path[VMI__XEN_COMMON_PATH_MAX] = OTHER;

    memcpy(path + sizeof(OTHER) - 1, name, length(name) + 1);
    if (!node_at(path)->value[0])
        write_node(path, value);
}

/* Its ring: one page by the node that all know, more by theirs, next to each other. */
static struct vmi__xen_common_ring_head *ring(void)
{
    char path[] = OWN "/ring-ref0";
    uint32_t order = number_of(OWN "/ring-page-order");
    char *first = page_of(number_of(path));

    EXPECT(order <= 2 && lent() >= 1u << order);
    for (uint32_t i = 1; i < 1u << order; i++) {
        path[sizeof(path) - 2] = (char)('0' + i);
        EXPECT(page_of(number_of(path)) == first + i * 0x1000);
    }
    if (!order)
        EXPECT(page_of(number_of(OWN "/ring-ref")) == first);
    entries = ENTRIES << order;
    return (void *)first;
}

static void connected(void)
{
    EXPECT(
        same(node_at(OWN "/protocol")->value, sizeof(void *) == 8 ? "x86_64-abi" : "x86_32-abi"));
    EXPECT(channels & 1u << number_of(OWN "/event-channel"));
    head = ring();
    EXPECT(head && !head->requested && head->request_event == 1 && head->response_event == 1);
    answered = 0;
    rings++;
    /* All that it tells of the disk before it tells its state, unless a check has told it. */
    tell("/sectors", "1000");
    tell("/sector-size", "512");
    tell("/info", "0");
    tell("/feature-flush-cache", "1");
}

static void *entry(uint32_t index)
{
    return (char *)(head + 1) + index % entries * sizeof(union blkif_sring_entry);
}

/* The request that was given as that one, from 0. */
static struct blkif_request *given(uint32_t number)
{
    return entry(number);
}

/* Answers, without looking at what was asked. */
static void say(uint64_t id, int16_t status)
{
    struct blkif_response *response = entry(answered);

    response->id = id;
    response->operation = 0;
    response->status = status;
    head->responded = ++answered;
}

/* A sound disk that nobody has looked at. */
static void plug(void)
{
    static const char named[] = "51712\0";

    plug_split(named);
    write_node(OWN "/virtual-device", "51712");
    rings = 0;
    if (offers) {
        write_node(OTHER "/max-ring-page-order", "4");
        write_node(OTHER "/feature-max-indirect-segments", "256");
    }
}

/* ---- checks ---- */

/* It has the ring until it is closed, and pages of names. */
static bool is_reset(void)
{
    return devices[0].state == VMI__DEVICE_CLOSED ? all_is_given_back()
                                                  : lent() == 1 + (offers ? REQUESTS : 0);
}

static void what_is_said_of_it(void)
{
    static const char name[] = "xenbus device/vbd/51712 blkfront";
    struct vmi_device_properties info;

    plug();
    write_node(OTHER "/feature-discard", "1");
    info = look();
    for (uint32_t i = 0; i < sizeof(name); i++)
        EXPECT(info.name[i] == (uint8_t)name[i]);
    EXPECT(info.kind == VMI_DEVICE_BLOCK && info.flags == VMI_DEVICE_IS_CACHED);
    EXPECT(info.blocks == BLOCKS && info.block_size == SECTOR && info.requests == ENTRIES);
    EXPECT(info.queues == 1 && info.segments == SEGMENTS && info.segment_bytes == 0x4000);
    EXPECT(info.request_blocks == 32 && info.discard_blocks);
    /* It had a ring of the library's meanwhile, and has none any more. */
    EXPECT(rings == 1 && all_is_given_back() && number_of(OWN "/state") == XenbusStateClosed);
    EXPECT(open_it() == VMI_OK && rings == 2 && number_of(OWN "/state") == XenbusStateConnected);
    EXPECT(vmi__device_close(0) == VMI_OK && all_is_given_back() && unbound == 1);
    EXPECT(open_it() == VMI_OK && rings == 3);
}

/* On the ring all is in sectors of 512 bytes, whatever a block is. */
static void large_blocks(void)
{
    const struct vmi_segment segment = {.address = (uintptr_t)buffer, .length = 0x2000};

    plug();
    write_node(OTHER "/sector-size", "4096");
    write_node(OTHER "/info", "4");
    EXPECT(look().block_size == 0x1000 && look().blocks == BLOCKS / 8);
    EXPECT(look().request_blocks == 4 && look().flags & VMI_DEVICE_IS_READ_ONLY);
    EXPECT(open_it() == VMI_OK && one_of(VMI_BLOCK_READ, 3, 2, 1, &segment) == 1);
    EXPECT(given(0)->sector_number == 24 && given(0)->nr_segments == 2);
    EXPECT(one_of(VMI_BLOCK_WRITE, 3, 2, 1, &segment) == VMI_EROFS);
}

static void each_ends_once_in_any_order(void)
{
    uint8_t seen[REQUESTS] = {0};

    begin();
    EXPECT(submit(0, REQUESTS) == (int32_t)REQUESTS && head->requested == REQUESTS);
    EXPECT(submit(0, 1) == 0 && lent() == 1 + REQUESTS);
    for (uint32_t i = 0; i < REQUESTS; i++)
        say(REQUESTS - 1 - i, BLKIF_RSP_OKAY);
    EXPECT(reap_all(seen, VMI_OK) == REQUESTS);
    EXPECT(done[0].length == SECTOR && lent() == 1);
    EXPECT(reap_all(seen, VMI_OK) == 0);
    EXPECT(submit(0, REQUESTS) == (int32_t)REQUESTS && head->requested == 2 * REQUESTS);
}

static void failures_are_the_requests(void)
{
    begin();
    EXPECT(submit(0, 2) == 2);
    say(given(0)->id, BLKIF_RSP_ERROR);
    say(given(1)->id, BLKIF_RSP_EOPNOTSUPP);
    EXPECT(vmi__block_reap(0, 0, done, 2) == 2);
    EXPECT(done[0].status == VMI_EIO && done[1].status == VMI_ENOSYS && !done[0].length);
    EXPECT(look().fault == VMI_FAULT_NONE && lent() == 1);
}

static void say_second(void)
{
    say(given(1)->id, BLKIF_RSP_OKAY);
}

static void ended_twice(void)
{
    second_ends_twice(say_second);
}

static void never_given(void)
{
    static const uint64_t slots[] = {REQUESTS - 1, REQUESTS,   0x10000,
                                     0xffffffff,   1ull << 32, 0xffffffffffffffff};

    for (uint32_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        uint8_t seen[REQUESTS] = {0};

        begin();
        EXPECT(submit(0, 2) == 2);
        say(slots[i], BLKIF_RSP_OKAY);
        is_shut_off(VMI_FAULT_IDENTIFIER, seen, 2);
    }
}

static void more_than_was_given(void)
{
    static const uint32_t ahead[] = {3, 8, ENTRIES, 0x7fffffff, 0x80000000, 0xffffffff};

    for (uint32_t i = 0; i < sizeof(ahead) / sizeof(ahead[0]); i++) {
        uint8_t seen[REQUESTS] = {0};

        begin();
        EXPECT(submit(0, 2) == 2);
        head->responded = ahead[i];
        is_shut_off(VMI_FAULT_COUNT, seen, 2);
    }
}

static void unknown_status(void)
{
    static const int16_t words[] = {1, -3, 0x7fff, -0x8000};

    for (uint32_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        uint8_t seen[REQUESTS] = {0};

        begin();
        EXPECT(submit(0, 2) == 2);
        say(given(0)->id, words[i]);
        is_shut_off(VMI_FAULT_STATUS, seen, 2);
    }
}

static grant_ref_t held;

/* The other side lets go of what it holds. */
static void let_go(void)
{
    table[held].flags &= (uint16_t) ~(GTF_reading | GTF_writing);
}

/* A frame that it has mapped when it says that the request has ended. */
static void keeps_a_frame(void)
{
    uint8_t seen[REQUESTS] = {0};

    begin();
    EXPECT(submit(0, 2) == 2);
    held = given(0)->seg[0].gref;
    table[held].flags |= GTF_writing;
    say(given(0)->id, BLKIF_RSP_OKAY);
    EXPECT(reap_all(seen, VMI_EIO) == 2 && look().fault == VMI_FAULT_HELD);
    EXPECT(lent() == 2); /* the ring and that frame */
    EXPECT(vmi__device_close(0) == VMI_EBUSY && vmi__device_close(0) == VMI_EBUSY);
    EXPECT(open_it() == VMI_EBUSY);
    let_go();
    EXPECT(vmi__device_close(0) == VMI_OK && all_is_given_back());
    EXPECT(open_it() == VMI_OK && look().fault == VMI_FAULT_NONE);
}

/* The page of its ring. */
static void keeps_the_ring(void)
{
    begin();
    held = number_of(OWN "/ring-ref");
    table[held].flags |= GTF_reading | GTF_writing;
    EXPECT(vmi__device_close(0) == VMI_EBUSY && open_it() == VMI_EBUSY);
    EXPECT(look().flags & VMI_DEVICE_IS_OPEN);
    let_go();
    EXPECT(vmi__device_close(0) == VMI_OK && all_is_given_back());
}

/* Ends what is under way. */
static void end_all(void)
{
    while (answered != head->requested)
        say(given(answered)->id, BLKIF_RSP_OKAY);
}

static void closed_with_requests_in_flight(void)
{
    uint8_t seen[REQUESTS] = {0};

    begin();
    EXPECT(submit(0, 3) == 3);
    meanwhile = end_all; /* it is given time for that */
    waited = 0;
    EXPECT(vmi__device_close(0) == VMI_EBUSY && answered == 3 && waited == 1 && lent() == 1);
    EXPECT(submit(3, 1) == VMI_EINVAL);
    EXPECT(reap_all(seen, VMI_ECANCELED) == 3);
    EXPECT(vmi__device_close(0) == VMI_OK && vmi__device_close(0) == VMI_EINVAL);
    EXPECT(all_is_given_back());
    /* One that does nothing is not waited for without end. */
    meanwhile = 0;
    memset(seen, 0, sizeof(seen));
    EXPECT(open_it() == VMI_OK && submit(0, 3) == 3);
    parts = false;
    EXPECT(vmi__device_close(0) == VMI_EBUSY && !locks);
    EXPECT(reap_all(seen, VMI_ECANCELED) == 3 && vmi__device_close(0) == VMI_OK);
    EXPECT(all_is_given_back());
}

/* By one that does not come nothing is open, and nothing is left behind. */
static void does_not_come_up(void)
{
    static const uint32_t states[] = {0, XenbusStateInitialising, XenbusStateInitWait};
    struct vmi_device_properties info;

    for (uint32_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        plug();
        look();
        reached = states[i];
        EXPECT(open_it() == VMI_EIO && submit(0, 1) == VMI_EINVAL && !locks);
        EXPECT(all_is_given_back());
        reached = XenbusStateConnected;
        EXPECT(open_it() == VMI_OK);
        plug();
        reached = states[i];
        EXPECT(vmi__device_info(0, &info) == VMI_ENOENT && all_is_given_back());
    }
    plug();
    look();
    refused_channels = 1;
    EXPECT(open_it() == VMI_EIO && all_is_given_back() && open_it() == VMI_OK);
}

/* What a kernel was told of it has to stay so. */
static void another_disk_than_before(void)
{
    plug();
    look();
    devices[0].info.blocks++;
    EXPECT(open_it() == VMI_EIO && look().blocks == BLOCKS + 1 && all_is_given_back());
    plug();
    look();
    devices[0].info.flags |= VMI_DEVICE_IS_READ_ONLY;
    EXPECT(open_it() == VMI_EIO && look().flags & VMI_DEVICE_IS_READ_ONLY);
}

/* No references are left for it, since others have them, or one less than it needs. */
static void no_references(void)
{
    static grant_ref_t taken[VMI__XEN_COMMON_GRANTS];
    uint32_t found_free = 0;

    plug();
    look();
    while ((taken[found_free] = vmi__xen_common_grant_reserve()))
        found_free++;
    EXPECT(table_frames == most_frames);
    EXPECT(open_it() == VMI_ENOMEM && !channels && !lent());
    for (uint32_t i = 0; i < 1 + REQUESTS * FRAMES_OF_REQUEST - 1; i++)
        vmi__xen_common_grant_release(taken[--found_free]);
    EXPECT(open_it() == VMI_ENOMEM && !channels && !lent());
    EXPECT(!(look().flags & VMI_DEVICE_IS_OPEN) && !look().fault);
    vmi__xen_common_grant_release(taken[--found_free]);
    EXPECT(open_it() == VMI_OK && vmi__device_close(0) == VMI_OK);
    while (found_free)
        vmi__xen_common_grant_release(taken[--found_free]);
    EXPECT(all_is_given_back() && open_it() == VMI_OK);
}

static bool lends(grant_ref_t reference, const void *page, bool read_only)
{
    return page_of(reference) == page && !(table[reference].flags & GTF_readonly) == !read_only;
}

/* What the other side is told of a request: its frames in order, each with its sectors. */
static void what_a_request_becomes(void)
{
    const struct vmi_segment segments[] = {
        {.address = (uintptr_t)buffer + 0x200, .length = 2 * SECTOR},
        {.address = (uintptr_t)buffer + 0x1e00, .length = 0x1400},
    };
    const struct blkif_request_discard *discard;
    const struct blkif_request *request;

    plug();
    write_node(OTHER "/feature-discard", "1");
    look();
    EXPECT(open_it() == VMI_OK);
    for (uint32_t i = 0; i < 2; i++) {
        EXPECT(one_of(i ? VMI_BLOCK_WRITE : VMI_BLOCK_READ, 7, 12, 2, segments) == 1);
        request = given(i);
        EXPECT(request->operation == (i ? BLKIF_OP_WRITE : BLKIF_OP_READ));
        EXPECT(request->nr_segments == 4 && request->handle == 51712);
        EXPECT(request->sector_number == 7);
        EXPECT(request->seg[0].first_sect == 1 && request->seg[0].last_sect == 2);
        EXPECT(request->seg[1].first_sect == 7 && request->seg[1].last_sect == 7);
        EXPECT(request->seg[2].first_sect == 0 && request->seg[2].last_sect == 7);
        EXPECT(request->seg[3].first_sect == 0 && request->seg[3].last_sect == 0);
        EXPECT(lends(request->seg[0].gref, buffer, i));
        for (uint32_t j = 1; j < 4; j++)
            EXPECT(lends(request->seg[j].gref, buffer + j * 0x1000, i));
    }
    EXPECT(one_of(VMI_BLOCK_DISCARD, 5, 3, 0, 0) == 1);
    discard = (void *)given(2);
    EXPECT(discard->operation == BLKIF_OP_DISCARD && !discard->flag);
    EXPECT(discard->sector_number == 5 && discard->nr_sectors == 3);
    EXPECT(one_of(VMI_BLOCK_FLUSH, 0, 0, 0, 0) == 1);
    EXPECT(given(3)->operation == BLKIF_OP_FLUSH_DISKCACHE && !given(3)->nr_segments);
    end_all();
    EXPECT(vmi__block_reap(0, 0, done, 8) == 4 && lent() == 1);
    EXPECT(done[0].length == 12 * SECTOR && !done[1].length && !done[2].length);
    /* A page that is none is not lent. */
    no_frame = (uint32_t)((uintptr_t)buffer >> 12) + 2;
    EXPECT(one_of(VMI_BLOCK_READ, 7, 12, 2, segments) == 1);
    EXPECT(!page_of(given(4)->seg[2].gref) && page_of(given(4)->seg[1].gref) && lent() == 4);
    say(given(4)->id, BLKIF_RSP_ERROR);
    EXPECT(vmi__block_reap(0, 0, done, 1) == 1 && done[0].status == VMI_EIO && lent() == 1);
}

/* However its segments lie, a request of the largest size can be told. */
static void largest_request(void)
{
    struct vmi_segment segments[SEGMENTS];
    uint32_t most = 0;

    begin();
    for (uint32_t at = 0; at < 8; at++)
        for (uint32_t first = 1; first <= 29; first++) {
            uint32_t sizes[SEGMENTS] = {first, (32 - first) / 3, (32 - first) / 3, 0};

            if (!sizes[1])
                continue;
            sizes[3] = 32 - first - 2 * sizes[1];
            for (uint32_t i = 0; i < SEGMENTS; i++)
                segments[i] = (struct vmi_segment){.address = (uintptr_t)buffer + at * SECTOR,
                                                   .length = sizes[i] * SECTOR};
            EXPECT(one_of(VMI_BLOCK_READ, 0, 32, SEGMENTS, segments) == 1);
            if (given(answered)->nr_segments > most)
                most = given(answered)->nr_segments;
            say(given(answered)->id, BLKIF_RSP_OKAY);
            EXPECT(vmi__block_reap(0, 0, done, 1) == 1);
        }
    EXPECT(most > 7 && most <= BLKIF_MAX_SEGMENTS_PER_REQUEST);
}

/* ---- larger rings and requests ---- */

static int32_t open_sized(uint32_t requests, uint32_t segments)
{
    return open_with(
        (struct vmi_device_setup){.queues = 1, .requests = requests, .segments = segments});
}

/* As many requests as the ring has room for, of a ring that is as large as they need. */
static void rings_of_pages(void)
{
    static const struct {
        const char *order;
        uint32_t requests;
    } cases[] = {
        {"0", 32}, {"1", 64},  {"2", 128},  {"3", 128}, {"4", 128}, {"18446744073709551615", 128},
        {"", 32},  {"-1", 32}, {"two", 32}, {"2 ", 32},
    };

    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t most = cases[i].requests;

        plug();
        write_node(OTHER "/max-ring-page-order", cases[i].order);
        EXPECT(look().requests == most && rings == 1 && all_is_given_back());
        for (uint32_t requests = most; requests > ENTRIES / 2; requests /= 2) {
            EXPECT(open_sized(requests, 1) == VMI_OK &&
                   lent() == requests / ENTRIES + (requests < ENTRIES));
            EXPECT(1u << number_of(OWN "/ring-page-order") == (requests + 31) / ENTRIES);
            /* In several laps, each at its place. */
            for (uint32_t lap = 0; lap < 3 * most / requests + 2; lap++) {
                uint32_t at = answered;

                for (uint32_t j = 0; j < requests; j += REQUESTS)
                    EXPECT(submit(j, REQUESTS) == (int32_t)REQUESTS);
                EXPECT(submit(0, 1) == 0 && head->requested == at + requests);
                for (uint32_t j = 0; j < requests; j++)
                    EXPECT(given(at + j)->id < requests);
                for (uint32_t j = 0; j < requests; j += REQUESTS) {
                    for (uint32_t k = 0; k < REQUESTS; k++)
                        say(given(answered)->id, BLKIF_RSP_OKAY);
                    EXPECT(vmi__block_reap(0, 0, done, REQUESTS) == (int32_t)REQUESTS);
                    EXPECT(done[0].id == j && done[REQUESTS - 1].id == j + REQUESTS - 1);
                }
            }
            EXPECT(!look().fault && vmi__device_close(0) == VMI_OK && all_is_given_back());
        }
        EXPECT(open_sized(33 < most ? 33 : most, 1) == VMI_OK);
        EXPECT(number_of(OWN "/ring-page-order") == (most > 32 ? 1 : 0));
    }
}

/* What the other side takes decides how large a request may be. */
static void sizes_of_requests(void)
{
    static const struct {
        const char *frames;
        uint32_t segments, blocks;
    } cases[] = {
        {"0", 4, 32},     {"11", 4, 32},           {"14", 4, 32},   {"15", 4, 64},
        {"29", 4, 64},    {"30", 8, 128},          {"59", 8, 128},  {"60", 16, 256},
        {"256", 16, 256}, {"4294967296", 16, 256}, {"many", 4, 32}, {"-60", 4, 32},
    };

    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        plug();
        write_node(OTHER "/feature-max-indirect-segments", cases[i].frames);
        EXPECT(look().segments == cases[i].segments && look().request_blocks == cases[i].blocks);
        EXPECT(look().segment_bytes == 0x4000);
    }
}

/* The names of a request's frames, its own or those on its page. */
static const struct blkif_request_segment *names_of(uint32_t number, uint32_t *frames)
{
    const struct blkif_request_indirect *indirect = (void *)given(number);

    if (indirect->operation != BLKIF_OP_INDIRECT) {
        *frames = given(number)->nr_segments;
        EXPECT(*frames && *frames <= FRAMES_OF_REQUEST);
        return given(number)->seg;
    }
    *frames = indirect->nr_segments;
    EXPECT(*frames > FRAMES_OF_REQUEST && *frames <= 60);
    EXPECT(table[indirect->indirect_grefs[0]].flags & GTF_readonly);
    return page_of(indirect->indirect_grefs[0]);
}

/* Frames that a request cannot name itself are on a page: all of them, in order. */
static void pages_of_names(void)
{
    struct vmi_segment segments[16];
    const struct blkif_request_indirect *indirect;
    const struct blkif_request_segment *names;
    uint32_t direct = 0, frames;

    offers = true;
    plug();
    look();
    EXPECT(open_sized(REQUESTS, 16) == VMI_OK && lent() == 1 + REQUESTS);
    for (uint32_t count = 1; count <= 16; count++)
        for (uint32_t at = 0; at < 9; at += 4) {
            uint32_t number = answered, left = 0, sectors = 256 / count & ~7u;
            bool writes = count & 1;

            if (sectors > 32)
                sectors = 32;
            for (uint32_t i = 0; i < count; i++)
                segments[i] = (struct vmi_segment){
                    .address = (uintptr_t)buffer + i * (sectors + 1) * SECTOR + at * SECTOR,
                    .length = sectors * SECTOR,
                };
            EXPECT(one_of(writes ? VMI_BLOCK_WRITE : VMI_BLOCK_READ, 3, sectors * count, count,
                          segments) == 1);
            names = names_of(number, &frames);
            EXPECT(names && lent() == 1 + REQUESTS + frames);
            indirect = (void *)given(number);
            EXPECT(indirect->id < REQUESTS && indirect->sector_number == 3);
            if (indirect->operation == BLKIF_OP_INDIRECT) {
                EXPECT(indirect->indirect_op == (writes ? BLKIF_OP_WRITE : BLKIF_OP_READ));
                EXPECT(indirect->handle == 51712);
            } else {
                EXPECT(given(number)->operation == (writes ? BLKIF_OP_WRITE : BLKIF_OP_READ));
                EXPECT(given(number)->handle == 51712);
                direct++;
            }
            for (uint32_t i = 0; i < frames; i++) {
                uint8_t *page = page_of(names[i].gref);
                const struct vmi_segment *segment = segments;

                EXPECT(!(table[names[i].gref].flags & GTF_readonly) == !writes);
                for (uint32_t j = names[i].first_sect; j <= names[i].last_sect; j++, left++) {
                    segment = &segments[left / sectors];
                    EXPECT(page + j * SECTOR ==
                           (uint8_t *)(uintptr_t)segment->address + left % sectors * SECTOR);
                }
            }
            EXPECT(left == sectors * count);
            say(given(number)->id, BLKIF_RSP_OKAY);
            EXPECT(vmi__block_reap(0, 0, done, 1) == 1 && lent() == 1 + REQUESTS);
        }
    EXPECT(direct > 3 && direct < 24 && vmi__device_close(0) == VMI_OK && all_is_given_back());
    /* Where a setup allows no such requests there are no pages. */
    EXPECT(open_sized(REQUESTS, 2) == VMI_OK && lent() == 1);
    offers = false;
}

/* A page of names that it keeps, when all requests have ended. */
static void keeps_names(void)
{
    uint8_t seen[REQUESTS] = {0};
    struct vmi_segment segments[SEGMENTS];

    offers = true;
    begin();
    for (uint32_t i = 0; i < SEGMENTS; i++)
        segments[i] = (struct vmi_segment){.address = (uintptr_t)buffer + SECTOR, .length = 0x4000};
    EXPECT(one_of(VMI_BLOCK_READ, 0, 128, SEGMENTS, segments) == 1);
    held = ((struct blkif_request_indirect *)given(0))->indirect_grefs[0];
    table[held].flags |= GTF_reading;
    say(given(0)->id, BLKIF_RSP_OKAY);
    EXPECT(reap_all(seen, VMI_OK) == 1 && !look().fault);
    EXPECT(vmi__device_close(0) == VMI_EBUSY && open_it() == VMI_EBUSY);
    let_go();
    EXPECT(vmi__device_close(0) == VMI_OK && all_is_given_back() && open_it() == VMI_OK);
    offers = false;
}

/* Frames that are left to the disk are lent once, and the other side may keep them all the time. */
static void frames_stay_lent(void)
{
    const uint32_t frames = sizeof(buffer) / PAGE;
    struct vmi_segment segments[16];
    const struct blkif_request_segment *names;
    static grant_ref_t of_frame[sizeof(buffer) / PAGE];
    uint32_t named;

    offers = true;
    plug();
    look();
    EXPECT(vmi__device_leave_frames(0, (uintptr_t)buffer / PAGE, frames) == VMI_OK);
    EXPECT(open_sized(REQUESTS, 16) == VMI_OK && lent() == 1 + REQUESTS + frames);
    EXPECT(number_of(OWN "/feature-persistent") == 1);
    for (uint32_t lap = 0; lap < 2 * REQUESTS; lap++) {
        bool writes = lap & 1;

        for (uint32_t i = 0; i < 16; i++)
            segments[i] = (struct vmi_segment){
                .address = (uintptr_t)buffer + (i * 16 + lap % 16) * SECTOR, .length = 16 * SECTOR};
        EXPECT(one_of(writes ? VMI_BLOCK_WRITE : VMI_BLOCK_READ, 0, 256, 16, segments) == 1);
        names = names_of(lap, &named);
        for (uint32_t i = 0; i < named; i++) {
            uint32_t at = (uint32_t)((uint8_t *)page_of(names[i].gref) - buffer) / PAGE;
            uint32_t end = names[i].last_sect + 1u;

            EXPECT(at < frames && (!of_frame[at] || names[i].gref == of_frame[at]));
            of_frame[at] = names[i].gref;
            EXPECT(end > names[i].first_sect && end <= 8);
            EXPECT(!(table[names[i].gref].flags & GTF_readonly));
            table[names[i].gref].flags |= GTF_reading | GTF_writing;
        }
        say(given(lap)->id, BLKIF_RSP_OKAY);
        EXPECT(vmi__block_reap(0, 0, done, 1) == 1 && done[0].status == VMI_OK && !look().fault);
        EXPECT(lent() == 1 + REQUESTS + frames);
    }
    /* They are the kernel's again when it has let go of each. */
    for (uint32_t i = 0; i < references(); i++)
        if (table[i].flags & GTF_writing) {
            EXPECT(vmi__device_close(0) == VMI_EBUSY && vmi__device_release_frames(0) == VMI_EBUSY);
            table[i].flags &= (uint16_t) ~(GTF_reading | GTF_writing);
        }
    EXPECT(vmi__device_close(0) == VMI_OK && all_is_given_back());
    EXPECT(vmi__device_release_frames(0) == VMI_OK && open_sized(REQUESTS, 2) == VMI_OK);
    EXPECT(!number_of(OWN "/feature-persistent") && lent() == 1);
    offers = false;
}

/* One of them is none, or there are more than references. */
static void frames_that_cannot_be_lent(void)
{
    const uint32_t frames = sizeof(buffer) / PAGE;

    plug();
    look();
    EXPECT(vmi__device_leave_frames(0, (uintptr_t)buffer / PAGE, frames) == VMI_OK);
    no_frame = (uint32_t)((uintptr_t)buffer / PAGE) + frames - 1;
    EXPECT(open_it() == VMI_EIO && all_is_given_back());
    no_frame--;
    EXPECT(open_it() == VMI_EIO && all_is_given_back());
    no_frame = ~0u;
    EXPECT(open_it() == VMI_OK && vmi__device_close(0) == VMI_OK && all_is_given_back());
    EXPECT(vmi__device_release_frames(0) == VMI_OK);
}

/* What it takes back between looking and opening. */
static void offers_less_than_before(void)
{
    static const char *const nodes_of[] = {OTHER "/max-ring-page-order",
                                           OTHER "/feature-max-indirect-segments"};

    for (uint32_t i = 0; i < 2; i++) {
        offers = true;
        plug();
        most_frames = 3;
        EXPECT(look().requests == 128 && look().segments == 16);
        remove_node(nodes_of[i]);
        EXPECT(open_sized(128, 2) == VMI_EIO && rings == 1 + i && !locks);
        EXPECT(all_is_given_back() && open_sized(8, 1) == VMI_EIO && all_is_given_back());
        EXPECT(look().requests == 128 && look().segments == 16);
        write_node(nodes_of[i], "60");
        EXPECT(open_sized(128, 2) == VMI_OK && !look().fault);
        offers = false;
    }
}

/* Notified is one that wants it, once for a batch; and asked is for the next response. */
static void notifications(void)
{
    begin();
    notified = 0;
    EXPECT(submit(0, 3) == 3 && notified == 1);
    EXPECT(submit(3, 1) == 1 && notified == 1); /* it has not asked anew */
    head->request_event = 5;
    EXPECT(submit(4, 1) == 1 && notified == 2);
    head->request_event = 7;
    EXPECT(submit(5, 1) == 1 && notified == 2);
    EXPECT(vmi__block_reap(0, 0, done, 4) == 0 && head->response_event == 1);
    say(given(0)->id, BLKIF_RSP_OKAY);
    EXPECT(vmi__block_reap(0, 0, done, 4) == 1 && head->response_event == 2);
}

/* By its channel a library finds the device, and whether there is anything to take. */
static void what_its_channel_is(void)
{
    evtchn_port_t port;

    plug();
    look();
    EXPECT(!vmi__xen_common_port_of_event(0));
    EXPECT(open_it() == VMI_OK);
    port = vmi__xen_common_port_of_event(0);
    EXPECT(port == number_of(OWN "/event-channel"));
    EXPECT(!vmi__xen_common_port_of_event(1) && !vmi__xen_common_port_of_event(1u << 16));
    EXPECT(vmi__xen_common_owns_port(port) && !vmi__xen_common_owns_port(port + 1));
    EXPECT(submit(0, 2) == 2 && !vmi__xen_common_port_has_news(port));
    say(given(0)->id, BLKIF_RSP_OKAY);
    EXPECT(vmi__xen_common_port_has_news(port) && !vmi__xen_common_port_has_news(port + 1));
    EXPECT(vmi__block_reap(0, 0, done, 4) == 1 && !vmi__xen_common_port_has_news(port));
    say(given(1)->id, BLKIF_RSP_OKAY);
    EXPECT(vmi__block_reap(0, 0, done, 4) == 1);
    EXPECT(vmi__device_close(0) == VMI_OK);
    EXPECT(!vmi__xen_common_port_of_event(0) && !vmi__xen_common_owns_port(port));
}

/* ---- after a suspend ---- */

/* What was under way is given to the new back end as it was to the old one, and ends once, whether
 * that one has ended it or not; what the kernel has had back is not given. */
static void goes_on_with_what_was_under_way(void)
{
    const struct vmi_segment segment = {.address = (uintptr_t)buffer + SECTOR, .length = 0x1800};
    struct vmi_segment large[SEGMENTS];
    union blkif_sring_entry before[8];
    uint8_t names[PAGE];
    uint32_t frames, lent_before;

    offers = true;
    plug();
    write_node(OTHER "/feature-discard", "1");
    look();
    EXPECT(open_sized(REQUESTS, SEGMENTS) == VMI_OK && rings == 2);
    for (uint32_t i = 0; i < SEGMENTS; i++)
        large[i] =
            (struct vmi_segment){.address = (uintptr_t)buffer + i * 0x4200, .length = 0x4000};
    EXPECT(one_of(VMI_BLOCK_READ, 1, 12, 1, &segment) == 1);
    say(given(0)->id, BLKIF_RSP_OKAY);
    EXPECT(vmi__block_reap(0, 0, done, 1) == 1);
    EXPECT(one_of(VMI_BLOCK_READ, 2, 12, 1, &segment) == 1);
    EXPECT(one_of(VMI_BLOCK_WRITE, 3, 128, SEGMENTS, large) == 1);
    EXPECT(one_of(VMI_BLOCK_DISCARD, 4, 3, 0, 0) == 1 && one_of(VMI_BLOCK_FLUSH, 0, 0, 0, 0) == 1);
    for (uint32_t i = 1; i < 5; i++)
        memcpy(&before[given(i)->id], given(i), sizeof(before[0]));
    memcpy(names, names_of(2, &frames), sizeof(names));
    lent_before = lent();
    say(given(3)->id, BLKIF_RSP_OKAY); /* nobody has taken that */
    restore();
    EXPECT(rings == 3 && head->requested == 4 && lent() == lent_before && notified);
    for (uint32_t i = 0; i < 4; i++) {
        const struct blkif_request *request = given(i);
        const struct blkif_request_segment *name = request->seg;
        uint32_t count = 2;

        EXPECT(request->id < 8 && !memcmp(request, &before[request->id], sizeof(before[0])));
        before[request->id].req.id = 8; /* not a second time */
        if (request->operation == BLKIF_OP_INDIRECT) {
            name = names_of(i, &count);
            EXPECT(count == frames && !memcmp(name, names, sizeof(names)));
            EXPECT(page_of(name[0].gref) == buffer && page_of(name[4].gref) == buffer + 0x4000);
            EXPECT(table[name[0].gref].flags & GTF_readonly);
        } else if (request->operation == BLKIF_OP_READ) {
            EXPECT(page_of(name[0].gref) == buffer && page_of(name[1].gref) == buffer + 0x1000);
            EXPECT(!(table[name[0].gref].flags & GTF_readonly));
        }
    }
    end_all();
    EXPECT(vmi__block_reap(0, 0, done, 8) == 4 && !look().fault);
    EXPECT(lent() == 1 + REQUESTS);
    EXPECT(submit(0, REQUESTS) == (int32_t)REQUESTS && head->requested == 4 + REQUESTS);
    offers = false;
}

/* Frames that are left to it are lent anew, by the names that requests have for them. */
static void lends_what_was_left_to_it(void)
{
    const uint32_t frames = sizeof(buffer) / PAGE;
    grant_ref_t reference;

    plug();
    look();
    EXPECT(vmi__device_leave_frames(0, (uintptr_t)buffer / PAGE, frames) == VMI_OK);
    EXPECT(open_it() == VMI_OK && submit(0, 1) == 1);
    reference = given(0)->seg[0].gref;
    table[reference].flags |= GTF_writing;
    remove_node(OWN "/feature-persistent");
    restore();
    EXPECT(number_of(OWN "/feature-persistent") == 1 && lent() == 1 + frames);
    EXPECT(given(0)->seg[0].gref == reference && lends(reference, buffer, false));
    end_all();
    EXPECT(vmi__block_reap(0, 0, done, 2) == 1 && vmi__device_close(0) == VMI_OK);
    EXPECT(all_is_given_back() && vmi__device_release_frames(0) == VMI_OK);
}

/* One that does not come up, or is another disk, is shut off, and what was under way ends. */
static void is_not_there_any_more(void)
{
    for (uint32_t i = 0; i < 3; i++) {
        uint8_t seen[REQUESTS] = {0};

        begin();
        EXPECT(submit(0, 3) == 3);
        say(given(0)->id, BLKIF_RSP_OKAY);
        if (!i)
            reached = XenbusStateInitialising;
        else if (i == 1)
            write_node(OTHER "/sectors", "999");
        else
            refused_channels = 1;
        restore();
        reached = XenbusStateConnected;
        write_node(OTHER "/sectors", "1000");
        is_shut_off(VMI_FAULT_LOST, seen, 3);
    }
}

/* A closed disk's are nobody's; one that is shut off, or was being closed, has no channel, and what
 * the old back end held it does not hold any more. */
static void was_not_open(void)
{
    uint8_t seen[REQUESTS] = {0};

    plug();
    look();
    restore();
    EXPECT(number_of(OWN "/state") == XenbusStateInitialising && rings == 1);
    EXPECT(all_is_given_back() && open_it() == VMI_OK && submit(0, 2) == 2);
    held = given(0)->seg[0].gref;
    table[held].flags |= GTF_writing;
    EXPECT(vmi__device_close(0) == VMI_EBUSY && look().fault == VMI_FAULT_HELD);
    EXPECT(reap_all(seen, VMI_EIO) == 2 && vmi__device_close(0) == VMI_EBUSY);
    restore();
    channels = 1u << 5; /* another's, by the number that the disk's had */
    EXPECT(vmi__device_close(0) == VMI_OK && channels == 1u << 5);
    channels = 0;
    EXPECT(all_is_given_back() && open_it() == VMI_OK && !look().fault);
}

/* A state that whoever was here before has left. */
static void left_connected(void)
{
    plug();
    say_state(XenbusStateConnected);
    write_node(OWN "/state", "4");
    look();
    EXPECT(open_it() == VMI_OK);
}

static void lie_of_itself(void)
{
    static const char *const paths[] = {
        OWN "/backend-id",
        OWN "/virtual-device",
        OTHER "/sectors",
        OTHER "/sector-size",
        OTHER "/info",
        OTHER "/feature-discard",
        OTHER "/state",
        OWN "/backend",
        OTHER "/max-ring-page-order",
        OTHER "/feature-max-indirect-segments",
    };

    if (random() % 4)
        say_anything(paths[random() % (sizeof(paths) / sizeof(paths[0]))]);
}

static void has_one_ring(const struct vmi_device_properties *info)
{
    EXPECT(info->requests >= ENTRIES && info->requests <= 128 && info->queues == 1);
    EXPECT(info->segments >= SEGMENTS && info->segments <= 16);
}

static void any_description(void)
{
    any_descriptions(lie_of_itself, has_one_ring);
}

static void names_of_devices(void)
{
    static const char *const lists[] = {"x\0", "51712x\0", "\0", "1073741824\0",
                                        "123456789012345678901234567890\0"};
    struct vmi_device_properties info;

    for (uint32_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        plug();
        names = lists[i];
        EXPECT(vmi__device_info(0, &info) == VMI_ENOENT && !rings);
    }
    plug();
    names = "768\00051712\0"; /* the first has no nodes */
    EXPECT(vmi__device_info(0, &info) == VMI_OK && vmi__device_info(1, &info) == VMI_ENOENT);
    plug();
    names = 0;
    EXPECT(vmi__device_info(0, &info) == VMI_ENOENT);
}

static void lie(uint32_t what, uint32_t requests)
{
    (void)requests;
    if (what < 11 && answered != head->requested)
        say(random() % 8 ? given(answered)->id : random(),
            random() % 16 ? BLKIF_RSP_OKAY : (int16_t)random());
    else if (what == 11 && !(random() % 4))
        head->responded = random() % 2 ? answered : random();
    else if (what == 12)
        say_anything(OTHER "/state");
    else if (what == 13)
        head->request_event = random();
}

static void any_back_end(void)
{
    any_lies(SEEDS / 2, 16, lie);
    offers = true;
    any_lies(SEEDS / 2, 16, lie);
    offers = false;
}

static const struct played_check all[] = {
    CHECK(what_is_said_of_it),
    CHECK(large_blocks),
    CHECK(each_ends_once_in_any_order),
    CHECK(failures_are_the_requests),
    CHECK(ended_twice),
    CHECK(never_given),
    CHECK(more_than_was_given),
    CHECK(unknown_status),
    CHECK(keeps_a_frame),
    CHECK(keeps_the_ring),
    CHECK(closed_with_requests_in_flight),
    CHECK(does_not_come_up),
    CHECK(another_disk_than_before),
    CHECK(no_references),
    CHECK(what_a_request_becomes),
    CHECK(largest_request),
    CHECK(rings_of_pages),
    CHECK(sizes_of_requests),
    CHECK(pages_of_names),
    CHECK(keeps_names),
    CHECK(requests_keep_to_their_frames),
    CHECK(frames_stay_lent),
    CHECK(frames_that_cannot_be_lent),
    CHECK(offers_less_than_before),
    CHECK(notifications),
    CHECK(what_its_channel_is),
    CHECK(goes_on_with_what_was_under_way),
    CHECK(lends_what_was_left_to_it),
    CHECK(is_not_there_any_more),
    CHECK(was_not_open),
    CHECK(left_connected),
    CHECK(names_of_devices),
    CHECK(any_description),
    CHECK(any_back_end),
};

PLAY(all)
