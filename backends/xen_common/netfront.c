/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Networks of Xen's split network devices, the front end's side (xen/io/netif.h). What is received
 * comes into pages of the library's, lent as long as the network is open, and is copied to the
 * kernel's buffers: a request to receive names a page and no place in it. What is sent is lent
 * where it lies. Nothing is left to the other side: packets are whole, with their checksums.
 */
#include "grants.h"
#include "runtime.h"
#include "xenbus.h"

#include <xen/io/netif.h>

#define PAGE           4096u
#define RING_BYTES     PAGE
#define MTU            1500u /* without `feature-sg` no packet has more */
#define MTU_LEAST      68u
#define ETHERNET_LEAST 14u
#define ETHERNET_MOST  18u
#define SEGMENTS_MAX   4u
#define REQUESTS_MAX   128u

/*
 * Frames that a packet of the largest size lies in, at most: no segment is as long as a page, so it
 * lies in two. Each is an entry of the ring.
 */
#define FRAMES_OF(segments) (2 * (segments))
_Static_assert(MTU + ETHERNET_MOST <= PAGE, "a segment lies in more than two frames");
_Static_assert(FRAMES_OF(SEGMENTS_MAX) <= XEN_NETIF_NR_SLOTS_MIN, "no back end takes so many");

/* How long the other side may take to let go of memory: so often 10 ms. */
#define LETTING_GO_WAITS 100

/* A slot to receive: its page, and where the packet goes from there. */
struct received {
    grant_ref_t reference;
    struct vmi_segment segments[SEGMENTS_MAX];
};

/* A slot to send: its packet's frames, of which the other side has those whose bits are set. */
struct sent {
    struct part {
        grant_ref_t reference;
        uint32_t pfn;
        uint16_t offset, size;
    } parts[FRAMES_OF(SEGMENTS_MAX)];
    uint32_t frames, left;
    int32_t status;
};

/* Entries of a ring of one page, and so of the list of what is on it. */
#define RECEIVE_ENTRIES 256u

struct network {
    struct vmi__xen_common_bus bus;
    struct vmi__xen_common_ring rings[VMI__WAYS];
    grant_ref_t references[VMI__WAYS]; /* of the rings */
    char *pages;                       /* one for each slot to receive; 0: not begun */
    /* On pages that the other side does not see. */
    struct received *received;
    struct sent *sent;
    uint16_t *posted; /* the slot of each entry */
};
_Static_assert(sizeof(struct network) <= VMI__DRIVER_BYTES, "a driver's record has no room for it");

static struct network *network_of(struct vmi__device *device)
{
    return (struct network *)device->own;
}

static const uint32_t entry_bytes[VMI__WAYS] = {
    [VMI__RECEIVE] = sizeof(union netif_rx_sring_entry),
    [VMI__SEND] = sizeof(union netif_tx_sring_entry),
};

/* ---- finding ---- */

/* Six bytes as aa:bb:cc:dd:ee:ff; false if it is not that. */
VMI__RUN_ONCE static bool parse_address(const char *text, uint8_t address[6])
{
    for (uint32_t i = 0; i < 18; i++) {
        char c = text[i];
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                                : 16;

        if (i % 3 == 2 ? c != (i == 17 ? 0 : ':') : digit > 15)
            return false;
        if (i % 3 < 2)
            address[i / 3] = (uint8_t)(address[i / 3] << 4 | digit);
    }
    return true;
}

VMI__RUN_ONCE static VMI__ADDRESS_TAKEN void probe(struct vmi__device *device)
{
    struct network *network = network_of(device);
    struct vmi_device_properties *info = &device->info;
    char address[20];
    uint64_t mtu;

    /* Copies, and a channel for each way, are what all of today's back ends offer. */
    if (!vmi__xen_common_wait_for(&network->bus, XenbusStateInitWait, XenbusStateConnected) ||
        vmi__xen_common_told(&network->bus, "feature-rx-copy", 0) != 1 ||
        vmi__xen_common_told(&network->bus, "feature-split-event-channels", 0) != 1 ||
        vmi__xen_common_text(&network->bus, "mac", address, sizeof(address)) < 0 ||
        !parse_address(address, info->address))
        return;
    mtu = vmi__xen_common_own(&network->bus, "mtu", MTU);
    if (mtu < MTU_LEAST)
        return;
    info->kind = VMI_DEVICE_NETWORK;
    info->mtu = mtu < MTU ? (uint32_t)mtu : MTU;
    info->queues = 1;
    info->segments = SEGMENTS_MAX;
    info->segment_bytes = PAGE;
    info->requests = REQUESTS_MAX;
    vmi__device_keep(device);
}

VMI__RUN_ONCE static VMI__ADDRESS_TAKEN void find(const struct vmi__driver *driver)
{
    vmi__xen_common_each(driver, "vif", probe);
}

static VMI__ADDRESS_TAKEN bool linked(struct vmi__device *device)
{
    const struct vmi__xen_common_bus *bus = vmi__xen_common_bus_of(device);
    enum xenbus_state state = vmi__xen_common_state(bus);

    return state >= XenbusStateInitWait && state <= XenbusStateConnected &&
           vmi__xen_common_told(bus, "carrier", 1) == 1;
}

/* ---- opening ---- */

static VMI__ADDRESS_TAKEN uintptr_t memory(struct vmi__device *device,
                                           const struct vmi_device_setup *setup)
{
    uint32_t entries = vmi__xen_common_ring_entries(RING_BYTES, entry_bytes[VMI__SEND]);

    (void)device;
    if (setup->requests * FRAMES_OF(setup->segments) > entries)
        return 0;
    return VMI__WAYS * RING_BYTES +
           (uintptr_t)setup->requests *
               (PAGE + (uint32_t)sizeof(struct received) + (uint32_t)sizeof(struct sent)) +
           RECEIVE_ENTRIES * sizeof(uint16_t);
}

/* Does something with every reference of the network's, 0 where it has none; false if one failed.
 */
VMI__RUN_ONCE static bool with_references(struct vmi__device *device,
                                          bool (*with)(grant_ref_t *reference))
{
    struct network *network = network_of(device);
    bool all = true;

    for (uint32_t way = 0; way < VMI__WAYS; way++)
        all &= with(&network->references[way]);
    for (uint32_t slot = 0; network->pages && slot < device->setup.requests; slot++) {
        all &= with(&network->received[slot].reference);
        for (uint32_t i = 0; i < FRAMES_OF(SEGMENTS_MAX); i++)
            all &= with(&network->sent[slot].parts[i].reference);
    }
    return all;
}

/* Everything that is lent, rings included, and the references themselves; false if some is held. */
VMI__RUN_ONCE static VMI__ADDRESS_TAKEN bool leave(struct vmi__device *device)
{
    struct network *network = network_of(device);
    bool all;

    for (uint32_t way = 0; way < VMI__WAYS; way++)
        vmi__xen_common_close(&network->bus.ports[way]);
    all = with_references(device, vmi__xen_common_take_back);
    if (all)
        network->pages = 0;
    return all;
}

/* Has the frames of packets under way lend nothing; false if the other side has one. */
VMI__RUN_ONCE static bool end_sending(struct vmi__device *device)
{
    struct network *network = network_of(device);
    bool all = true;

    for (uint32_t slot = 0; network->pages && slot < device->setup.requests; slot++)
        for (uint32_t i = 0; i < FRAMES_OF(SEGMENTS_MAX); i++)
            if (network->sent[slot].left & 1u << i)
                all &= vmi__xen_common_grant_end(network->sent[slot].parts[i].reference);
    return all;
}

VMI__RUN_ONCE static VMI__ADDRESS_TAKEN void stop(struct vmi__device *device)
{
    struct network *network = network_of(device);

    for (uint32_t way = 0; way < VMI__WAYS; way++)
        if (network->bus.ports[way])
            vmi__xen_common_port_mask(network->bus.ports[way]);
    vmi__xen_common_part(&network->bus, !device->info.fault);
    for (uint32_t waits = 0; !end_sending(device); waits++) {
        if (waits == LETTING_GO_WAITS) {
            if (!device->info.fault)
                device->info.fault = VMI_FAULT_HELD;
            break;
        }
        vmi__xen_common_wait();
    }
}

/* References of all slots, those to receive with their pages. */
VMI__RUN_ONCE static bool reserve(struct vmi__device *device)
{
    struct network *network = network_of(device);
    const struct vmi_device_setup *setup = &device->setup;

    for (uint32_t slot = 0; slot < setup->requests; slot++) {
        if (!vmi__xen_common_lend_page(device, &network->received[slot].reference,
                                       network->pages + slot * PAGE, false))
            return false;
        for (uint32_t i = 0; i < FRAMES_OF(setup->segments); i++)
            if (!vmi__xen_common_reserve(device, &network->sent[slot].parts[i].reference))
                return false;
    }
    return true;
}

/* Nodes of the front end's: what it has, and what it does without. */
VMI__RUN_ONCE static bool tell_all(const struct network *network)
{
    static const struct {
        const char *name;
        uint32_t value;
    } fixed[] = {
        {"request-rx-copy", 1},           {"feature-rx-notify", 1},
        {"feature-no-csum-offload", 1},   {"feature-sg", 0},
        {"feature-gso-tcpv4", 0},         {"feature-gso-tcpv6", 0},
        {"feature-ipv6-csum-offload", 0},
    };
    const struct vmi__xen_common_bus *bus = &network->bus;
    bool told = vmi__xen_common_tell(bus, "rx-ring-ref", network->references[VMI__RECEIVE]) &&
                vmi__xen_common_tell(bus, "tx-ring-ref", network->references[VMI__SEND]) &&
                vmi__xen_common_tell(bus, "event-channel-rx", bus->ports[VMI__RECEIVE]) &&
                vmi__xen_common_tell(bus, "event-channel-tx", bus->ports[VMI__SEND]);

    for (uint32_t i = 0; told && i < sizeof(fixed) / sizeof(fixed[0]); i++)
        told = vmi__xen_common_tell(bus, fixed[i].name, fixed[i].value);
    return told;
}

/* Comes together with the other side, with rings at zeroed memory, and lends it what stays so. */
VMI__RUN_ONCE static bool come_together(struct vmi__device *device, char *at)
{
    struct network *network = network_of(device);

    for (uint32_t way = 0; way < VMI__WAYS; way++) {
        vmi__xen_common_ring_begin(&network->rings[way], at + way * RING_BYTES, RING_BYTES,
                                   entry_bytes[way]);
        network->bus.rings[way] = &network->rings[way];
    }
    if (!vmi__xen_common_begin(&network->bus))
        return false;
    for (uint32_t way = 0; way < VMI__WAYS; way++) {
        if (!vmi__xen_common_lend_page(device, &network->references[way], at + way * RING_BYTES,
                                       false))
            return false;
        network->bus.ports[way] = vmi__xen_common_channel(&network->bus);
        if (!network->bus.ports[way])
            return false;
    }
    return reserve(device) && tell_all(network) &&
           vmi__xen_common_connect(&network->bus, XenbusStateConnected);
}

VMI__RUN_ONCE static VMI__ADDRESS_TAKEN bool start(struct vmi__device *device, void *at)
{
    struct network *network = network_of(device);
    uint32_t requests = device->setup.requests;
    char *place = (char *)at + VMI__WAYS * RING_BYTES;

    network->pages = place;
    place += requests * PAGE;
    network->received = (struct received *)place;
    place += requests * sizeof(struct received);
    network->sent = (struct sent *)place;
    place += requests * sizeof(struct sent);
    network->posted = (uint16_t *)place;
    vmi__device_limit_to_linear(device);
    return come_together(device, at);
}

/* ---- packets ---- */

static VMI__ADDRESS_TAKEN void tell(struct vmi__device *device, uint32_t way)
{
    struct network *network = network_of(device);

    if (vmi__xen_common_ring_publish(&network->rings[way]))
        vmi__xen_common_notify(network->bus.ports[way]);
}

/* Puts a slot's page on the ring. */
static void post(struct network *network, uint32_t slot)
{
    struct vmi__xen_common_ring *ring = &network->rings[VMI__RECEIVE];
    uint32_t index = ring->given & (ring->count - 1);
    volatile struct netif_rx_request *entry = vmi__xen_common_ring_put(ring);

    network->posted[index] = (uint16_t)slot;
    entry->id = (uint16_t)slot;
    entry->pad = 0;
    entry->gref = network->received[slot].reference;
}

/* Lends a slot's packet and puts it on the ring, an entry for each of its frames; the first one has
 * the whole length. */
static void send(struct network *network, uint32_t slot)
{
    struct vmi__xen_common_ring *ring = &network->rings[VMI__SEND];
    struct sent *sent = &network->sent[slot];
    uint32_t bytes = 0;

    for (uint32_t i = 0; i < sent->frames; i++)
        bytes += sent->parts[i].size;
    for (uint32_t i = 0; i < sent->frames; i++) {
        const struct part *part = &sent->parts[i];
        volatile struct netif_tx_request *entry = vmi__xen_common_ring_put(ring);

        vmi__xen_common_lend_by(&network->bus, part->reference, part->pfn, true);
        entry->gref = part->reference;
        entry->offset = part->offset;
        entry->flags = i + 1 < sent->frames ? NETTXF_more_data : 0;
        entry->id = (uint16_t)(slot * FRAMES_OF(SEGMENTS_MAX) + i);
        entry->size = i ? part->size : (uint16_t)bytes;
    }
    sent->left = (1u << sent->frames) - 1;
    sent->status = VMI_OK;
}

/* The frames that a packet lies in. */
static void divide(struct sent *sent, const struct vmi_net_buffer *buffer)
{
    sent->frames = 0;
    for (uint32_t i = 0; i < buffer->count; i++) {
        uint64_t address = buffer->segments[i].address;
        uint32_t left = buffer->segments[i].length;

        while (left) {
            uint32_t offset = (uint32_t)address & (PAGE - 1);
            uint32_t size = left < PAGE - offset ? left : PAGE - offset;
            struct part *part = &sent->parts[sent->frames++];

            part->pfn = (uint32_t)(address >> 12);
            part->offset = (uint16_t)offset;
            part->size = (uint16_t)size;
            address += size;
            left -= size;
        }
    }
}

static VMI__ADDRESS_TAKEN void pass(struct vmi__device *device, uint32_t way, uint32_t slot,
                                    const struct vmi_net_buffer *buffer)
{
    struct network *network = network_of(device);

    if (way == VMI__RECEIVE) {
        struct received *received = &network->received[slot];

        for (uint32_t i = 0; i < buffer->count; i++)
            received->segments[i] = buffer->segments[i];
        post(network, slot);
    } else {
        divide(&network->sent[slot], buffer);
        send(network, slot);
    }
}

/* The back end is a new one, which has nothing: buffers it is given again, and packets that have
 * not been sent. */
VMI__RUN_ONCE static VMI__ADDRESS_TAKEN bool come_again(struct vmi__device *device)
{
    struct network *network = network_of(device);
    char *rings = (char *)(uintptr_t)device->setup.memory;

    vmi__xen_common_channels_forget(&network->bus);
    with_references(device, vmi__xen_common_grant_keep);
    if (device->state != VMI__DEVICE_OPEN)
        return true;
    memset(rings, 0, VMI__WAYS * RING_BYTES);
    if (!come_together(device, rings))
        return false;
    for (uint32_t slot = 0; slot < device->setup.requests; slot++) {
        if (device->queues[VMI__RECEIVE].slots[slot].state == VMI__SLOT_GIVEN)
            post(network, slot);
        if (device->queues[VMI__SEND].slots[slot].state == VMI__SLOT_GIVEN)
            send(network, slot);
    }
    for (uint32_t way = 0; way < VMI__WAYS; way++)
        tell(device, way);
    return true;
}

/*
 * The next packet that has been received. One that has no place in its buffer, or has failed, is
 * lost, and its buffer stays with the other side.
 */
static enum vmi__taken take_received(struct vmi__device *device, struct vmi__ended *ended)
{
    struct network *network = network_of(device);
    struct vmi__xen_common_ring *ring = &network->rings[VMI__RECEIVE];

    for (;;) {
        uint32_t slot = network->posted[ring->taken & (ring->count - 1)], offset, flags;
        const volatile struct netif_rx_response *response;
        const volatile void *next;
        enum vmi__taken taken = vmi__xen_common_ring_take(device, ring, &next);
        int32_t bytes;
        uint16_t id;

        if (taken != VMI__TAKEN_ONE)
            return taken;
        /* Read once: what is checked is what is used. */
        response = next;
        id = response->id;
        offset = response->offset;
        flags = response->flags;
        bytes = response->status;
        /* Each entry is answered at its place. */
        if (id != slot)
            return vmi__device_fault(device, VMI_FAULT_IDENTIFIER);
        /* Neither was agreed on. */
        if (flags & (NETRXF_more_data | NETRXF_extra_info))
            return vmi__device_fault(device, VMI_FAULT_STATUS);
        if (bytes > (int32_t)PAGE || offset + (uint32_t)(bytes > 0 ? bytes : 0) > PAGE)
            return vmi__device_fault(device, VMI_FAULT_LENGTH);
        if (bytes < (int32_t)ETHERNET_LEAST ||
            (uint32_t)bytes > device->queues[VMI__RECEIVE].slots[slot].room) {
            post(network, slot);
            tell(device, VMI__RECEIVE);
            continue;
        }
        vmi__device_scatter(network->received[slot].segments, network->pages + slot * PAGE + offset,
                            (uint32_t)bytes);
        *ended = (struct vmi__ended){.slot = slot, .length = (uint32_t)bytes, .status = VMI_OK};
        return VMI__TAKEN_ONE;
    }
}

/* The next packet all of whose frames have been sent. */
static enum vmi__taken take_sent(struct vmi__device *device, struct vmi__ended *ended)
{
    struct network *network = network_of(device);
    struct vmi__xen_common_ring *ring = &network->rings[VMI__SEND];

    for (;;) {
        const volatile struct netif_tx_response *response;
        const volatile void *next;
        enum vmi__taken taken = vmi__xen_common_ring_take(device, ring, &next);
        struct sent *sent;
        uint32_t slot, bit;
        int32_t status;
        uint16_t id;

        if (taken != VMI__TAKEN_ONE)
            return taken;
        response = next;
        id = response->id;
        status = response->status;
        slot = id / FRAMES_OF(SEGMENTS_MAX);
        bit = 1u << id % FRAMES_OF(SEGMENTS_MAX);
        if (slot >= device->setup.requests || !(network->sent[slot].left & bit))
            return vmi__device_fault(device, VMI_FAULT_IDENTIFIER);
        sent = &network->sent[slot];
        if (status != NETIF_RSP_OKAY && status != NETIF_RSP_DROPPED && status != NETIF_RSP_ERROR)
            return vmi__device_fault(device, VMI_FAULT_STATUS);
        if (!vmi__xen_common_grant_end(sent->parts[id % FRAMES_OF(SEGMENTS_MAX)].reference))
            return vmi__device_fault(device, VMI_FAULT_HELD);
        if (status == NETIF_RSP_ERROR)
            sent->status = VMI_EIO;
        sent->left &= ~bit;
        if (sent->left)
            continue;
        *ended = (struct vmi__ended){.slot = slot, .status = sent->status};
        return VMI__TAKEN_ONE;
    }
}

static VMI__ADDRESS_TAKEN enum vmi__taken take(struct vmi__device *device, uint32_t way,
                                               struct vmi__ended *ended)
{
    return way == VMI__RECEIVE ? take_received(device, ended) : take_sent(device, ended);
}

static VMI__ADDRESS_TAKEN bool ask(struct vmi__device *device, uint32_t way)
{
    return vmi__xen_common_ring_ask(&network_of(device)->rings[way]);
}

const struct vmi__driver vmi__driver_netfront;
const struct vmi__driver vmi__driver_netfront = {
    .name = "netfront",
    .find = find,
    .memory = memory,
    .start = start,
    .stop = stop,
    .leave = leave,
    .come_again = come_again,
    .pass = pass,
    .linked = linked,
    .tell = tell,
    .take = take,
    .ask = ask,
};
