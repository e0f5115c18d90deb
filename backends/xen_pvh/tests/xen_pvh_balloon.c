/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A PVH domain's balloon, with the driver that it shares with PV domains, as a Linux process: this
 * file plays Xen, which may do only a part of what it is asked for or say anything, the toolstack's
 * nodes and the calls for devices.
 */
#include "xen_pvh/pvh.h"

#include "backends/plain_memory.h"
#include "backends/played.h"

#include "driver.h"

#include "xen_pvh/balloon.c"

#include "xen_common/balloon.c"

#define KERNELS 5 /* the kernel's end of the channel, and the library's */
#define OURS    6
#define SOME    3
#define MIB     1024ull /* in KiB */

static struct vmi__device device;

struct shared_info vmi__xen_pvh_shared;

static struct {
    uint64_t target, most; /* KiB; ~0: there is no such node */
    bool no_room, kept, no_channel, no_end;
    uint32_t command, closed, notified;
    uint32_t frames[SOME], count;
    intptr_t answer;
} world;

/* ---- the toolstack, the calls for devices ---- */

static bool is(const char *text, const char *word)
{
    while (*text && *text == *word)
        text++, word++;
    return *text == *word;
}

uint64_t vmi__xen_common_own(const struct vmi__xen_common_bus *bus, const char *name, uint64_t none)
{
    uint64_t value = is(name, "target") ? world.target : world.most;

    EXPECT(is(bus->node, "memory") && (is(name, "target") || is(name, "static-max")));
    return value == ~0ull ? none : value;
}

struct vmi__device *vmi__device_add(const struct vmi__driver *driver, uint32_t place)
{
    /* Beside those of xenbus, which have the last bit, and the first function on PCI. */
    EXPECT(driver == &vmi__driver_balloon && place && place < 1u << 31);
    return world.no_room ? 0 : &device;
}

void vmi__device_name(struct vmi__device *named, const char *bus, const char *where)
{
    EXPECT(named == &device && is(bus, "xenstore") && is(where, "memory"));
}

void vmi__device_keep(struct vmi__device *keep)
{
    EXPECT(keep == &device);
    world.kept = true;
}

/* ---- Xen ---- */

evtchn_port_t vmi__xen_common_channel(const struct vmi__xen_common_bus *bus)
{
    EXPECT(bus->peer == DOMID_SELF);
    return world.no_channel ? 0 : KERNELS;
}

HYPERCALL intptr_t vmi__xen_pvh_hypercall_event_channel_op(uint32_t command, void *argument)
{
    struct evtchn_bind_interdomain *bind = argument;

    EXPECT(command == EVTCHNOP_bind_interdomain && bind->remote_dom == DOMID_SELF);
    EXPECT(bind->remote_port == KERNELS);
    bind->local_port = OURS;
    return world.no_end ? -28 : 0;
}

void vmi__xen_common_close(evtchn_port_t *port)
{
    world.closed |= 1u << *port;
    *port = 0;
}

void vmi__xen_common_channels_forget(struct vmi__xen_common_bus *bus)
{
    memset(bus->ports, 0, sizeof(bus->ports));
}

void vmi__xen_common_notify(evtchn_port_t port)
{
    EXPECT(port == OURS);
    world.notified++;
}

void *vmi__xen_pvh_argument(const void *pointer)
{
    return (void *)(uintptr_t)pointer;
}

HYPERCALL intptr_t vmi__xen_pvh_hypercall_memory_op(uint32_t command, void *argument)
{
    const struct xen_memory_reservation *reservation = argument;

    EXPECT(reservation->domid == DOMID_SELF && !reservation->extent_order);
    EXPECT(!reservation->mem_flags && reservation->nr_extents <= SOME);
    world.command = command;
    world.count = (uint32_t)reservation->nr_extents;
    for (uint32_t i = 0; i < world.count; i++)
        world.frames[i] = (uint32_t)reservation->extent_start.p[i];
    return world.answer;
}

/* ---- checks ---- */

static char lists[sizeof(struct lists)] __attribute__((aligned(8)));

static void find_it(uint64_t target, uint64_t most_kib)
{
    memset(&world, 0, sizeof(world));
    memset(&device, 0, sizeof(device));
    memset(&vmi__xen_pvh_shared, 0, sizeof(vmi__xen_pvh_shared));
    other_end = 0;
    passed_on = false;
    world.target = target;
    world.most = most_kib;
    vmi__driver_balloon.find(&vmi__driver_balloon);
}

static void open_it(void)
{
    struct vmi_device_setup setup = {.queues = 1, .requests = 1, .segments = 1};

    find_it(64 * MIB, 64 * MIB);
    EXPECT(vmi__driver_balloon.memory(&device, &setup) == sizeof(lists));
    EXPECT(vmi__driver_balloon.start(&device, lists));
    /* With its own list behind. */
    EXPECT((char *)device.frames == lists);
    for (uint32_t i = 0; i < SOME; i++)
        device.frames[i] = 100 + 2 * i;
}

static uint32_t target_of(uint64_t kib)
{
    world.target = kib;
    return vmi__driver_balloon.balloon->target(&device);
}

static void a_domain_with_a_target_has_a_balloon(void)
{
    find_it(64 * MIB, 64 * MIB);
    EXPECT(world.kept && device.info.kind == VMI_DEVICE_BALLOON);
    EXPECT(device.info.queues == 1 && device.info.requests == 1 && device.info.segments == 1);
    find_it(32 * MIB, 64 * MIB);
    EXPECT(world.kept);
    find_it(~0ull, 64 * MIB);
    EXPECT(!world.kept);
    find_it(64 * MIB, ~0ull);
    EXPECT(!world.kept);
    find_it(65 * MIB, 64 * MIB);
    EXPECT(!world.kept);
}

static void there_may_be_no_room_for_it(void)
{
    find_it(64 * MIB, 64 * MIB);
    memset(&device, 0, sizeof(device));
    world.kept = false;
    world.no_room = true;
    vmi__driver_balloon.find(&vmi__driver_balloon);
    EXPECT(!world.kept && !device.info.kind);
}

static void the_target_is_what_is_to_be_away(void)
{
    find_it(64 * MIB, 64 * MIB);
    EXPECT(target_of(64 * MIB) == 0);
    EXPECT(target_of(16 * MIB) == 48 * MIB / 4);
    EXPECT(target_of(16 * MIB + 4) == 48 * MIB / 4 - 1);
    EXPECT(target_of(65 * MIB) == 0 && target_of(~0ull) == 0);
}

static void frames_go_and_come(void)
{
    const struct vmi__balloon *balloon = vmi__driver_balloon.balloon;

    open_it();
    world.answer = SOME;
    EXPECT(balloon->move(&device, SOME, true) == SOME);
    EXPECT(world.command == XENMEM_decrease_reservation && world.count == SOME);
    EXPECT(world.frames[0] == 100 && world.frames[1] == 102 && world.frames[2] == 104);
    EXPECT(device.frames[0] == 100 && device.frames[2] == 104);
    world.answer = 1;
    EXPECT(balloon->move(&device, 1, false) == 1);
    EXPECT(world.command == XENMEM_populate_physmap && world.count == 1);
    EXPECT(world.frames[0] == 100);
}

/* What Xen says is a count of what it was asked for, or nothing was done. */
static void what_xen_says_is_checked(void)
{
    const struct vmi__balloon *balloon = vmi__driver_balloon.balloon;

    open_it();
    world.answer = 2;
    EXPECT(balloon->move(&device, SOME, true) == 2 && balloon->move(&device, SOME, false) == 2);
    for (int32_t answer = -12; answer <= SOME + 1; answer++) {
        world.answer = answer;
        if (answer > 0 && answer <= SOME)
            continue;
        EXPECT(balloon->move(&device, SOME, true) == VMI_EIO);
        EXPECT(balloon->move(&device, SOME, false) == VMI_ENOMEM);
    }
}

static void nobody_asks_for_statistics(void)
{
    open_it();
    EXPECT(vmi__driver_balloon.balloon->report(&device, 0) == VMI_ENOSYS);
}

static void a_new_target_is_passed_on(void)
{
    find_it(64 * MIB, 64 * MIB);
    vmi__xen_pvh_balloon_told();
    EXPECT(!world.notified && !vmi__xen_pvh_balloon_news());
    open_it();
    EXPECT(vmi__xen_common_bus_of(&device)->ports[0] == KERNELS &&
           vmi__xen_pvh_port_is_masked(OURS));
    vmi__xen_pvh_balloon_told();
    EXPECT(world.notified == 1);
    /* Told again once at the end of the interrupt. */
    EXPECT(vmi__xen_pvh_balloon_news() && !vmi__xen_pvh_balloon_news());
    vmi__driver_balloon.stop(&device);
    EXPECT(world.closed == (1u << OURS | 1u << KERNELS));
    EXPECT(!vmi__xen_common_bus_of(&device)->ports[0]);
    vmi__xen_pvh_balloon_told();
    EXPECT(world.notified == 1);
}

static void there_may_be_no_channel(void)
{
    for (uint32_t end = 0; end < 2; end++) {
        find_it(64 * MIB, 64 * MIB);
        world.no_channel = !end;
        world.no_end = end;
        EXPECT(!vmi__driver_balloon.start(&device, lists));
        EXPECT(!vmi__xen_common_bus_of(&device)->ports[0] && !other_end);
        EXPECT(!end || world.closed & 1u << KERNELS);
    }
}

/* In a domain that was restored no channel of before is closed, for it is another's now. */
static void it_comes_again(void)
{
    open_it();
    EXPECT(vmi__driver_balloon.come_again(&device) && !world.closed);
    EXPECT(vmi__xen_common_bus_of(&device)->ports[0] == KERNELS && other_end == OURS);
    world.no_channel = true;
    EXPECT(!vmi__driver_balloon.come_again(&device));
    vmi__driver_balloon.stop(&device);
    EXPECT(!(world.closed & (1u << KERNELS | 1u << OURS)));
}

static const struct played_check checks[] = {
    CHECK(a_domain_with_a_target_has_a_balloon),
    CHECK(there_may_be_no_room_for_it),
    CHECK(the_target_is_what_is_to_be_away),
    CHECK(frames_go_and_come),
    CHECK(what_xen_says_is_checked),
    CHECK(nobody_asks_for_statistics),
    CHECK(a_new_target_is_passed_on),
    CHECK(there_may_be_no_channel),
    CHECK(it_comes_again),
};

PLAY(checks)
