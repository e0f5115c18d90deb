/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A virtio console on PCI by the legacy interface, which transitional devices have too: under a
 * hypervisor it takes a whole buffer for one exit, where a 16550 takes a byte. Nothing that the
 * device writes or says is used unchecked; a device that breaks the rules, or takes nothing for
 * long, is reset and counts as gone. Source: VIRTIO 1.2, 2.7 (split virtqueues), 2.7.2 (their
 * legacy layout), 4.1.2.3 and 4.1.4.10 (legacy interface on PCI), 5.3 (console device); PCI Local
 * Bus 3.0, 3.2.2.3.2 (configuration by ports) and 6.2 (configuration space).
 */
#include "native.h"

#define PCI_ADDRESS 0xcf8
#define PCI_DATA    0xcfc

#define PCI_ENABLE    0x80000000u /* in PCI_ADDRESS, with slot, function and register */
#define PCI_SLOTS     32
#define PCI_FUNCTIONS 8
#define PCI_SLOT      (1u << 11)
#define PCI_FUNCTION  (1u << 8)

enum {
    PCI_ID = 0x00, /* vendor, device */
    PCI_COMMAND = 0x04,
    PCI_HEADER = 0x0c,
    PCI_BAR0 = 0x10,
    PCI_SUBSYSTEM = 0x2c, /* vendor, device */
    PCI_INTERRUPT = 0x3c, /* line in the low byte */
};

#define ID_CONSOLE        0x10031af4u
#define ID_NONE           0xffffffffu
#define SUBSYSTEM_CONSOLE 3
#define COMMAND_IO        0x01u
#define COMMAND_MASTER    0x04u
#define COMMAND_WRITABLE  0xffffu     /* the upper half is status, where writing a 1 clears */
#define HEADER_FUNCTIONS  0x00800000u /* it has more than one */
#define BAR_IO            0x1u
#define BAR_IO_ADDRESS    0xfffffffcu

/* Ports from BAR 0 on. */
enum {
    DRIVER_FEATURES = 0x04,
    QUEUE_PAGE = 0x08, /* number of its first page */
    QUEUE_SIZE = 0x0c,
    QUEUE_SELECT = 0x0e,
    QUEUE_NOTIFY = 0x10,
    STATUS = 0x12,
    INTERRUPT = 0x13, /* reading it lowers the line */
    PORTS = 0x14,
};

#define STATUS_RESET       0x00
#define STATUS_ACKNOWLEDGE 0x01
#define STATUS_DRIVER      0x02
#define STATUS_DRIVER_OK   0x04

/* Rings of a queue of `size` descriptors, in bytes. */
#define PAGE                   4096u
#define AVAILABLE_OFFSET(size) (16 * (size))
#define USED_OFFSET(size)      ((AVAILABLE_OFFSET(size) + 2 * (3 + (size)) + PAGE - 1) & ~(PAGE - 1))
#define BUFFERS_OFFSET(size)   ((USED_OFFSET(size) + 8 * (size) + 6 + PAGE - 1) & ~(PAGE - 1))

#define QUEUE_SIZE_MAX 1024

#define DESCRIPTOR_WRITE       2 /* by the device */
#define AVAILABLE_NO_INTERRUPT 1

#define RECEIVE_BUFFERS 4

/* As long as console16550.c waits for its transmitter. */
#define POLLS_MAX  (50u << 20)
#define RESETS_MAX (1u << 20)

struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

struct available {
    uint16_t flags, index, ring[];
};

struct used {
    uint16_t flags, index;
    struct {
        uint32_t id, length;
    } ring[];
};

/* A queue, and a page of buffers, which have the descriptors from 0 on. */
struct queue {
    uint16_t number, size;
    uint16_t given, taken; /* buffers to the device, and back from it, modulo 2^16 */
    uint16_t buffers;
    uint32_t with_device; /* bit of each buffer that is */
    volatile struct descriptor *descriptors;
    volatile struct available *available;
    const volatile struct used *used;
    char *page;
};

bool vmi__native_virtio;

static uint16_t port;
static uint32_t line;
static bool interrupts;
static struct queue receive, transmit = {.number = 1};
static struct vmi__lock receive_lock, transmit_lock;

/* What of a received buffer has not been read yet. */
static struct {
    const char *next;
    uint32_t length, id;
} held;

/* ---- PCI ---- */

static uint32_t pci_read(uint32_t function, uint32_t reg)
{
    vmi__outl(PCI_ADDRESS, PCI_ENABLE | function | reg);
    return vmi__inl(PCI_DATA);
}

static void pci_write(uint32_t function, uint32_t reg, uint32_t value)
{
    vmi__outl(PCI_ADDRESS, PCI_ENABLE | function | reg);
    vmi__outl(PCI_DATA, value);
}

static bool is_console(uint32_t function)
{
    return pci_read(function, PCI_ID) == ID_CONSOLE &&
           pci_read(function, PCI_SUBSYSTEM) >> 16 == SUBSYSTEM_CONSOLE;
}

/* The first console of bus 0, by its bits in PCI_ADDRESS; false if there is none, or no PCI. */
static bool find(uint32_t *found)
{
    uint32_t slot, function, functions;

    vmi__outl(PCI_ADDRESS, PCI_ENABLE);
    if (vmi__inl(PCI_ADDRESS) != PCI_ENABLE)
        return false;
    for (slot = 0; slot < PCI_SLOTS; slot++) {
        if (pci_read(slot * PCI_SLOT, PCI_ID) == ID_NONE)
            continue;
        functions = pci_read(slot * PCI_SLOT, PCI_HEADER) & HEADER_FUNCTIONS ? PCI_FUNCTIONS : 1;
        for (function = 0; function < functions; function++) {
            *found = slot * PCI_SLOT + function * PCI_FUNCTION;
            if (is_console(*found))
                return true;
        }
    }
    return false;
}

/* ---- queues ---- */

/* The device is broken: it gets no memory any more. */
static void give_up(void)
{
    vmi__native_virtio = false;
    vmi__outb(port + STATUS, STATUS_RESET);
}

/* Makes the queue known to the device; false if the device's size for it is none, or no memory. */
static bool open(struct queue *queue, uint16_t buffers, uint16_t flags)
{
    uint32_t bytes, place, i;
    char *memory;

    vmi__outw(port + QUEUE_SELECT, queue->number);
    queue->size = vmi__inw(port + QUEUE_SIZE);
    if (queue->size < buffers || queue->size > QUEUE_SIZE_MAX || (queue->size & (queue->size - 1)))
        return false;
    bytes = BUFFERS_OFFSET(queue->size) + PAGE;
    place = vmi__memory_claim(bytes, vmi__boot.linear_pages * PAGE);
    if (!place)
        return false;
    memory = vmi__linear(place);
    memset(memory, 0, bytes);
    queue->descriptors = (void *)memory;
    queue->available = (void *)(memory + AVAILABLE_OFFSET(queue->size));
    queue->used = (void *)(memory + USED_OFFSET(queue->size));
    queue->page = memory + BUFFERS_OFFSET(queue->size);
    queue->buffers = buffers;
    for (i = 0; i < buffers; i++) {
        queue->descriptors[i].address = vmi__physical(queue->page) + i * (PAGE / buffers);
        queue->descriptors[i].length = PAGE / buffers;
        queue->descriptors[i].flags = flags;
    }
    vmi__outl(port + QUEUE_PAGE, place / PAGE);
    return true;
}

/* Puts a buffer and what is in it at the device's disposal; `notify` says so. */
static void give(struct queue *queue, uint32_t id)
{
    queue->available->ring[queue->given & (queue->size - 1)] = (uint16_t)id;
    queue->with_device |= 1u << id;
    queue->given++;
    __asm__ volatile("" : : : "memory");
    queue->available->index = queue->given;
}

static void notify(const struct queue *queue)
{
    vmi__outw(port + QUEUE_NOTIFY, queue->number);
}

/*
 * Takes back a buffer that the device is done with, and how much the device has written to it.
 * False if there is none, or if what the device says of it cannot be.
 */
static bool take(struct queue *queue, uint32_t *id, uint32_t *length)
{
    uint16_t count = (uint16_t)(queue->used->index - queue->taken);

    if (!count)
        return false;
    __asm__ volatile("" : : : "memory");
    *id = queue->used->ring[queue->taken & (queue->size - 1)].id;
    *length = queue->used->ring[queue->taken & (queue->size - 1)].length;
    if (count > (uint16_t)(queue->given - queue->taken) || *id >= queue->buffers ||
        !(queue->with_device & 1u << *id)) {
        give_up();
        return false;
    }
    queue->with_device &= ~(1u << *id);
    queue->taken++;
    return true;
}

/* ---- start ---- */

static bool reset(void)
{
    uint32_t polls = 0;

    vmi__outb(port + STATUS, STATUS_RESET);
    while (vmi__inb(port + STATUS) != STATUS_RESET) {
        if (++polls == RESETS_MAX)
            return false;
        vmi__pause();
    }
    return true;
}

void vmi__native_virtio_init(void)
{
    uint32_t function, bar, i;

    if (!find(&function))
        return;
    bar = pci_read(function, PCI_BAR0);
    port = (uint16_t)(bar & BAR_IO_ADDRESS);
    if (!(bar & BAR_IO) || !port || (bar & BAR_IO_ADDRESS) > 0x10000 - PORTS)
        return;
    line = pci_read(function, PCI_INTERRUPT) & 0xff;
    pci_write(function, PCI_COMMAND,
              (pci_read(function, PCI_COMMAND) & COMMAND_WRITABLE) | COMMAND_IO | COMMAND_MASTER);
    if (!reset())
        return;
    vmi__outb(port + STATUS, STATUS_ACKNOWLEDGE);
    vmi__outb(port + STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    vmi__outl(port + DRIVER_FEATURES, 0);
    if (!open(&receive, RECEIVE_BUFFERS, DESCRIPTOR_WRITE) || !open(&transmit, 1, 0)) {
        give_up();
        return;
    }
    transmit.available->flags = AVAILABLE_NO_INTERRUPT;
    vmi__outb(port + STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_DRIVER_OK);
    for (i = 0; i < RECEIVE_BUFFERS; i++)
        give(&receive, i);
    notify(&receive);
    vmi__native_virtio = true;
}

/* ---- output ---- */

/* Has the device taken what was written last? */
static bool has_room(void)
{
    uint32_t id, length;

    return !transmit.with_device || take(&transmit, &id, &length);
}

/* Writes what fits into the buffer once that is free; returns how much that is, 0 if it is not. */
static uint32_t write_buffer(const char *bytes, uint32_t length)
{
    uint32_t polls = 0, count = length < PAGE ? length : PAGE, flags;
    bool room = false;

    while (!room) {
        flags = vmi__lock(&transmit_lock);
        room = vmi__native_virtio && has_room();
        if (room) {
            memcpy(transmit.page, bytes, count);
            transmit.descriptors[0].length = count;
            give(&transmit, 0);
            notify(&transmit);
        } else if (++polls == POLLS_MAX) {
            give_up();
        }
        vmi__unlock(&transmit_lock, flags);
        if (!vmi__native_virtio && !room)
            return 0;
        if (!room)
            vmi__pause();
    }
    return count;
}

uint32_t vmi__native_virtio_write(const char *from, uint32_t length)
{
    uint32_t done = 0, count = 1;

    while (count && done < length) {
        count = write_buffer(from + done, length - done);
        done += count;
    }
    return done;
}

void vmi__native_virtio_drain(void)
{
    uint32_t polls = 0;

    while (vmi__native_virtio && transmit.with_device && transmit.used->index == transmit.taken &&
           ++polls < POLLS_MAX)
        vmi__pause();
}

/* ---- input ---- */

uint32_t vmi__native_virtio_line(void)
{
    return line;
}

void vmi__native_virtio_interrupts(void)
{
    interrupts = true;
}

void vmi__native_virtio_acknowledge(void)
{
    if (vmi__native_virtio)
        vmi__inb(port + INTERRUPT);
}

/* Takes the next buffer that something has been received in; false if there is none. */
static bool take_received(void)
{
    /* Lowered before the queue is looked at again: what comes later raises the line anew. */
    if (interrupts && receive.used->index != receive.taken)
        vmi__native_virtio_acknowledge();
    if (!take(&receive, &held.id, &held.length))
        return false;
    if (!held.length || held.length > PAGE / RECEIVE_BUFFERS) {
        held.length = 0;
        give_up();
        return false;
    }
    held.next = receive.page + held.id * (PAGE / RECEIVE_BUFFERS);
    return true;
}

uint32_t vmi__native_virtio_read(char *to, uint32_t length)
{
    uint32_t done = 0, count, flags = vmi__lock(&receive_lock);
    bool given = false;

    while (done < length && vmi__native_virtio && (held.length || take_received())) {
        count = held.length < length - done ? held.length : length - done;
        memcpy(to + done, held.next, count);
        done += count;
        held.next += count;
        held.length -= count;
        if (!held.length) {
            give(&receive, held.id);
            given = true;
        }
    }
    if (given)
        notify(&receive);
    vmi__unlock(&receive_lock, flags);
    return done;
}
