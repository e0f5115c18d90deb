/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The calls for devices: checks what kernels ask for, keeps the table of requests, and ends each
 * request once, whatever the device does.
 */
#include "driver.h"
#include "entropy.h"
#include "platform.h"
#include "runtime.h"

#define PAGE 4096u

/* So many bytes in a row are not the same by chance: once in 2^64 of them. */
#define RUN_MAX 9

/* Images have it where clients of the published API, who use no devices, have no memory for it. */
static struct vmi__device devices[VMI__DEVICES_MAX] __attribute__((section(".bss..bound_only")));
static uint32_t count;
static bool found;
static volatile uint32_t lock; /* of finding, opening and closing */

/* ---- devices ---- */

VMI__RUN_ONCE struct vmi__device *vmi__device_add(const struct vmi__driver *driver, uint32_t place)
{
    struct vmi__device *device = &devices[count];

    for (uint32_t i = 0; i < count; i++)
        if (devices[i].place == place)
            return 0;
    if (count == VMI__DEVICES_MAX)
        return 0;
    memset(device, 0, sizeof(*device));
    device->driver = driver;
    device->number = count;
    device->place = place;
    return device;
}

void vmi__device_keep(struct vmi__device *device)
{
    count = device->number + 1;
}

static uint32_t append(uint8_t *to, uint32_t at, uint32_t room, const char *text)
{
    while (*text && at + 1 < room)
        to[at++] = (uint8_t)*text++;
    to[at] = 0;
    return at;
}

VMI__RUN_ONCE void vmi__device_name(struct vmi__device *device, const char *bus, const char *where)
{
    const char *const words[] = {bus, " ", where, " ", device->driver->name};
    uint32_t at = 0;

    for (uint32_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        at = append(device->info.name, at, sizeof(device->info.name), words[i]);
}

struct vmi__device *vmi__device_by_number(uint32_t number)
{
    return number < count ? &devices[number] : 0;
}

struct vmi__device *vmi__device_of_event(uint32_t number, uint32_t *queue)
{
    struct vmi__device *device = vmi__device_by_number(number >> 16);

    *queue = number & 0xffff;
    return device && device->state == VMI__DEVICE_OPEN && *queue < device->opened ? device : 0;
}

static int32_t fill_from_device(uint32_t number, uint8_t *to, uint32_t size);

/* Once; whoever comes meanwhile waits for it. */
static void find(void)
{
    uint32_t flags = vmi__platform_enter(&lock);

    if (!found) {
        vmi__platform_init();
        for (uint32_t i = 0; vmi__drivers[i]; i++)
            vmi__drivers[i]->find(vmi__drivers[i]);
    }
    found = true;
    vmi__entropy_of_devices = fill_from_device;
    vmi__platform_leave(&lock, flags);
}

VMI__RUN_ONCE VMI__ROUTINE int32_t vmi__device_info(uint32_t number,
                                                    struct vmi_device_properties *info);
VMI__ROUTINE int32_t vmi__device_info(uint32_t number, struct vmi_device_properties *info)
{
    struct vmi__device *device;

    find();
    device = vmi__device_by_number(number);
    if (!device)
        return VMI_ENOENT;
    *info = device->info;
    if (info->kind == VMI_DEVICE_NETWORK && device->driver->linked(device))
        info->flags |= VMI_DEVICE_IS_LINKED;
    if (info->kind == VMI_DEVICE_BALLOON)
        info->target = device->driver->balloon->target(device);
    if (device->state != VMI__DEVICE_CLOSED)
        info->flags |= VMI_DEVICE_IS_OPEN;
    return VMI_OK;
}

/* ---- opening ---- */

static uintptr_t whole_pages(uintptr_t bytes)
{
    return (bytes + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
}

/* Bytes of the table of requests, whole pages: nothing in them is the device's to see. */
static uintptr_t table_bytes(const struct vmi__device *device, const struct vmi_device_setup *setup)
{
    return whole_pages((uintptr_t)vmi__device_queues(device, setup) * setup->requests *
                       (uint32_t)sizeof(struct vmi__slot));
}

static bool is_entropy(const struct vmi__device *device)
{
    return device->info.kind == VMI_DEVICE_ENTROPY;
}

/* Bytes of what a source of entropy fills, whole pages. */
static uintptr_t stock_bytes(const struct vmi__device *device, const struct vmi_device_setup *setup)
{
    return is_entropy(device) ? whole_pages((uintptr_t)setup->requests * VMI__ENTROPY_BYTES) : 0;
}

/* Bytes of the driver's rings, whole pages; 0 if the setup is not one. */
static uintptr_t ring_bytes(struct vmi__device *device, const struct vmi_device_setup *setup)
{
    const struct vmi_device_properties *info = &device->info;

    if (!setup->queues || setup->queues > info->queues || !setup->requests ||
        setup->requests > info->requests || !setup->segments || setup->segments > info->segments)
        return 0;
    return whole_pages(device->driver->memory(device, setup));
}

VMI__RUN_ONCE VMI__ROUTINE int32_t vmi__device_needs(uint32_t number,
                                                     const struct vmi_device_setup *setup,
                                                     struct vmi_device_memory *needs);
VMI__ROUTINE int32_t vmi__device_needs(uint32_t number, const struct vmi_device_setup *setup,
                                       struct vmi_device_memory *needs)
{
    struct vmi__device *device = vmi__device_by_number(number);
    uintptr_t rings;

    if (!device)
        return VMI_ENOENT;
    rings = ring_bytes(device, setup);
    if (!rings)
        return VMI_EINVAL;
    needs->limit = 0;
    needs->size = rings + stock_bytes(device, setup) + table_bytes(device, setup);
    needs->alignment = PAGE;
    return VMI_OK;
}

/* Is it in the linear mapping, on a page, with so much behind it? */
static bool is_memory(uintptr_t linear, uintptr_t size)
{
    uintptr_t start = linear - (uintptr_t)vmi__boot.linear_base;
    uint64_t end = (uint64_t)vmi__boot.linear_pages * PAGE;

    return linear % PAGE == 0 && start <= end && size <= end - start;
}

/* Where memory ends: what lies behind it is no frame, and may be a linear address by mistake. */
static uint64_t memory_end(void)
{
    uint64_t end = (uint64_t)vmi__boot.linear_pages * PAGE;

    for (uint32_t i = 0; i < vmi__boot.memory_count; i++) {
        const struct vmi_memory_range *range = &vmi__boot.memory[i];

        if (range->kind == VMI_MEMORY_USABLE && range->base + range->size > end)
            end = range->base + range->size;
    }
    return end;
}

void vmi__device_limit_to_linear(struct vmi__device *device)
{
    uint64_t end = (uint64_t)vmi__boot.linear_pages * PAGE;

    if (device->memory_end > end)
        device->memory_end = end;
}

/* Where segments of a device's requests may lie while it is open. */
static void limit_memory(struct vmi__device *device)
{
    device->memory_start = 0;
    device->memory_end = memory_end();
    if (device->kept && device->info.kind == VMI_DEVICE_BLOCK) {
        device->memory_start = (uint64_t)device->kept_first * PAGE;
        device->memory_end = device->memory_start + (uint64_t)device->kept * PAGE;
    }
}

VMI__RUN_ONCE VMI__ROUTINE int32_t vmi__device_leave_frames(uint32_t number, uintptr_t first,
                                                            uint32_t pages);
VMI__ROUTINE int32_t vmi__device_leave_frames(uint32_t number, uintptr_t first, uint32_t pages)
{
    struct vmi__device *device = vmi__device_by_number(number);
    uint64_t end = memory_end() / PAGE;
    int32_t result = VMI_EBUSY;
    uint32_t flags;

    if (!device)
        return VMI_ENOENT;
    if (!pages || first >= end || pages > end - first)
        return VMI_EINVAL;
    flags = vmi__platform_enter(&lock);
    if (device->state == VMI__DEVICE_CLOSED && !device->kept) {
        device->kept_first = first;
        device->kept = pages;
        result = VMI_OK;
    }
    vmi__platform_leave(&lock, flags);
    return result;
}

VMI__RUN_ONCE VMI__ROUTINE int32_t vmi__device_release_frames(uint32_t number);
VMI__ROUTINE int32_t vmi__device_release_frames(uint32_t number)
{
    struct vmi__device *device = vmi__device_by_number(number);
    int32_t result = VMI_OK;
    uint32_t flags;

    if (!device)
        return VMI_ENOENT;
    flags = vmi__platform_enter(&lock);
    if (device->state != VMI__DEVICE_CLOSED)
        result = VMI_EBUSY;
    else if (!device->kept)
        result = VMI_EINVAL;
    else
        device->kept = 0;
    vmi__platform_leave(&lock, flags);
    return result;
}

static void make_table(struct vmi__device *device, char *memory)
{
    uint32_t requests = device->setup.requests;

    for (uint32_t i = 0; i < device->opened; i++) {
        struct vmi__queue *queue = &device->queues[i];

        memset(queue, 0, sizeof(*queue));
        queue->slots = (struct vmi__slot *)memory + i * requests;
        for (uint32_t slot = 0; slot < requests; slot++)
            queue->slots[slot].next = (uint16_t)(slot + 1);
    }
}

/* A free slot that is the device's from now on: the kernel's name for it, and bytes to write. */
static uint32_t claim(struct vmi__queue *queue, uint64_t id, uint32_t room)
{
    uint32_t at = queue->free;
    struct vmi__slot *slot = &queue->slots[at];

    queue->free = slot->next;
    slot->id = id;
    slot->state = VMI__SLOT_GIVEN;
    slot->room = room;
    queue->given++;
    return at;
}

/* Has a source of entropy fill the buffers of all free slots, which are zeroed. */
static void give_buffers(struct vmi__device *device)
{
    struct vmi__queue *queue = &device->queues[0];

    while (queue->free < device->setup.requests) {
        uint32_t at = claim(queue, 0, VMI__ENTROPY_BYTES);

        device->driver->fill(device, 0, at, device->stock.buffers + at * VMI__ENTROPY_BYTES,
                             VMI__ENTROPY_BYTES);
    }
    device->driver->tell(device, 0);
}

/* Is what the device was given the kernel's again? */
static bool is_left(struct vmi__device *device)
{
    return !device->driver->leave || device->driver->leave(device);
}

VMI__RUN_ONCE VMI__ROUTINE int32_t vmi__device_open(uint32_t number,
                                                    const struct vmi_device_setup *setup);
VMI__ROUTINE int32_t vmi__device_open(uint32_t number, const struct vmi_device_setup *setup)
{
    struct vmi__device *device = vmi__device_by_number(number);
    int32_t result = VMI_OK;
    uintptr_t rings, table, size;
    uint32_t flags;

    if (!device)
        return VMI_ENOENT;
    flags = vmi__platform_enter(&lock);
    rings = ring_bytes(device, setup);
    table = rings + stock_bytes(device, setup);
    size = table + table_bytes(device, setup);
    if (device->state != VMI__DEVICE_CLOSED) {
        result = VMI_EBUSY;
    } else if (!rings || !is_memory((uintptr_t)setup->memory, size)) {
        result = VMI_EINVAL;
    } else {
        char *memory = (char *)(uintptr_t)setup->memory;

        device->setup = *setup;
        device->opened = vmi__device_queues(device, setup);
        limit_memory(device);
        device->info.fault = VMI_FAULT_NONE;
        device->refusal = VMI_EIO;
        memset(memory, 0, size);
        make_table(device, memory + table);
        if (device->driver->start(device, memory)) {
            if (is_entropy(device)) {
                device->stock = (struct vmi__stock){.buffers = (uint8_t *)memory + rings};
                give_buffers(device);
            }
            device->state = VMI__DEVICE_OPEN;
        } else {
            device->driver->stop(device);
            if (!is_left(device)) {
                device->info.fault = VMI_FAULT_HELD;
                device->state = VMI__DEVICE_SHUT_OFF;
            }
            result = device->refusal;
        }
    }
    vmi__platform_leave(&lock, flags);
    return result;
}

/* ---- the end of a device ---- */

/*
 * Resets a device that is open, and nobody uses it from then on. What it has not ended is reaped
 * from the table. A caller that has found a fault holds the lock of its own queue, and the others'
 * users only write what a device that is reset does not read.
 */
VMI__RUN_ONCE static void reset(struct vmi__device *device, enum vmi__device_state state, bool own)
{
    uint32_t flags[VMI__QUEUES_MAX] = {0};
    uint32_t queues = device->opened;

    if (!__sync_bool_compare_and_swap(&device->state, VMI__DEVICE_OPEN, (uint32_t)state))
        return;
    /* Whoever was in another queue has left it before the device is reset. */
    for (uint32_t i = 0; i < queues; i++) {
        if (!own)
            flags[i] = vmi__platform_enter(&device->queues[i].lock);
    }
    device->driver->stop(device);
    for (uint32_t i = queues; i > 0; i--) {
        if (!own)
            vmi__platform_leave(&device->queues[i - 1].lock, flags[i - 1]);
    }
}

void vmi__devices_come_again(void)
{
    uint32_t flags = vmi__platform_enter(&lock);

    for (uint32_t i = 0; i < count; i++) {
        struct vmi__device *device = &devices[i];

        if (device->state == VMI__DEVICE_CLOSED || !device->driver->come_again ||
            device->driver->come_again(device))
            continue;
        device->info.fault = VMI_FAULT_LOST;
        reset(device, VMI__DEVICE_SHUT_OFF, true);
    }
    vmi__platform_leave(&lock, flags);
}

/* Nobody has asked for what a source of entropy was filling; what it has filled is nobody's. */
static void drop_stock(struct vmi__device *device)
{
    memset(device->stock.buffers, 0, stock_bytes(device, &device->setup));
    device->queues[0].given = 0;
}

VMI__RUN_ONCE VMI__ROUTINE int32_t vmi__device_close(uint32_t number);
VMI__ROUTINE int32_t vmi__device_close(uint32_t number)
{
    struct vmi__device *device = vmi__device_by_number(number);
    uint32_t flags, given = 0;
    bool closed;

    if (!device)
        return VMI_ENOENT;
    if (device->state == VMI__DEVICE_CLOSED)
        return VMI_EINVAL;
    vmi__platform_unbind(number);
    flags = vmi__platform_enter(&lock);
    reset(device, VMI__DEVICE_CLOSING, false);
    if (is_entropy(device))
        drop_stock(device);
    for (uint32_t i = 0; i < device->opened; i++)
        given += device->queues[i].given;
    closed = !given && is_left(device);
    if (closed)
        device->state = VMI__DEVICE_CLOSED;
    vmi__platform_leave(&lock, flags);
    return closed ? VMI_OK : VMI_EBUSY;
}

/* ---- requests and their ends ---- */

/* An open device of that kind with that queue, as its setup counts them; or 0 and why. */
static struct vmi__device *opened(uint32_t number, uint32_t kind, uint32_t queue, int32_t *error)
{
    struct vmi__device *device = vmi__device_by_number(number);

    *error = VMI_ENOENT;
    if (!device)
        return 0;
    *error = VMI_EINVAL;
    return device->info.kind == kind && device->state != VMI__DEVICE_CLOSED &&
                   queue < device->setup.queues
               ? device
               : 0;
}

/* Why a device takes nothing more, or 0. Under the lock of a queue. */
static int32_t check_state(const struct vmi__device *device)
{
    if (device->state == VMI__DEVICE_SHUT_OFF)
        return VMI_EIO;
    return device->state == VMI__DEVICE_OPEN ? VMI_OK : VMI_EINVAL;
}

static bool is_full(const struct vmi__device *device, uint32_t queue)
{
    return device->queues[queue].free == device->setup.requests;
}

/* How many bytes segments have in all, 0 if there is something wrong about them. */
static uint64_t check_segments(const struct vmi__device *device, const struct vmi_segment *segments,
                               uint32_t count, uint32_t alignment)
{
    uint64_t bytes = 0;

    if (count > device->setup.segments)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t address = segments[i].address;
        uint32_t length = segments[i].length;

        if (!length || length > device->info.segment_bytes || address + length < address ||
            address < device->memory_start || address + length > device->memory_end ||
            ((uint32_t)address | length) & (alignment - 1))
            return 0;
        bytes += length;
    }
    return bytes;
}

/* Makes a slot one of the free ones again, the first of them; its request's name. */
static uint64_t release(struct vmi__queue *queue, uint32_t at)
{
    struct vmi__slot *slot = &queue->slots[at];

    slot->state = VMI__SLOT_FREE;
    slot->next = (uint16_t)queue->free;
    queue->free = at;
    queue->given--;
    return slot->id;
}

/* Gives a slot's request back to the kernel, and the slot to the free ones. */
static void end(struct vmi__queue *queue, uint32_t at, int32_t status, uint32_t length,
                struct vmi_completion *completion)
{
    *completion =
        (struct vmi_completion){.id = release(queue, at), .status = status, .length = length};
}

/* The next slot that a device has ended, held against the table. */
static enum vmi__taken take(struct vmi__device *device, uint32_t number, struct vmi__ended *ended)
{
    const struct vmi__slot *slots = device->queues[number].slots;
    enum vmi__taken taken = device->driver->take(device, number, ended);

    if (taken != VMI__TAKEN_ONE)
        return taken;
    if (ended->slot >= device->setup.requests || slots[ended->slot].state != VMI__SLOT_GIVEN)
        device->info.fault = VMI_FAULT_IDENTIFIER;
    else if (ended->length > slots[ended->slot].room)
        device->info.fault = VMI_FAULT_LENGTH;
    return device->info.fault ? VMI__TAKEN_FAULT : VMI__TAKEN_ONE;
}

/* Takes what a device has ended. */
static uint32_t reap(struct vmi__device *device, uint32_t number,
                     struct vmi_completion *completions, uint32_t room)
{
    struct vmi__queue *queue = &device->queues[number];
    enum vmi__taken taken = VMI__TAKEN_NONE;
    struct vmi__ended ended;
    uint32_t done = 0;

    do {
        while (done < room) {
            taken = take(device, number, &ended);
            if (taken != VMI__TAKEN_ONE)
                break;
            end(queue, ended.slot, ended.status, ended.length, &completions[done++]);
        }
    } while (done < room && taken == VMI__TAKEN_NONE && device->driver->ask(device, number));
    if (taken == VMI__TAKEN_FAULT)
        reset(device, VMI__DEVICE_SHUT_OFF, true);
    return done;
}

/* Takes what a reset has ended. */
VMI__RUN_ONCE static uint32_t reap_reset(struct vmi__device *device, struct vmi__queue *queue,
                                         struct vmi_completion *completions, uint32_t room)
{
    int32_t status = device->info.fault ? VMI_EIO : VMI_ECANCELED;
    uint32_t done = 0;

    for (; queue->given && done < room; queue->cursor++)
        if (queue->slots[queue->cursor].state == VMI__SLOT_GIVEN)
            end(queue, queue->cursor, status, 0, &completions[done++]);
    return done;
}

/* Takes what has ended of a queue of the table, by the device or by its reset. */
static int32_t reap_queue(struct vmi__device *device, uint32_t queue,
                          struct vmi_completion *completions, uint32_t room)
{
    uint32_t done = 0, flags;

    if (room > INT32_MAX)
        room = INT32_MAX;
    flags = vmi__platform_enter(&device->queues[queue].lock);
    if (device->state == VMI__DEVICE_OPEN)
        done = reap(device, queue, completions, room);
    if (device->state != VMI__DEVICE_OPEN)
        done += reap_reset(device, &device->queues[queue], completions + done, room - done);
    vmi__platform_leave(&device->queues[queue].lock, flags);
    return (int32_t)done;
}

/* ---- disks ---- */

/* What is wrong about the memory of a read or write, or 0. */
static int32_t check_memory(const struct vmi__device *device,
                            const struct vmi_block_request *request)
{
    uint64_t bytes = (uint64_t)request->blocks * device->info.block_size;

    if (check_segments(device, request->segments, request->count, VMI_SEGMENT_ALIGNMENT) != bytes)
        return VMI_EINVAL;
    return !device->driver->fits || device->driver->fits(device, request) ? VMI_OK : VMI_EINVAL;
}

/* What is wrong about a request, or 0. */
static int32_t check(const struct vmi__device *device, const struct vmi_block_request *request)
{
    const struct vmi_device_properties *info = &device->info;
    uint32_t operation = request->operation;
    bool moves = operation == VMI_BLOCK_READ || operation == VMI_BLOCK_WRITE;

    if (operation > VMI_BLOCK_DISCARD)
        return VMI_EINVAL;
    if (operation == VMI_BLOCK_FLUSH) {
        if (request->block || request->blocks)
            return VMI_EINVAL;
        return info->flags & VMI_DEVICE_IS_CACHED ? VMI_OK : VMI_ENOSYS;
    }
    if (!request->blocks || request->block >= info->blocks ||
        request->blocks > info->blocks - request->block)
        return VMI_EINVAL;
    if (operation != VMI_BLOCK_READ && info->flags & VMI_DEVICE_IS_READ_ONLY)
        return VMI_EROFS;
    if (moves)
        return request->blocks > info->request_blocks ? VMI_EINVAL : check_memory(device, request);
    if (!info->discard_blocks)
        return VMI_ENOSYS;
    return request->blocks > info->discard_blocks ? VMI_EINVAL : VMI_OK;
}

VMI__ROUTINE int32_t vmi__block_submit(uint32_t number, uint32_t queue,
                                       const struct vmi_block_request *requests, uint32_t wanted);
VMI__ROUTINE int32_t vmi__block_submit(uint32_t number, uint32_t queue,
                                       const struct vmi_block_request *requests, uint32_t wanted)
{
    int32_t error;
    struct vmi__device *device = opened(number, VMI_DEVICE_BLOCK, queue, &error);
    uint32_t taken = 0, flags, room, slot;

    if (!device)
        return error;
    flags = vmi__platform_enter(&device->queues[queue].lock);
    error = check_state(device);
    while (!error && taken < wanted) {
        /* Read once: what is checked is what is given. */
        struct vmi_block_request request = requests[taken];

        error = check(device, &request);
        if (error || is_full(device, queue))
            break;
        room = request.operation == VMI_BLOCK_READ ? request.blocks * device->info.block_size : 0;
        slot = claim(&device->queues[queue], request.id, room);
        device->driver->put(device, queue, slot, &request);
        taken++;
    }
    if (taken)
        device->driver->tell(device, queue);
    vmi__platform_leave(&device->queues[queue].lock, flags);
    return taken ? (int32_t)taken : error;
}

VMI__ROUTINE int32_t vmi__block_reap(uint32_t number, uint32_t queue,
                                     struct vmi_completion *completions, uint32_t room);
VMI__ROUTINE int32_t vmi__block_reap(uint32_t number, uint32_t queue,
                                     struct vmi_completion *completions, uint32_t room)
{
    int32_t error;
    struct vmi__device *device = opened(number, VMI_DEVICE_BLOCK, queue, &error);

    return device ? reap_queue(device, queue, completions, room) : error;
}

/* ---- networks ---- */

#define ETHERNET_LEAST 14u /* bytes of its header */
#define ETHERNET_MOST  18u /* with the tag of a VLAN */

void vmi__device_scatter(const struct vmi_segment *segments, const void *packet, uint32_t bytes)
{
    const char *from = packet;

    for (uint32_t i = 0; bytes; i++) {
        uint32_t part = bytes < segments[i].length ? bytes : segments[i].length;

        memcpy(vmi__linear((uintptr_t)segments[i].address), from, part);
        from += part;
        bytes -= part;
    }
}

/* Gives buffers to one of the two ways of a network's queue. */
static int32_t pass(uint32_t number, uint32_t queue, uint32_t way,
                    const struct vmi_net_buffer *buffers, uint32_t wanted)
{
    int32_t error;
    struct vmi__device *device = opened(number, VMI_DEVICE_NETWORK, queue, &error);
    uint32_t taken = 0, flags, slot, mtu;

    if (!device)
        return error;
    mtu = device->info.mtu;
    queue = VMI__WAYS * queue + way;
    flags = vmi__platform_enter(&device->queues[queue].lock);
    error = check_state(device);
    while (!error && taken < wanted) {
        /* Read once: what is checked is what is given. */
        struct vmi_net_buffer buffer = buffers[taken];
        uint64_t bytes = check_segments(device, buffer.segments, buffer.count, 1);

        if (way == VMI__RECEIVE ? bytes < mtu + ETHERNET_LEAST
                                : bytes < ETHERNET_LEAST || bytes > mtu + ETHERNET_MOST)
            error = VMI_EINVAL;
        if (error || is_full(device, queue))
            break;
        slot = claim(&device->queues[queue], buffer.id, way == VMI__RECEIVE ? (uint32_t)bytes : 0);
        device->driver->pass(device, queue, slot, &buffer);
        taken++;
    }
    if (taken)
        device->driver->tell(device, queue);
    vmi__platform_leave(&device->queues[queue].lock, flags);
    return taken ? (int32_t)taken : error;
}

static int32_t reap_way(uint32_t number, uint32_t queue, uint32_t way,
                        struct vmi_completion *completions, uint32_t room)
{
    int32_t error;
    struct vmi__device *device = opened(number, VMI_DEVICE_NETWORK, queue, &error);

    return device ? reap_queue(device, VMI__WAYS * queue + way, completions, room) : error;
}

VMI__ROUTINE int32_t vmi__net_post(uint32_t number, uint32_t queue,
                                   const struct vmi_net_buffer *buffers, uint32_t wanted);
VMI__ROUTINE int32_t vmi__net_post(uint32_t number, uint32_t queue,
                                   const struct vmi_net_buffer *buffers, uint32_t wanted)
{
    return pass(number, queue, VMI__RECEIVE, buffers, wanted);
}

VMI__ROUTINE int32_t vmi__net_received(uint32_t number, uint32_t queue,
                                       struct vmi_completion *completions, uint32_t room);
VMI__ROUTINE int32_t vmi__net_received(uint32_t number, uint32_t queue,
                                       struct vmi_completion *completions, uint32_t room)
{
    return reap_way(number, queue, VMI__RECEIVE, completions, room);
}

VMI__ROUTINE int32_t vmi__net_send(uint32_t number, uint32_t queue,
                                   const struct vmi_net_buffer *packets, uint32_t wanted);
VMI__ROUTINE int32_t vmi__net_send(uint32_t number, uint32_t queue,
                                   const struct vmi_net_buffer *packets, uint32_t wanted)
{
    return pass(number, queue, VMI__SEND, packets, wanted);
}

VMI__ROUTINE int32_t vmi__net_sent(uint32_t number, uint32_t queue,
                                   struct vmi_completion *completions, uint32_t room);
VMI__ROUTINE int32_t vmi__net_sent(uint32_t number, uint32_t queue,
                                   struct vmi_completion *completions, uint32_t room)
{
    return reap_way(number, queue, VMI__SEND, completions, room);
}

/* ---- sources of entropy ---- */

/*
 * Does it repeat itself: within a buffer, or is it the one before? What is left of a buffer is
 * zeroes, so that a device that writes nothing is found as well.
 */
static bool is_stuck(struct vmi__stock *stock, const uint8_t *bytes, uint32_t length)
{
    uint64_t start, before = stock->before;
    uint32_t run = 1;

    for (uint32_t i = 1; i < length && run < RUN_MAX; i++)
        run = bytes[i] == bytes[i - 1] ? run + 1 : 1;
    if (run == RUN_MAX)
        return true;
    if (length < sizeof(start))
        return false;
    memcpy(&start, bytes, sizeof(start));
    stock->before = start;
    return start == before;
}

/* Takes the next buffer that the device has filled; its slot is released when it is used up. */
static enum vmi__taken restock(struct vmi__device *device)
{
    struct vmi__stock *stock = &device->stock;
    struct vmi__ended ended;
    enum vmi__taken taken = take(device, 0, &ended);

    if (taken != VMI__TAKEN_ONE)
        return taken;
    if (!ended.length)
        device->info.fault = VMI_FAULT_LENGTH;
    else if (is_stuck(stock, stock->buffers + ended.slot * VMI__ENTROPY_BYTES, ended.length))
        device->info.fault = VMI_FAULT_STUCK;
    if (device->info.fault)
        return VMI__TAKEN_FAULT;
    stock->slot = ended.slot;
    stock->from = 0;
    stock->to = ended.length;
    return VMI__TAKEN_ONE;
}

/* Hands out what there is, each byte once; the device fills anew what has been used up. */
static uint32_t hand_out(struct vmi__device *device, uint8_t *to, uint32_t size)
{
    struct vmi__stock *stock = &device->stock;
    enum vmi__taken taken = VMI__TAKEN_ONE;
    uint32_t done = 0, part;

    do {
        while (done < size) {
            uint8_t *buffer;

            taken = stock->from < stock->to ? VMI__TAKEN_ONE : restock(device);
            if (taken != VMI__TAKEN_ONE)
                break;
            buffer = stock->buffers + stock->slot * VMI__ENTROPY_BYTES;
            part = stock->to - stock->from < size - done ? stock->to - stock->from : size - done;
            memcpy(to + done, buffer + stock->from, part);
            memset(buffer + stock->from, 0, part);
            done += part;
            stock->from += part;
            if (stock->from < stock->to)
                continue;
            memset(buffer, 0, VMI__ENTROPY_BYTES);
            release(&device->queues[0], stock->slot);
        }
    } while (done < size && taken == VMI__TAKEN_NONE && device->driver->ask(device, 0));
    if (taken == VMI__TAKEN_FAULT)
        reset(device, VMI__DEVICE_SHUT_OFF, true);
    else if (device->queues[0].free < device->setup.requests)
        give_buffers(device);
    return done;
}

/* The first source of entropy that is open, rather one that has not been shut off; 0 if none is. */
static struct vmi__device *open_source(void)
{
    struct vmi__device *source = 0;

    for (uint32_t i = count; i > 0; i--) {
        struct vmi__device *device = &devices[i - 1];

        if (is_entropy(device) && (device->state == VMI__DEVICE_OPEN ||
                                   (device->state == VMI__DEVICE_SHUT_OFF && !source)))
            source = device;
    }
    return source;
}

static VMI__ADDRESS_TAKEN int32_t fill_from_device(uint32_t number, uint8_t *to, uint32_t size)
{
    bool any = number == VMI_ENTROPY_ANY;
    struct vmi__device *device = any ? open_source() : vmi__device_by_number(number);
    int32_t result = VMI_EINVAL;
    uint32_t flags;

    if (!device)
        return any ? VMI_ENODEV : VMI_ENOENT;
    if (!is_entropy(device) || device->state == VMI__DEVICE_CLOSED)
        return VMI_EINVAL;
    flags = vmi__platform_enter(&device->queues[0].lock);
    if (device->state == VMI__DEVICE_OPEN) {
        result = (int32_t)hand_out(device, to, size);
        if (!result)
            result = VMI_EAGAIN;
    }
    if (device->state == VMI__DEVICE_SHUT_OFF && result <= 0)
        result = VMI_EIO;
    vmi__platform_leave(&device->queues[0].lock, flags);
    return result;
}

/* ---- balloons ---- */

/* What is done with a balloon. */
enum balloon_work { GIVE_FRAMES, TAKE_FRAMES, REPORT };

/* Under the balloon's lock. */
VMI__RUN_ONCE static int32_t move_frames(struct vmi__device *device, const uint32_t *frames,
                                         uint32_t wanted, bool inflate)
{
    int32_t moved;
    uint32_t count = 0;

    if (wanted > VMI__BALLOON_FRAMES)
        wanted = VMI__BALLOON_FRAMES;
    /* Read once: what is checked is what is given. */
    for (; count < wanted; count++) {
        device->frames[count] = frames[count];
        if (!vmi__memory_is((uint64_t)device->frames[count] * PAGE, PAGE, VMI_MEMORY_USABLE))
            break;
    }
    if (!inflate && count > device->held)
        return VMI_EINVAL;
    if (!count)
        return wanted ? VMI_EINVAL : VMI_OK;
    moved = device->driver->balloon->move(device, count, inflate);
    if (moved > 0)
        device->held += inflate ? (uint32_t)moved : -(uint32_t)moved;
    return moved;
}

/* Of `from`, frames or statistics. */
static int32_t with_balloon(uint32_t number, const void *from, uint32_t wanted,
                            enum balloon_work what)
{
    int32_t result;
    uint32_t flags;
    struct vmi__device *device = opened(number, VMI_DEVICE_BALLOON, 0, &result);

    if (!device)
        return result;
    flags = vmi__platform_enter(&device->queues[0].lock);
    result = check_state(device);
    if (!result) {
        result = what == REPORT ? device->driver->balloon->report(device, from)
                                : move_frames(device, from, wanted, what == GIVE_FRAMES);
        if (device->info.fault)
            reset(device, VMI__DEVICE_SHUT_OFF, true);
    }
    vmi__platform_leave(&device->queues[0].lock, flags);
    return result;
}

VMI__RUN_ONCE VMI__ROUTINE int32_t vmi__balloon_inflate(uint32_t number, const uint32_t *frames,
                                                        uint32_t wanted);
VMI__ROUTINE int32_t vmi__balloon_inflate(uint32_t number, const uint32_t *frames, uint32_t wanted)
{
    return with_balloon(number, frames, wanted, GIVE_FRAMES);
}

VMI__RUN_ONCE VMI__ROUTINE int32_t vmi__balloon_deflate(uint32_t number, const uint32_t *frames,
                                                        uint32_t wanted);
VMI__ROUTINE int32_t vmi__balloon_deflate(uint32_t number, const uint32_t *frames, uint32_t wanted)
{
    return with_balloon(number, frames, wanted, TAKE_FRAMES);
}

VMI__RUN_ONCE VMI__ROUTINE int32_t
vmi__balloon_report(uint32_t number, const struct vmi_balloon_statistics *statistics);
VMI__ROUTINE int32_t vmi__balloon_report(uint32_t number,
                                         const struct vmi_balloon_statistics *statistics)
{
    return with_balloon(number, statistics, 0, REPORT);
}
