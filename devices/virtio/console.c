/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Nothing that the device writes or says is used unchecked; a device that breaks the rules, or
 * takes nothing for long, is reset and counts as gone. Source: VIRTIO 1.2, 5.3 (console device).
 */
#include "virtio/console.h"

#include "platform.h"
#include "runtime.h"
#include "virtio/virtio.h"

#define TYPE_CONSOLE 3

/* Queues (5.3.2), each with a page of buffers, which have the slots from 0 on. */
enum { RECEIVE, TRANSMIT, QUEUES };
#define BUFFERS    4 /* at most */
#define PAGE       4096u
#define RING_BYTES 0x8000u /* at most */

/* A device that takes nothing meanwhile takes nothing any more: some seconds. */
#define POLLS_MAX (50u << 20)

bool vmi__virtio_console;

static struct vmi__virtio console;
static struct vmi__virtio_mmio on_mmio; /* without registers: on PCI */
static struct side {
    char *page;
    uint32_t buffers;
    uint32_t with_device; /* bit of each buffer that is */
} sides[QUEUES] = {[RECEIVE] = {.buffers = BUFFERS}, [TRANSMIT] = {.buffers = 1}};
static bool interrupts;
static volatile uint32_t receive_lock, transmit_lock;

/* What of a received buffer has not been read yet. */
static struct {
    const char *next;
    uint32_t length, id;
} held;

/* The device is broken: it gets no memory any more. */
static void give_up(void)
{
    vmi__virtio_console = false;
    vmi__virtio_shut(&console);
}

/* ---- queues ---- */

/* Makes the queue known to the device; false if the device's size for it is none, or no memory. */
static bool open(uint32_t number)
{
    struct vmi__virtqueue *queue = &console.queues[number];
    struct side *side = &sides[number];
    uint32_t most = vmi__virtio_queue_most(&console, number);
    uintptr_t ring = vmi__virtio_ring_bytes(&console, most, side->buffers, 1), bytes;
    uint32_t place;
    char *memory;

    if (!ring || ring > RING_BYTES)
        return false;
    ring = (ring + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
    bytes = ring + PAGE;
    place = vmi__memory_claim((uint32_t)bytes, vmi__boot.linear_pages * PAGE);
    if (!place)
        return false;
    memory = vmi__linear(place);
    memset(memory, 0, bytes);
    side->page = memory + ring;
    *queue = (struct vmi__virtqueue){
        .number = (uint16_t)number, .message = VMI__VIRTIO_NO_MESSAGE, .chain = 1};
    return vmi__virtio_open(&console, queue, memory, side->buffers);
}

static char *buffer_of(uint32_t number, uint32_t id)
{
    return sides[number].page + id * (PAGE / sides[number].buffers);
}

/* Puts a buffer, or so much of it, at the device's disposal; it is told of that by `tell`. */
static void give(uint32_t number, uint32_t id, uint32_t length)
{
    struct vmi__virtqueue *queue = &console.queues[number];
    volatile struct vmi__virtio_descriptor *one = vmi__virtio_chain(queue, id);

    one->address = vmi__physical(buffer_of(number, id));
    one->length = length;
    one->flags = number == RECEIVE ? VMI__VIRTIO_WRITE : 0;
    sides[number].with_device |= 1u << id;
    vmi__virtio_give(queue, id, 1);
}

static void tell(uint32_t number)
{
    vmi__virtio_notify(&console, &console.queues[number]);
}

/* Has the device ended something that was not taken back yet? */
static bool has_ended(uint32_t number)
{
    return console.queues[number].used->index != console.queues[number].taken;
}

/*
 * Takes back a buffer that the device is done with, and how much the device has written to it.
 * False if there is none, or if what the device says of it cannot be.
 */
static bool take(uint32_t number, uint32_t *id, uint32_t *length)
{
    struct vmi__virtqueue *queue = &console.queues[number];
    uint16_t index = queue->used->index;

    if (index == queue->taken)
        return false;
    if (vmi__virtio_next(queue, index, id, length) != VMI_FAULT_NONE || *id >= BUFFERS ||
        !(sides[number].with_device & 1u << *id)) {
        give_up();
        return false;
    }
    sides[number].with_device &= ~(1u << *id);
    return true;
}

/* ---- start ---- */

/* Starts a console whose registers were found, if it is sound. */
static void begin(void)
{
    vmi__virtio_console = vmi__virtio_agree(&console, 0);
    console.transport->enable(&console, true);
    vmi__virtio_console = vmi__virtio_console && open(RECEIVE) && open(TRANSMIT);
    if (!vmi__virtio_console) {
        give_up();
        return;
    }
    console.queues[TRANSMIT].available->flags = VMI__VIRTIO_NO_INTERRUPT;
    vmi__virtio_ready(&console);
    for (uint32_t i = 0; i < BUFFERS; i++)
        give(RECEIVE, i, PAGE / BUFFERS);
    tell(RECEIVE);
}

/* The legacy interface is for devices without another, and for where registers are not mapped. */
static VMI__ADDRESS_TAKEN void probe(uint32_t place, void *context)
{
    (void)context;
    if (vmi__virtio_console)
        return;
    if (vmi__virtio_on_pci(&console, place, TYPE_CONSOLE) ||
        vmi__virtio_on_ports(&console, place, TYPE_CONSOLE))
        begin();
}

void vmi__virtio_console_find(void)
{
    const char *from = vmi__boot.command_line, *wrong;
    struct vmi__virtio_mmio found;

    vmi__pci_each(probe, 0);
    while (!vmi__virtio_console && vmi__virtio_mmio_next(&from, &found, &wrong)) {
        if (wrong || found.type != TYPE_CONSOLE)
            continue;
        on_mmio = found;
        vmi__virtio_on_mmio(&console, &found);
        begin();
    }
}

/* ---- output ---- */

/* Has the device taken what was written last? */
static bool has_room(void)
{
    uint32_t id, length;

    return !sides[TRANSMIT].with_device || take(TRANSMIT, &id, &length);
}

/* Writes what fits into the buffer once that is free; returns how much that is, 0 if it is not. */
static uint32_t write_buffer(const char *bytes, uint32_t length)
{
    uint32_t polls = 0, count = length < PAGE ? length : PAGE, flags;
    bool room = false;

    while (!room) {
        flags = vmi__platform_enter(&transmit_lock);
        room = vmi__virtio_console && has_room();
        if (room) {
            memcpy(buffer_of(TRANSMIT, 0), bytes, count);
            give(TRANSMIT, 0, count);
            tell(TRANSMIT);
        } else if (++polls == POLLS_MAX) {
            give_up();
        }
        vmi__platform_leave(&transmit_lock, flags);
        if (!vmi__virtio_console && !room)
            return 0;
        if (!room)
            vmi__platform_pause();
    }
    return count;
}

uint32_t vmi__virtio_console_write(const char *from, uint32_t length)
{
    uint32_t done = 0, count = 1;

    while (count && done < length) {
        count = write_buffer(from + done, length - done);
        done += count;
    }
    return done;
}

void vmi__virtio_console_drain(void)
{
    uint32_t polls = 0;

    while (vmi__virtio_console && sides[TRANSMIT].with_device && !has_ended(TRANSMIT) &&
           ++polls < POLLS_MAX)
        vmi__platform_pause();
}

/* ---- input ---- */

uint32_t vmi__virtio_console_line(void)
{
    return on_mmio.registers ? on_mmio.line : vmi__pci_read8(console.place, VMI__PCI_INTERRUPT);
}

void vmi__virtio_console_interrupts(void)
{
    interrupts = true;
    if (!on_mmio.registers)
        vmi__pci_let_raise(console.place, true);
}

void vmi__virtio_console_acknowledge(void)
{
    if (vmi__virtio_console)
        console.transport->lower(&console);
}

/* Takes the next buffer that something has been received in; false if there is none. */
static bool take_received(void)
{
    /* Lowered before the queue is looked at again: what comes later raises the line anew. */
    if (interrupts && has_ended(RECEIVE))
        vmi__virtio_console_acknowledge();
    if (!take(RECEIVE, &held.id, &held.length))
        return false;
    if (!held.length || held.length > PAGE / BUFFERS) {
        held.length = 0;
        give_up();
        return false;
    }
    held.next = buffer_of(RECEIVE, held.id);
    return true;
}

uint32_t vmi__virtio_console_read(char *to, uint32_t length)
{
    uint32_t done = 0, count, flags = vmi__platform_enter(&receive_lock);
    bool given = false;

    while (done < length && vmi__virtio_console && (held.length || take_received())) {
        count = held.length < length - done ? held.length : length - done;
        memcpy(to + done, held.next, count);
        done += count;
        held.next += count;
        held.length -= count;
        if (!held.length) {
            give(RECEIVE, held.id, PAGE / BUFFERS);
            given = true;
        }
    }
    if (given && vmi__virtio_console)
        tell(RECEIVE);
    vmi__platform_leave(&receive_lock, flags);
    return done;
}
