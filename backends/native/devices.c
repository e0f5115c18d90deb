/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Events of devices on a PC: the messages of those that have any, the interrupt lines of the
 * others.
 */
#include "native.h"
#include <native/routines.h>

#include "driver.h"
#include "pci/pci.h"
#include "platform.h"

#define PCI_INTERRUPT_PIN  0xff00u
#define PCI_INTERRUPT_LINE 0xffu

/* A queue's event; a line has one event for all that is on it. */
static struct row {
    int32_t event;
    uint16_t device, queue;
    uint16_t vector; /* 0: the row is free */
    bool line;
    uint32_t input; /* that a line leads to, as devices name it */
} rows[VMI__DEVICES_MAX * VMI__QUEUES_MAX];
static struct vmi__lock rows_lock;

/* ---- events; under the lock of the rows ---- */

static VMI__RUN_ONCE struct row *free_row(void)
{
    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (!rows[i].vector)
            return &rows[i];
    return 0;
}

/* Has the device write what the event's message is by now; it stays as masked as it was. */
static VMI__RUN_ONCE void write_message(const struct row *row)
{
    struct vmi__device *device = vmi__device_by_number(row->device);
    struct vmi_message message;

    if (vmi__native_event_message((uint32_t)row->event, &message) == VMI_OK)
        device->driver->message(device, row->queue, &message);
}

/* A device that has no event would hold a line that others share, and nobody would lower it. */
static VMI__RUN_ONCE void let_raise(const struct vmi__device *device, bool on)
{
    if (vmi__device_on_pci(device))
        vmi__pci_let_raise(device->place, on);
}

/* The input that a device's line leads to; false if it has none. */
static VMI__RUN_ONCE bool input_of(const struct vmi__device *device, uint32_t *input)
{
    uint32_t wired;

    *input = device->line;
    if (!vmi__device_on_pci(device))
        return true;
    wired = vmi__platform_pci_read(device->place, VMI__PCI_INTERRUPT);
    *input = wired & PCI_INTERRUPT_LINE;
    return wired & PCI_INTERRUPT_PIN;
}

/*
 * The event of a device's line; those on one line share it, at one vector. An input beyond ISA's
 * lines, which no table describes, is taken as one by edges, active high: an edge comes with what
 * is held as with what is pulsed, for the device is looked at after its line was lowered.
 */
static VMI__RUN_ONCE int32_t bind_line(const struct vmi__device *device, uint32_t input,
                                       uint32_t vector)
{
    uint32_t source =
        vmi__device_on_pci(device) || input < VMI__ISA_LINES ? VMI_EVENT_IRQ : VMI_EVENT_GSI;
    int32_t event;

    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].vector && rows[i].line && rows[i].input == input)
            return rows[i].vector == vector ? rows[i].event : VMI_EBUSY;
    event = vmi__native_event_bind(source, input, vector);
    if (event >= 0)
        vmi__native_ended_vectors[vector] = true;
    return event;
}

static VMI__RUN_ONCE VMI__ADDRESS_TAKEN int32_t bind(uint32_t number, uint32_t vector)
{
    uint32_t queue, flags, input = 0;
    struct vmi__device *device = vmi__device_of_event(number, &queue);
    struct row *row;
    int32_t event;

    if (!device)
        return VMI_EINVAL;
    if (!device->messages && !input_of(device, &input))
        return VMI_ENOSYS;
    flags = vmi__lock(&rows_lock);
    row = free_row();
    event = row ? VMI_OK : VMI_ENOMEM;
    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].vector && rows[i].device == device->number && rows[i].queue == queue)
            event = VMI_EBUSY;
    if (!event)
        event = device->messages ? vmi__native_event_bind(VMI_EVENT_MSI, device->place, vector)
                                 : bind_line(device, input, vector);
    if (event >= 0) {
        *row = (struct row){.event = event,
                            .device = (uint16_t)device->number,
                            .queue = (uint16_t)queue,
                            .vector = (uint16_t)vector,
                            .line = !device->messages,
                            .input = input};
        if (device->messages)
            write_message(row);
        else
            let_raise(device, true);
    }
    vmi__unlock(&rows_lock, flags);
    return event;
}

/* Calls `act` for the rows of an event that is a message's; false if there are none. */
static bool each_message(uint32_t event, void (*act)(struct row *row, bool how), bool how)
{
    uint32_t flags = vmi__lock(&rows_lock);
    bool any = false;

    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].vector && !rows[i].line && rows[i].event == (int32_t)event) {
            act(&rows[i], how);
            any = true;
        }
    vmi__unlock(&rows_lock, flags);
    return any;
}

static VMI__ADDRESS_TAKEN void mask_row(struct row *row, bool masked)
{
    struct vmi__device *device = vmi__device_by_number(row->device);

    device->driver->mask(device, row->queue, masked);
}

static VMI__ADDRESS_TAKEN void move_row(struct row *row, bool how)
{
    (void)how;
    write_message(row);
}

static VMI__ADDRESS_TAKEN void moved(uint32_t event)
{
    each_message(event, move_row, false);
}

static VMI__RUN_ONCE VMI__ADDRESS_TAKEN void unbound(uint32_t event)
{
    uint32_t flags = vmi__lock(&rows_lock);

    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct vmi__device *device = vmi__device_by_number(rows[i].device);

        if (!rows[i].vector || rows[i].event != (int32_t)event)
            continue;
        if (rows[i].line)
            let_raise(device, false);
        else
            device->driver->message(device, rows[i].queue, 0);
        rows[i].vector = 0;
    }
    vmi__unlock(&rows_lock, flags);
}

static bool requested(uint32_t vector)
{
    return vmi__native_apic_read(VMI__APIC_IRR + vector / 32 * 16) & 1u << vector % 32;
}

/*
 * Devices on the line of a vector lower it. What has ended, and nobody has seen, is told by an
 * interrupt that this CPU sends itself. The line is held from before that until the end of it: with
 * a request of the line's on the same vector the local APIC would take the one for the other, and
 * the I/O APIC never hear of its end (Intel SDM vol. 3A, 11.8.4, trigger mode register). So it does
 * not if a line's interrupt is being handled, as where the kernel lets its event in before the end
 * of that: what the I/O APIC waits for is forgotten when the line is let go.
 */
static void lower(uint32_t vector)
{
    bool again = false;
    int32_t line = -1;

    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct vmi__device *device = vmi__device_by_number(rows[i].device);

        if (rows[i].vector != vector || !rows[i].line)
            continue;
        line = rows[i].event;
        if (device->state == VMI__DEVICE_OPEN)
            again |= device->driver->acknowledge(device);
    }
    if (line < 0)
        return;
    /* Looked at twice, for what came before the line was held; most often it need not be. */
    if (again && !requested(vector)) {
        vmi__native_event_hold((uint32_t)line, true);
        if (!requested(vector)) {
            vmi__native_apic_command(vmi__native_apic_id(), VMI__ICR_FIXED | vector);
            return;
        }
    }
    vmi__native_event_hold((uint32_t)line, false);
}

static VMI__ADDRESS_TAKEN void ended(uint32_t vector)
{
    uint32_t flags = vmi__lock(&rows_lock);

    lower(vector);
    vmi__unlock(&rows_lock, flags);
}

/*
 * A line that is let in may have been raised before it was bound, and QEMU's I/O APIC has not taken
 * note of that: such an input was edge-triggered and masked, and no further edge comes.
 */
static VMI__ADDRESS_TAKEN bool mask(uint32_t event, bool masked)
{
    uint32_t flags = vmi__lock(&rows_lock), vector = 0;

    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].vector && rows[i].line && rows[i].event == (int32_t)event)
            vector = rows[i].vector;
    if (vector && !masked)
        lower(vector);
    vmi__unlock(&rows_lock, flags);
    return each_message(event, mask_row, masked);
}

VMI__RUN_ONCE void vmi__platform_unbind(uint32_t device)
{
    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool shared = false;

        if (!rows[i].vector || rows[i].device != device)
            continue;
        for (uint32_t j = 0; j < sizeof(rows) / sizeof(rows[0]); j++)
            shared |= j != i && rows[j].vector && rows[j].event == rows[i].event;
        if (rows[i].line)
            let_raise(vmi__device_by_number(device), false);
        if (shared)
            rows[i].vector = 0;
        else
            vmi__native_event_unbind((uint32_t)rows[i].event);
    }
}

static const struct vmi__native_device_events events = {
    .bind = bind,
    .mask = mask,
    .moved = moved,
    .unbound = unbound,
    .ended = ended,
};

void vmi__platform_init(void)
{
    vmi__native_pci_init();
    vmi__native_device_events = &events;
}
