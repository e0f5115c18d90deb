/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What fuzz targets of front ends share, around what life.h has: xenstore and the grant table say
 * and hold what the fuzzer wants. A target has before it includes this what life.h wants, and of
 * itself plug_back_end().
 */
#ifndef VMI_XEN_COMMON_TESTS_BACK_END_H
#define VMI_XEN_COMMON_TESTS_BACK_END_H

#include "life.h"

/* A sound back end that nobody has looked at. */
static void plug_back_end(void);

static bool is_of_the_device(const void *page)
{
    uintptr_t offset = (uintptr_t)page - (uintptr_t)memory_of_device;

    return memory_given && offset < memory_given;
}

/* One of the pages of the device's memory that it may write to. */
static uint8_t *shown(uint32_t *bytes)
{
    uint32_t after = next8();
    uint8_t *found = 0;

    *bytes = PAGE;
    for (uint32_t i = 0; i < references() && (!found || after); i++) {
        uint8_t *page = table[i].flags & GTF_readonly ? 0 : page_of(i);

        if (!page || !is_of_the_device(page))
            continue;
        found = page;
        after--;
    }
    return found;
}

/* Has a page mapped, or lets go of it. */
static void hold_a_page(void)
{
    uint32_t reference = next16() % references();

    if (memory_given && table[reference].flags & GTF_permit_access)
        table[reference].flags ^= next8() & 1 ? GTF_reading : GTF_writing;
}

static void lie_of_the_device(void)
{
    uint32_t what = next8();

    switch (what % 8) {
    case 0:
    case 1:
        lie_of_itself();
        break;
    case 2:
        say_state(what / 8 % 10);
        break;
    case 3:
        parts = what & 0x10;
        reached = what & 0x20 ? XenbusStateInitWait : XenbusStateConnected;
        break;
    case 4:
        refused_channels = what / 8 % 4;
        break;
    case 5:
        say_anything(OTHER "/state");
        break;
    default:
        hold_a_page();
    }
}

static void interrupt(struct vmi__device *device)
{
    evtchn_port_t port =
        vmi__xen_common_port_of_event(device->number << 16 | next8() % (device->opened + 1));

    if (!port)
        return;
    HOLDS(channels & 1u << port && vmi__xen_common_owns_port(port));
    vmi__xen_common_port_has_news(port);
}

/* Nothing is lent, and the first references are free, which are always taken first. */
static bool nothing_is_taken(void)
{
    uint32_t found = 0;

    while (found < 32 && vmi__xen_common_grant_reserve() == GNTTAB_NR_RESERVED_ENTRIES + found)
        found++;
    for (uint32_t i = 0; i < 32; i++)
        vmi__xen_common_grant_release(GNTTAB_NR_RESERVED_ENTRIES + i);
    return found == 32 && !channels && !lent();
}

/* Of the kernel's own memory: only what it had mapped already, or all of it is given back. */
static bool reaches_nothing(void)
{
    if (devices[0].state == VMI__DEVICE_CLOSED)
        return nothing_is_taken();
    for (uint32_t i = 0; i < references(); i++)
        if (table[i].flags & GTF_permit_access && !is_of_the_device(page_of(i)) &&
            !(table[i].flags & (GTF_reading | GTF_writing)))
            return false;
    return true;
}

static void release_all(void)
{
    for (uint32_t i = 0; i < references(); i++)
        table[i].flags &= (uint16_t) ~(GTF_reading | GTF_writing);
}

/*
 * Time is short: what has been waited for eight times comes, so that an input takes no longer than
 * others. The checks are about back ends that never come.
 */
static void come_at_last(void)
{
    static uint32_t before, times;
    const char *other = vmi__xen_common_bus_of(&devices[0])->other;
    uint32_t bytes = length(other);
    char path[VMI__XEN_COMMON_PATH_MAX];

    times = waited == before + 1 ? times + 1 : 1;
    before = waited;
    if (times % 8)
        return;
    release_all();
    parts = true;
    reached = XenbusStateConnected;
    for (uint32_t i = 0; i < 64; i++)
        do_next(i & 1);
    /* It may have been told of another directory. */
    front_end_is(number_of(OWN "/state"));
    if (bytes + sizeof("/state") > sizeof(path))
        return;
    memcpy(path, other, bytes);
    memcpy(path + bytes, "/state", sizeof("/state"));
    write_node(path, node_at(OTHER "/state")->value);
}

static void plug_it(void)
{
    plug_back_end();
    meanwhile = while_its_driver_waits;
    otherwise = come_at_last;
}

static inline void *memory_at(uint64_t address, uint32_t bytes)
{
    (void)bytes;
    return (void *)(uintptr_t)address;
}

#endif
