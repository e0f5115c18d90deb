/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Events: interrupt lines and other inputs by the I/O APIC, or lines by the 8259 where there is
 * none, and messages to the local APIC. The number of a line's event is that of the line. Source of
 * messages: Intel SDM vol. 3A, 11.11.
 */
#include "native.h"
#include <native/routines.h>

#define LINE_TIMER   0
#define LINE_CASCADE 2

/* Interrupt mode configuration register (MP 1.4, 3.6.2.1). */
#define IMCR_SELECT  0x22
#define IMCR_DATA    0x23
#define IMCR         0x70
#define IMCR_BY_APIC 0x01

#define LVT_EXTINT 0x700

/* An input without how it is signalled. */
#define INPUT_NUMBER(input) ((input) & ~(uint32_t)(VMI_GSI_LEVEL | VMI_GSI_ACTIVE_LOW))

#define MESSAGE_ADDRESS    0xfee00000u
#define MESSAGE_APIC_SHIFT 12

/* Events in all; those of lines come first. */
#define EVENTS 1024

enum kind { FREE, LINE, INPUT, MESSAGE };

/* Images have it where clients of the published API, who bind no events, have no memory for it. */
static struct event {
    uint8_t kind;
    uint8_t vector;
    uint8_t unmasked;
    uint8_t console : 1;
    uint8_t held : 1; /* of a line: masked by the library, whatever the kernel says */
    uint32_t cpu;
    uint32_t input; /* of the I/O APICs, or'ed with VMI_GSI_…; of a LINE without them, the line */
} events[EVENTS] __attribute__((section(".bss..bound_only")));

bool vmi__native_ended_vectors[256];
const struct vmi__native_device_events *vmi__native_device_events;

static bool by_ioapic;
static bool timer_on;                          /* an alarm is wired to line 0 */
static uint32_t line_vectors[VMI__ISA_LINES];  /* 0: not bound */
static uint32_t console_vector;                /* if the console's line is to be lowered */
static uint32_t request_vector, request_event; /* of VMI_EVENT_REQUEST; vector 0: not bound */
static struct vmi__lock lock;

void vmi__native_event_init(void)
{
    by_ioapic = vmi__native_ioapic_has(vmi__native_ioapic_line(LINE_TIMER));
    if (vmi__native_acpi.has_imcr) {
        vmi__outb(IMCR_SELECT, IMCR);
        vmi__outb(IMCR_DATA, IMCR_BY_APIC);
    }
    vmi__native_apic_write(VMI__APIC_LVT_LINT0, by_ioapic ? VMI__APIC_LVT_MASKED : LVT_EXTINT);
}

uint32_t vmi__native_event_vector(uint32_t line)
{
    return line_vectors[line];
}

static uint32_t apic_id(const struct event *event)
{
    return vmi__boot.cpus[event->cpu].apic_id;
}

/* The event of a number that a kernel gave, 0 if nothing is bound there. Under the lock. */
static struct event *bound(uint32_t number)
{
    return number < EVENTS && events[number].kind != FREE ? &events[number] : 0;
}

/*
 * Can the line be that of a device which is told to lower it only when its interrupt has ended? By
 * edges what comes between would be lost.
 */
static bool has_level(uint32_t line)
{
    return line && line < VMI__ISA_LINES &&
           (!by_ioapic || vmi__native_ioapic_line(line) & VMI_GSI_LEVEL);
}

/*
 * Has an event the same input of the I/O APICs, or the same vector as one of the other kind? The
 * local APIC keeps of a vector how its last interrupt came, by a line or by a message, and of the
 * end of a line's that it takes for a message's the I/O APIC never hears (Intel SDM vol. 3A,
 * 11.8.4, trigger mode register). Under the lock.
 */
static VMI__RUN_ONCE bool taken(enum kind kind, uint32_t input, uint32_t vector)
{
    uint32_t i;

    for (i = 0; i < EVENTS; i++) {
        const struct event *event = &events[i];

        if (event->kind == FREE)
            continue;
        if ((event->kind == MESSAGE) != (kind == MESSAGE)
                ? event->vector == vector
                : kind != MESSAGE && INPUT_NUMBER(event->input) == INPUT_NUMBER(input))
            return true;
    }
    return false;
}

/* ---- binding; under the lock ---- */

/* Has the CPU's APIC a name for I/O APICs and in messages, which have eight bits for it? */
static bool reachable(uint32_t cpu)
{
    return vmi__boot.cpus[cpu].apic_id < VMI__APIC_ID_ALL;
}

/* This CPU, or the first that runs and can be reached in its stead; the count of CPUs if none. */
static uint32_t place(void)
{
    uint32_t cpu = vmi__native_cpu();

    if (reachable(cpu))
        return cpu;
    for (cpu = 0; cpu < vmi__boot.cpu_count && !(vmi__native_cpu_runs(cpu) && reachable(cpu));)
        cpu++;
    return cpu;
}

static VMI__RUN_ONCE int32_t bind(uint32_t number, enum kind kind, uint32_t input, uint32_t vector)
{
    if (kind != MESSAGE && INPUT_NUMBER(input) == vmi__native_acpi.sci)
        vmi__native_button_leave();
    events[number] = (struct event){
        .kind = (uint8_t)kind, .vector = (uint8_t)vector, .cpu = place(), .input = input};
    return (int32_t)number;
}

static VMI__RUN_ONCE int32_t bind_line(uint32_t line, bool console, uint32_t vector)
{
    uint32_t input = by_ioapic ? vmi__native_ioapic_line(line) : line;

    if (line >= VMI__ISA_LINES || line == LINE_CASCADE)
        return VMI_EINVAL;
    if (taken(LINE, input, vector))
        return VMI_EBUSY;
    if (by_ioapic ? !vmi__native_ioapic_has(input) : !vmi__native_pic_route(line, vector))
        return VMI_EINVAL;
    bind(line, LINE, input, vector);
    events[line].console = console;
    line_vectors[line] = vector;
    if (by_ioapic)
        vmi__native_ioapic_route(input, vector, apic_id(&events[line]));
    /* An alarm may have been wired to line 0 before the line had a vector. */
    if (line == LINE_TIMER)
        vmi__native_ended_vectors[vector] = true;
    if (console && vmi__native_virtio()) {
        console_vector = vector;
        vmi__native_ended_vectors[vector] = true;
    }
    return (int32_t)line;
}

/* A number for an event that is none of a line. */
static VMI__RUN_ONCE int32_t bind_free(enum kind kind, uint32_t input, uint32_t vector)
{
    uint32_t i;

    if (taken(kind, input, vector))
        return VMI_EBUSY;
    for (i = VMI__ISA_LINES; i < EVENTS; i++)
        if (events[i].kind == FREE)
            return bind(i, kind, input, vector);
    return VMI_ENOMEM;
}

static VMI__RUN_ONCE int32_t bind_input(uint32_t input, uint32_t vector)
{
    int32_t number;

    if (!by_ioapic)
        return VMI_ENOSYS;
    if (!vmi__native_ioapic_has(input))
        return VMI_EINVAL;
    number = bind_free(INPUT, input, vector);
    if (number >= 0)
        vmi__native_ioapic_route(input, vector, apic_id(&events[number]));
    return number;
}

/* ACPI's interrupt is one by level; where no table says how, active low (ACPI 6.5, 5.2.9). */
static VMI__RUN_ONCE int32_t bind_request(uint32_t vector)
{
    uint32_t line = vmi__native_acpi.sci;
    int32_t number;

    if (!vmi__native_acpi.event_a)
        return VMI_ENOSYS;
    number = has_level(line) ? bind_line(line, false, vector)
                             : bind_input(line | VMI_GSI_LEVEL | VMI_GSI_ACTIVE_LOW, vector);
    if (number < 0)
        return number;
    request_vector = vector;
    request_event = (uint32_t)number;
    vmi__native_ended_vectors[vector] = true;
    vmi__native_button_watch(true);
    return number;
}

VMI__RUN_ONCE VMI__ROUTINE int32_t vmi__native_event_bind(uint32_t source, uint32_t number,
                                                          uint32_t vector)
{
    bool console = source == VMI_EVENT_CONSOLE;
    uint32_t line = console ? vmi__native_console_line() : number, flags;
    int32_t result;

    if (source == VMI_EVENT_PEER)
        return VMI_ENOSYS;
    if (source > VMI_EVENT_REQUEST || vector < 32 || vector > 255 || vector == VMI__APIC_SPURIOUS ||
        (console && (number || !vmi__native_console_present())) ||
        (source == VMI_EVENT_REQUEST && number))
        return VMI_EINVAL;
    if ((console && vmi__native_virtio() && !has_level(line)) || place() == vmi__boot.cpu_count)
        return VMI_ENOSYS;
    if (source == VMI_EVENT_DEVICE)
        return vmi__native_device_events ? vmi__native_device_events->bind(number, vector)
                                         : VMI_EINVAL;
    flags = vmi__lock(&lock);
    if (source == VMI_EVENT_MSI)
        result = bind_free(MESSAGE, 0, vector);
    else if (source == VMI_EVENT_GSI)
        result = bind_input(number, vector);
    else if (source == VMI_EVENT_REQUEST)
        result = bind_request(vector);
    else
        result = bind_line(line, console, vector);
    vmi__unlock(&lock, flags);
    return result;
}

void vmi__native_event_again(uint32_t vector)
{
    if (vector == console_vector)
        vmi__native_virtio_acknowledge();
    if (vector == request_vector)
        vmi__native_button_look();
    if (vmi__native_device_events)
        vmi__native_device_events->ended(vector);
}

/* ---- letting in and keeping back; under the lock ---- */

/* Lets the controller pass on what comes by a line or input, and what has come. */
static void open(uint32_t number)
{
    const struct event *event = &events[number];

    if (!by_ioapic) {
        vmi__native_pic_unmask(number);
        return;
    }
    if (event->held)
        return;
    vmi__native_ioapic_mask(event->input, false);
    /* An I/O APIC forgets an edge that finds it masked; the 8259 on the same line does not. */
    if (event->kind == LINE && !(event->input & VMI_GSI_LEVEL) && vmi__native_pic_requested(number))
        vmi__native_apic_command(apic_id(event), VMI__ICR_FIXED | event->vector);
}

static void close(uint32_t number)
{
    const struct event *event = &events[number];

    if (!by_ioapic) {
        vmi__native_pic_mask(number);
        return;
    }
    /* The 8259 has remembered edges that have arrived. Before, so that none is lost in between. */
    if (event->kind == LINE)
        vmi__native_pic_forget(number);
    vmi__native_ioapic_mask(event->input, true);
}

void vmi__native_event_timer(bool on)
{
    uint32_t flags = vmi__lock(&lock);

    if (on != timer_on) {
        timer_on = on;
        if (on)
            vmi__native_pic_forget(LINE_TIMER);
        if (events[LINE_TIMER].unmasked && on)
            open(LINE_TIMER);
        else if (events[LINE_TIMER].unmasked && by_ioapic)
            vmi__native_ioapic_mask(events[LINE_TIMER].input, true);
        else if (events[LINE_TIMER].unmasked)
            vmi__native_pic_mask(LINE_TIMER);
    }
    vmi__unlock(&lock, flags);
}

void vmi__native_event_hold(uint32_t line, bool held)
{
    uint32_t flags = vmi__lock(&lock);
    struct event *event = &events[line];

    /* Masked, an I/O APIC forgets an edge. */
    if (by_ioapic && event->kind == LINE && event->input & VMI_GSI_LEVEL && event->held != held) {
        event->held = held;
        if (!held)
            vmi__native_ioapic_forget(event->input);
        if (event->unmasked)
            vmi__native_ioapic_mask(event->input, held);
    }
    vmi__unlock(&lock, flags);
}

/* Line 0 is open only while an alarm is wired to it, and a message's gate is at its device. */
static void let_in(uint32_t number, bool in)
{
    struct event *event = &events[number];

    if (event->unmasked == in)
        return;
    event->unmasked = in;
    if (event->kind == MESSAGE || (number == LINE_TIMER && !timer_on))
        return;
    if (in)
        open(number);
    else
        close(number);
}

/* ---- calls ---- */

VMI__ROUTINE int32_t vmi__native_event_unmask(uint32_t number)
{
    uint32_t flags = vmi__lock(&lock);
    struct event *event = bound(number);

    if (event)
        let_in(number, true);
    if (event && event->console)
        vmi__native_console_interrupts();
    vmi__unlock(&lock, flags);
    if (event && vmi__native_device_events)
        vmi__native_device_events->mask(number, false);
    return event ? VMI_OK : VMI_EINVAL;
}

VMI__ROUTINE int32_t vmi__native_event_mask(uint32_t number)
{
    uint32_t flags = vmi__lock(&lock);
    struct event *event = bound(number);
    int32_t result = !event ? VMI_EINVAL : event->kind == MESSAGE ? VMI_ENOSYS : VMI_OK;

    if (result == VMI_OK)
        let_in(number, false);
    vmi__unlock(&lock, flags);
    if (result == VMI_ENOSYS && vmi__native_device_events &&
        vmi__native_device_events->mask(number, true))
        result = VMI_OK;
    return result;
}

VMI__RUN_ONCE VMI__ROUTINE int32_t vmi__native_event_unbind(uint32_t number)
{
    uint32_t flags = vmi__lock(&lock);
    struct event *event = bound(number);

    if (event) {
        let_in(number, false);
        if (event->console)
            console_vector = 0;
        if (request_vector && number == request_event) {
            request_vector = 0;
            vmi__native_button_watch(false);
        }
        if (event->kind == LINE) {
            line_vectors[number] = 0;
            vmi__native_pic_unroute(number);
        }
        event->kind = FREE;
    }
    vmi__unlock(&lock, flags);
    if (event && vmi__native_device_events)
        vmi__native_device_events->unbound(number);
    return event ? VMI_OK : VMI_EINVAL;
}

VMI__RUN_ONCE VMI__ROUTINE int32_t vmi__native_event_move(uint32_t number, uint32_t cpu)
{
    uint32_t flags = vmi__lock(&lock);
    struct event *event = bound(number);
    int32_t result = VMI_OK;

    if (!event || cpu >= vmi__boot.cpu_count || !vmi__native_cpu_runs(cpu))
        result = VMI_EINVAL;
    else if ((event->kind == LINE && !by_ioapic && cpu != event->cpu) || !reachable(cpu))
        result = VMI_ENOSYS;
    else
        event->cpu = cpu;
    if (result == VMI_OK && event->kind != MESSAGE && by_ioapic)
        vmi__native_ioapic_send_to(event->input, apic_id(event));
    vmi__unlock(&lock, flags);
    if (result == VMI_OK && vmi__native_device_events)
        vmi__native_device_events->moved(number);
    return result;
}

VMI__RUN_ONCE VMI__ROUTINE int32_t vmi__native_event_message(uint32_t number,
                                                             struct vmi_message *message)
{
    uint32_t flags = vmi__lock(&lock);
    struct event *event = bound(number);

    if (event && event->kind != MESSAGE)
        event = 0;
    if (event)
        *message = (struct vmi_message){
            .address = MESSAGE_ADDRESS | apic_id(event) << MESSAGE_APIC_SHIFT,
            .data = event->vector,
        };
    vmi__unlock(&lock, flags);
    return event ? VMI_OK : VMI_EINVAL;
}

bool vmi__native_event_end(uint32_t vector)
{
    return !by_ioapic && vmi__native_pic_end(vector);
}
