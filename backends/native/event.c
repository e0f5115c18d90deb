/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * EventBind and EventUnmask: interrupt lines by the I/O APIC, or by the 8259 where there is none.
 * The number of an event is that of its line.
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

#define LVT_EXTINT       0x700
#define ICR_FIXED_ASSERT 0x4000

static struct line {
    uint8_t vector; /* 0: not bound */
    uint8_t apic_id;
    bool console;
    bool unmasked;
} lines[VMI__ISA_LINES];

bool vmi__native_ended_vectors[256];

static bool by_ioapic;
static bool timer_on;           /* an alarm is wired to line 0 */
static uint32_t console_vector; /* if the console's line is to be lowered */
static struct vmi__lock lock;

void vmi__native_event_init(void)
{
    by_ioapic = vmi__native_ioapic_has(0);
    if (vmi__native_acpi.has_imcr) {
        vmi__outb(IMCR_SELECT, IMCR);
        vmi__outb(IMCR_DATA, IMCR_BY_APIC);
    }
    vmi__native_apic_write(VMI__APIC_LVT_LINT0, by_ioapic ? VMI__APIC_LVT_MASKED : LVT_EXTINT);
}

uint32_t vmi__native_event_vector(uint32_t line)
{
    return lines[line].vector;
}

/*
 * Can the line be that of a device which is told to lower it only when its interrupt has ended? By
 * edges what comes between would be lost.
 */
static bool has_level(uint32_t line)
{
    return line && line < VMI__ISA_LINES && (!by_ioapic || vmi__native_ioapic_level(line));
}

VMI__ROUTINE int32_t vmi__native_event_bind(uint32_t source, uint32_t number, uint32_t vector)
{
    bool console = source == VMI_EVENT_CONSOLE;
    uint32_t number_of_line, flags;
    int32_t result = VMI_EINVAL;

    if (console ? number != 0 || !vmi__native_console_present() : source != VMI_EVENT_IRQ)
        return VMI_EINVAL;
    number_of_line = console ? vmi__native_console_line() : number;
    if (vector < 32 || vector > 255 || vector == VMI__APIC_SPURIOUS)
        return VMI_EINVAL;
    if (console && vmi__native_virtio && !has_level(number_of_line))
        return VMI_ENOSYS;
    if (number_of_line >= VMI__ISA_LINES || number_of_line == LINE_CASCADE)
        return VMI_EINVAL;

    flags = vmi__lock(&lock);
    if (lines[number_of_line].vector) {
        result = VMI_EBUSY;
    } else if (by_ioapic ? vmi__native_ioapic_has(number_of_line)
                         : vmi__native_pic_route(number_of_line, vector)) {
        lines[number_of_line].vector = (uint8_t)vector;
        lines[number_of_line].apic_id = (uint8_t)vmi__native_apic_id();
        lines[number_of_line].console = console;
        if (by_ioapic)
            vmi__native_ioapic_route(number_of_line, vector, lines[number_of_line].apic_id);
        /* An alarm may have been wired to line 0 before the line had a vector. */
        if (number_of_line == 0)
            vmi__native_ended_vectors[vector] = true;
        if (console && vmi__native_virtio) {
            console_vector = vector;
            vmi__native_ended_vectors[vector] = true;
        }
        result = (int32_t)number_of_line;
    }
    vmi__unlock(&lock, flags);
    return result;
}

void vmi__native_event_again(uint32_t vector)
{
    if (vector == console_vector)
        vmi__native_virtio_acknowledge();
}

/* Lets the controller pass on what comes by a line, and what has come. Under the lock. */
static void open(uint32_t event)
{
    if (!by_ioapic) {
        vmi__native_pic_unmask(event);
        return;
    }
    vmi__native_ioapic_mask(event, false);
    /* An I/O APIC forgets an edge that finds it masked; the 8259 on the same line does not. */
    if (!vmi__native_ioapic_level(event) && vmi__native_pic_requested(event))
        vmi__native_apic_command(lines[event].apic_id, ICR_FIXED_ASSERT | lines[event].vector);
}

void vmi__native_event_timer(bool on)
{
    uint32_t flags = vmi__lock(&lock);

    if (on != timer_on) {
        timer_on = on;
        if (on)
            vmi__native_pic_forget(LINE_TIMER);
        if (lines[LINE_TIMER].unmasked && on)
            open(LINE_TIMER);
        else if (lines[LINE_TIMER].unmasked && by_ioapic)
            vmi__native_ioapic_mask(LINE_TIMER, true);
        else if (lines[LINE_TIMER].unmasked)
            vmi__native_pic_mask(LINE_TIMER);
    }
    vmi__unlock(&lock, flags);
}

VMI__ROUTINE int32_t vmi__native_event_unmask(uint32_t event)
{
    struct line *line = &lines[event];
    uint32_t flags;

    if (event >= VMI__ISA_LINES || !line->vector)
        return VMI_EINVAL;
    flags = vmi__lock(&lock);
    if (!line->unmasked) {
        line->unmasked = true;
        if (event != LINE_TIMER || timer_on)
            open(event);
        if (line->console)
            vmi__native_console_interrupts();
    }
    vmi__unlock(&lock, flags);
    return VMI_OK;
}

bool vmi__native_event_end(uint32_t vector)
{
    return !by_ioapic && vmi__native_pic_end(vector);
}
