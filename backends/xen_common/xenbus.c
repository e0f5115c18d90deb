/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Finding back ends, and coming together with them (xen/io/xenbus.h).
 */
#include "xenbus.h"

#include "grants.h"
#include "runtime.h"

#define WAITS_MAX 1000 /* of 10 ms each, for a state */

/* A number of 64 bits has 20 digits. */
#define NUMBER_MAX 24

#define NAMES_MAX 256

/* Place of a device: beside those on PCI, by its kind and number. */
#define PLACE_XENBUS 0x80000000u
#define PLACE_NUMBER 0x3fffffffu

/* ---- text ---- */

/* Appends text, which stays terminated; false if there is no room for all of it. */
VMI__RUN_ONCE static bool append(char *to, uint32_t size, const char *text)
{
    uint32_t at = 0;

    while (to[at])
        at++;
    while (*text && at + 1 < size)
        to[at++] = *text++;
    to[at] = 0;
    return !*text;
}

VMI__RUN_ONCE static bool join(char *to, uint32_t size, const char *folder, const char *name)
{
    to[0] = 0;
    return append(to, size, folder) && append(to, size, "/") && append(to, size, name);
}

/* Decimal digits and nothing else, at most a number of 64 bits; false if it is none. */
VMI__RUN_ONCE static bool parse(const char *text, uint64_t *number)
{
    uint64_t value = 0;
    uint32_t digits = 0;

    for (; text[digits]; digits++) {
        uint32_t digit = (uint32_t)(text[digits] - '0');

        /* A tenth of the largest number: no product or sum below is too large. */
        if (digit > 9 || value > 0x1999999999999999 || (value == 0x1999999999999999 && digit > 5))
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    return digits;
}

/* The digits of a number end where `digits` does. */
VMI__RUN_ONCE static const char *format(uint32_t value, char digits[NUMBER_MAX])
{
    uint32_t at = NUMBER_MAX - 1;

    digits[at] = 0;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return digits + at;
}

/* ---- nodes ---- */

VMI__RUN_ONCE static uint64_t number_at(const char *folder, const char *name, uint64_t none)
{
    char path[VMI__XEN_COMMON_PATH_MAX], text[NUMBER_MAX];
    uint64_t number;

    if (!join(path, sizeof(path), folder, name) ||
        vmi__xen_common_store_read(path, text, sizeof(text)) < 0 || !parse(text, &number))
        return none;
    return number;
}

uint64_t vmi__xen_common_told(const struct vmi__xen_common_bus *bus, const char *name,
                              uint64_t none)
{
    return number_at(bus->other, name, none);
}

VMI__RUN_ONCE uint64_t vmi__xen_common_own(const struct vmi__xen_common_bus *bus, const char *name,
                                           uint64_t none)
{
    return number_at(bus->node, name, none);
}

int32_t vmi__xen_common_text(const struct vmi__xen_common_bus *bus, const char *name, char *to,
                             uint32_t size)
{
    char path[VMI__XEN_COMMON_PATH_MAX];

    return join(path, sizeof(path), bus->node, name) ? vmi__xen_common_store_read(path, to, size)
                                                     : VMI_EINVAL;
}

bool vmi__xen_common_tell_text(const struct vmi__xen_common_bus *bus, const char *name,
                               const char *value)
{
    char path[VMI__XEN_COMMON_PATH_MAX];

    return join(path, sizeof(path), bus->node, name) &&
           vmi__xen_common_store_write(path, value) == VMI_OK;
}

VMI__RUN_ONCE bool vmi__xen_common_tell(const struct vmi__xen_common_bus *bus, const char *name,
                                        uint32_t value)
{
    char digits[NUMBER_MAX];

    return vmi__xen_common_tell_text(bus, name, format(value, digits));
}

/* ---- finding ---- */

/* Where the back end is, and whose it is; false if xenstore does not say. */
VMI__RUN_ONCE static bool find_other(struct vmi__xen_common_bus *bus)
{
    uint64_t peer = vmi__xen_common_own(bus, "backend-id", DOMID_FIRST_RESERVED);

    if (peer >= DOMID_FIRST_RESERVED ||
        vmi__xen_common_text(bus, "backend", bus->other, sizeof(bus->other)) <= 0)
        return false;
    bus->peer = (uint32_t)peer;
    return true;
}

/* A device by its directory's name, which is its number. */
static void look_at(const struct vmi__driver *driver, const char *folder, const char *name,
                    void (*probe)(struct vmi__device *device))
{
    struct vmi__xen_common_bus *bus;
    struct vmi__device *device;
    uint64_t number;

    if (!parse(name, &number) || number > PLACE_NUMBER)
        return;
    /* Kinds differ in their names' last letter: vbd, vif. */
    device = vmi__device_add(driver, PLACE_XENBUS | (uint32_t)number |
                                         (folder[sizeof("device/v") - 1] == 'i' ? 0x40000000u : 0));
    if (!device)
        return;
    bus = vmi__xen_common_bus_of(device);
    if (!join(bus->node, sizeof(bus->node), folder, name))
        return;
    if (!find_other(bus))
        return;
    vmi__device_name(device, "xenbus", bus->node);
    probe(device);
}

void vmi__xen_common_each(const struct vmi__driver *driver, const char *kind,
                          void (*probe)(struct vmi__device *device))
{
    /* Not on the stack, which need not have room for it; devices are looked for once. */
    static char names[NAMES_MAX];
    char folder[VMI__XEN_COMMON_NODE_MAX];
    int32_t length;

    join(folder, sizeof(folder), "device", kind);
    length = vmi__xen_common_store_list(folder, names, sizeof(names) - 1);
    for (int32_t at = 0; at < length;) {
        const char *name = names + at;

        names[length] = 0;
        while (names[at++])
            ;
        look_at(driver, folder, name, probe);
    }
}

/* ---- states ---- */

VMI__RUN_ONCE enum xenbus_state vmi__xen_common_state(const struct vmi__xen_common_bus *bus)
{
    uint64_t state = vmi__xen_common_told(bus, "state", XenbusStateUnknown);

    return state <= XenbusStateReconfigured ? (enum xenbus_state)state : XenbusStateUnknown;
}

bool vmi__xen_common_wait_for(const struct vmi__xen_common_bus *bus, enum xenbus_state one,
                              enum xenbus_state other)
{
    for (uint32_t waits = 0; waits < WAITS_MAX; waits++) {
        enum xenbus_state state = vmi__xen_common_state(bus);

        if (state == one || state == other)
            return true;
        vmi__xen_common_wait();
    }
    return false;
}

VMI__RUN_ONCE bool vmi__xen_common_begin(struct vmi__xen_common_bus *bus)
{
    enum xenbus_state state;

    /* Elsewhere since the device was found, if the domain has been saved meanwhile. */
    if (!find_other(bus))
        return false;
    state = vmi__xen_common_state(bus);
    /* What whoever was here before has left. */
    if (state == XenbusStateInitialised || state == XenbusStateConnected ||
        state == XenbusStateClosing)
        vmi__xen_common_part(bus, true);
    return vmi__xen_common_tell(bus, "state", XenbusStateInitialising) &&
           vmi__xen_common_wait_for(bus, XenbusStateInitWait, XenbusStateInitWait);
}

VMI__RUN_ONCE bool vmi__xen_common_connect(const struct vmi__xen_common_bus *bus,
                                           enum xenbus_state state)
{
    return vmi__xen_common_tell(bus, "state", state) &&
           vmi__xen_common_wait_for(bus, XenbusStateConnected, XenbusStateConnected) &&
           vmi__xen_common_tell(bus, "state", XenbusStateConnected);
}

VMI__RUN_ONCE void vmi__xen_common_part(const struct vmi__xen_common_bus *bus, bool wait)
{
    vmi__xen_common_tell(bus, "state", XenbusStateClosing);
    if (wait)
        vmi__xen_common_wait_for(bus, XenbusStateClosing, XenbusStateClosed);
    vmi__xen_common_tell(bus, "state", XenbusStateClosed);
    if (wait)
        vmi__xen_common_wait_for(bus, XenbusStateClosed, XenbusStateClosed);
}

/* ---- channels and grants ---- */

VMI__RUN_ONCE evtchn_port_t vmi__xen_common_channel(const struct vmi__xen_common_bus *bus)
{
    struct evtchn_alloc_unbound channel = {.dom = DOMID_SELF, .remote_dom = (domid_t)bus->peer};

    if (vmi__xen_common_event_op(EVTCHNOP_alloc_unbound, &channel) < 0)
        return 0;
    vmi__xen_common_port_mask(channel.port);
    return channel.port;
}

VMI__RUN_ONCE void vmi__xen_common_close(evtchn_port_t *port)
{
    struct evtchn_close close = {.port = *port};

    if (*port)
        vmi__xen_common_event_op(EVTCHNOP_close, &close);
    *port = 0;
}

VMI__RUN_ONCE void vmi__xen_common_channels_forget(struct vmi__xen_common_bus *bus)
{
    memset(bus->ports, 0, sizeof(bus->ports));
}

void vmi__xen_common_notify(evtchn_port_t port)
{
    struct evtchn_send send = {.port = port};

    vmi__xen_common_event_op(EVTCHNOP_send, &send);
}

VMI__RUN_ONCE bool vmi__xen_common_reserve(struct vmi__device *device, grant_ref_t *reference)
{
    if (!*reference)
        *reference = vmi__xen_common_grant_reserve();
    if (!*reference)
        device->refusal = VMI_ENOMEM;
    return *reference;
}

bool vmi__xen_common_lend_frame(struct vmi__device *device, grant_ref_t *reference, uintptr_t pfn,
                                bool read_only)
{
    uint32_t frame = vmi__xen_common_frame(pfn);

    if (frame == VMI__XEN_COMMON_NO_FRAME || !vmi__xen_common_reserve(device, reference))
        return false;
    vmi__xen_common_grant_lend(*reference, frame, vmi__xen_common_bus_of(device)->peer, read_only);
    return true;
}

bool vmi__xen_common_lend_page(struct vmi__device *device, grant_ref_t *reference, const void *page,
                               bool read_only)
{
    return vmi__xen_common_lend_frame(device, reference, vmi__physical(page) >> 12, read_only);
}

VMI__RUN_ONCE VMI__ADDRESS_TAKEN bool vmi__xen_common_take_back(grant_ref_t *reference)
{
    if (!*reference)
        return true;
    if (!vmi__xen_common_grant_end(*reference))
        return false;
    vmi__xen_common_grant_release(*reference);
    *reference = 0;
    return true;
}

/* ---- events ---- */

VMI__ADDRESS_TAKEN evtchn_port_t vmi__xen_common_port_of_event(uint32_t number)
{
    uint32_t queue;
    struct vmi__device *device = vmi__device_of_event(number, &queue);

    return device ? vmi__xen_common_bus_of(device)->ports[queue] : 0;
}

/* The record of the device that has a channel, and which queue's it is; 0 if there is none. */
static const struct vmi__xen_common_bus *bus_of_port(evtchn_port_t port, uint32_t *queue)
{
    struct vmi__device *device;

    for (uint32_t i = 0; (device = vmi__device_by_number(i)); i++)
        for (*queue = 0; *queue < VMI__QUEUES_MAX; ++*queue)
            if (vmi__xen_common_bus_of(device)->ports[*queue] == port)
                return vmi__xen_common_bus_of(device);
    return 0;
}

VMI__ADDRESS_TAKEN bool vmi__xen_common_owns_port(evtchn_port_t port)
{
    uint32_t queue;

    return bus_of_port(port, &queue);
}

bool vmi__xen_common_port_has_news(evtchn_port_t port)
{
    uint32_t queue;
    const struct vmi__xen_common_bus *bus = bus_of_port(port, &queue);

    return bus && bus->rings[queue] && vmi__xen_common_ring_news(bus->rings[queue]);
}
