/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What checks of front ends share: the interface (devices/interface.c), xenstore, the grant table,
 * and a back end that comes together with the front end by its states, as far as it is asked to.
 */
#ifndef VMI_XEN_COMMON_TESTS_SPLIT_H
#define VMI_XEN_COMMON_TESTS_SPLIT_H

#include "devices/played_interface.h"
#include "xen_common/grants.h"
#include "xen_common/xenbus.h"

#define OTHER "/other"

static struct grant_entry_v1 table[VMI__XEN_COMMON_GRANTS];
static uint32_t frames_from = 0x100000; /* machine frames differ from the domain's by that */
static uint32_t table_frames;           /* that Xen has shared */
static uint32_t most_frames;            /* and will share */
static uint32_t no_frame = ~0u;         /* a page that is none */
static uint32_t waited;                 /* how often */
static uint32_t notified;               /* how often */
static uint32_t channels;               /* that are open, a bit each */
static uint32_t refused_channels;       /* as many as are still to be refused */
static void (*meanwhile)(void);         /* what the other side does while it is waited for */

/* ---- the platform ---- */

bool vmi__xen_common_grants_more(uint32_t frame)
{
    EXPECT(frame == table_frames);
    if (table_frames == most_frames)
        return false;
    table_frames++;
    return true;
}

/* References that there are. */
static uint32_t references(void)
{
    return table_frames * VMI__XEN_COMMON_FRAME_GRANTS;
}

uint32_t vmi__xen_common_frame(uintptr_t pfn)
{
    return pfn == no_frame ? VMI__XEN_COMMON_NO_FRAME : (uint32_t)pfn + frames_from;
}

static uint32_t peer(void);

intptr_t vmi__xen_common_event_op(uint32_t command, void *argument)
{
    if (command == EVTCHNOP_alloc_unbound) {
        struct evtchn_alloc_unbound *channel = argument;

        EXPECT(channel->dom == DOMID_SELF && channel->remote_dom == peer());
        if (refused_channels) {
            refused_channels--;
            return -1;
        }
        channel->port = 5;
        while (channels & 1u << channel->port)
            channel->port++;
        channels |= 1u << channel->port;
    } else if (command == EVTCHNOP_close) {
        const struct evtchn_close *channel = argument;

        EXPECT(channels & 1u << channel->port);
        channels &= ~(1u << channel->port);
    } else {
        EXPECT(command == EVTCHNOP_send && channels & 1u << ((struct evtchn_send *)argument)->port);
        notified++;
    }
    return 0;
}

void vmi__xen_common_port_mask(evtchn_port_t port)
{
    EXPECT(channels & 1u << port);
}

void vmi__xen_common_wait(void)
{
    EXPECT(locks);
    waited++;
    if (meanwhile)
        meanwhile();
}

/* ---- xenstore ---- */

static struct node {
    char path[VMI__XEN_COMMON_PATH_MAX], value[VMI__XEN_COMMON_PATH_MAX];
    uint32_t bytes; /* of the path */
} nodes[48];
static const char *names; /* of the devices, each ended, and the last by two */

static bool same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

static uint32_t length(const char *text)
{
    uint32_t bytes = 0;

    while (text[bytes])
        bytes++;
    return bytes;
}

/* A node that is there, or a free one. */
static struct node *node_at(const char *path)
{
    struct node *found = 0;
    uint32_t bytes = length(path);

    for (uint32_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        if (nodes[i].bytes == bytes && same(nodes[i].path, path))
            return &nodes[i];
        if (!nodes[i].bytes)
            found = &nodes[i];
    }
    memcpy(found->path, path, bytes + 1);
    found->bytes = bytes;
    return found;
}

static void write_node(const char *path, const char *value)
{
    EXPECT(length(path) < VMI__XEN_COMMON_PATH_MAX && length(value) < VMI__XEN_COMMON_PATH_MAX);
    memcpy(node_at(path)->value, value, length(value) + 1);
}

static void remove_node(const char *path)
{
    memset(node_at(path), 0, sizeof(nodes[0]));
}

/* Digits, and nothing else, of a node that is there. */
static uint32_t number_of(const char *path)
{
    uint32_t number = 0;

    EXPECT(node_at(path)->value[0]);
    for (const char *text = node_at(path)->value; *text; text++)
        number = number * 10 + (uint32_t)(*text - '0');
    return number;
}

/* The back end's domain. */
static uint32_t peer(void)
{
    return number_of(OWN "/backend-id");
}

int32_t vmi__xen_common_store_read(const char *path, char *to, uint32_t size)
{
    const struct node *node = node_at(path);
    uint32_t bytes = length(node->value);

    if (!bytes) {
        remove_node(path);
        to[0] = 0;
        return VMI_ENOENT;
    }
    bytes = bytes < size - 1 ? bytes : size - 1;
    memcpy(to, node->value, bytes);
    to[bytes] = 0;
    return (int32_t)bytes;
}

int32_t vmi__xen_common_store_list(const char *path, char *to, uint32_t size)
{
    uint32_t bytes = 0;

    EXPECT(same(path, "device/vbd") || same(path, "device/vif"));
    if (!names || !same(path, folder_of_devices))
        return VMI_ENOENT;
    while (bytes < size && (names[bytes] || names[bytes + 1])) {
        to[bytes] = names[bytes];
        bytes++;
    }
    if (bytes < size)
        to[bytes++] = 0;
    return (int32_t)bytes;
}

/* ---- the back end ---- */

static uint32_t reached = XenbusStateConnected; /* how far it goes by itself */
static uint32_t connects_at;                    /* the front end's state */
static bool parts = true;                       /* and follows to the end */

static void say_state(uint32_t state)
{
    const char digit[2] = {(char)('0' + state), 0};

    write_node(OTHER "/state", digit);
}

/* What the front end's state has it do. */
static void front_end_is(uint32_t state)
{
    if (state == XenbusStateInitialising && reached >= XenbusStateInitWait)
        say_state(XenbusStateInitWait);
    if (state == connects_at && reached >= XenbusStateConnected &&
        number_of(OTHER "/state") != XenbusStateConnected) {
        connected();
        say_state(XenbusStateConnected);
    }
    if ((state == XenbusStateClosing || state == XenbusStateClosed) && parts)
        say_state(state);
}

int32_t vmi__xen_common_store_write(const char *path, const char *value)
{
    write_node(path, value);
    if (same(path, OWN "/state"))
        front_end_is((uint32_t)(value[0] - '0'));
    return VMI_OK;
}

/* The page that a reference lends, or 0. */
static void *page_of(grant_ref_t reference)
{
    if (reference >= references() || !(table[reference].flags & GTF_permit_access))
        return 0;
    EXPECT(table[reference].domid == peer());
    return (void *)((uintptr_t)(table[reference].frame - frames_from) << 12);
}

static uint32_t lent(void)
{
    uint32_t pages = 0;

    for (uint32_t i = 0; i < references(); i++)
        pages += !!table[i].flags;
    return pages;
}

/* Nothing that was taken for a device is still taken. */
static bool all_is_given_back(void)
{
    static grant_ref_t kept[VMI__XEN_COMMON_GRANTS];
    uint32_t found = 0;

    while ((kept[found] = vmi__xen_common_grant_reserve()))
        found++;
    for (uint32_t i = 0; i < found; i++)
        vmi__xen_common_grant_release(kept[i]);
    return found == references() - GNTTAB_NR_RESERVED_ENTRIES && !channels && !lent();
}

/* A domain with one device that nobody has looked at. */
static void plug_split(const char *named)
{
    memset(nodes, 0, sizeof(nodes));
    memset(table, 0, sizeof(table));
    table_frames = 1;
    most_frames = 2;
    vmi__xen_common_grants_forget();
    vmi__xen_common_grants_use(table, table_frames);
    channels = 0;
    forget_devices();
    waited = notified = refused_channels = 0;
    no_frame = ~0u;
    meanwhile = 0;
    reached = XenbusStateConnected;
    connects_at = XenbusStateInitialised;
    parts = true;
    names = named;
    write_node(OWN "/backend", OTHER);
    write_node(OWN "/backend-id", "3");
    write_node(OWN "/state", "1");
    write_node(OTHER "/state", "2");
}

/*
 * The domain is saved, and restored: it has other frames, an empty grant table, no channels, and a
 * back end in another domain that knows nothing of it.
 */
static void restore(void)
{
    frames_from += 0x1000;
    memset(table, 0, sizeof(table));
    vmi__xen_common_grants_forget();
    vmi__xen_common_grants_use(table, table_frames);
    channels = 0;
    write_node(OWN "/backend-id", "7");
    write_node(OWN "/state", "1");
    write_node(OTHER "/state", "2");
    vmi__devices_come_again();
    EXPECT(!locks);
}

/* What DeviceInfo says of it. */
static struct vmi_device_properties look(void)
{
    return info_of_first();
}

/* Opens it with memory of the process. */
static int32_t open_with(struct vmi_device_setup setup)
{
    return open_first(setup);
}

/* ---- seeds ---- */

/* Some text in a node's place: digits, or anything. */
static inline void say_anything(const char *path)
{
    char text[32] = {0};

    for (uint32_t i = 0, bytes = random() % 28; i < bytes; i++)
        text[i] = (char)(random() % 4 ? '0' + random() % 10 : 1 + random() % 126);
    write_node(path, text);
}

#endif
