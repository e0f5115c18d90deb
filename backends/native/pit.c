/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Programmable interval timer: channel 0 is interrupt line 0, channel 2 is for measuring. Source:
 * Intel 8254 data sheet; port 0x61 as in the PC/AT.
 */
#include "native.h"

#define CHANNEL_0 0x40
#define CHANNEL_2 0x42
#define CONTROL   0x43
#define GATE      0x61

/* Control words of channel 0, low and high byte. */
#define CONTROL_0_ONESHOT 0x30 /* mode 0: the line rises when the count has run out */
#define CONTROL_0_RATE    0x34 /* mode 2: a pulse each time */
#define CONTROL_0_STROBE  0x3a /* mode 5: waits for its gate, which never changes */
#define STATUS_0          0xe2 /* read back its status */
#define STATUS_NO_COUNT   0x40

/* Counts that a silenced channel is left with: as far away, or as near, as can be. */
#define COUNT_FAR  0xffff
#define COUNT_NEAR 2

#define CONTROL_2_RATE  0xb4 /* low and high byte, mode 2: counts down by one, again and again */
#define CONTROL_2_LATCH 0x80

#define GATE_2  0x01
#define SPEAKER 0x02

static struct vmi__lock lock; /* channel 0 takes its two bytes one after the other */

void vmi__native_pit_init(void)
{
    vmi__native_pit_oneshot(0);
    vmi__native_pit_start_counter();
}

void vmi__native_pit_start_counter(void)
{
    vmi__outb(GATE, (uint8_t)((vmi__inb(GATE) & ~SPEAKER) | GATE_2));
    vmi__outb(CONTROL, CONTROL_2_RATE);
    vmi__outb(CHANNEL_2, 0);
    vmi__outb(CHANNEL_2, 0);
}

void vmi__native_pit_counter(struct vmi__native_reading *reading)
{
    uint32_t low, high;

    /* The latch holds the count of its own moment, however long it takes to read. */
    reading->before = vmi__rdtsc();
    vmi__outb(CONTROL, CONTROL_2_LATCH);
    reading->after = vmi__rdtsc();
    low = vmi__inb(CHANNEL_2);
    high = vmi__inb(CHANNEL_2);
    reading->count = ~(high << 8 | low) & 0xffff;
}

/* Has channel 0 count `ticks` in the mode of a control word; 0 stands for 65536. */
static void load(uint8_t control, uint32_t ticks)
{
    vmi__outb(CONTROL, control);
    vmi__outb(CHANNEL_0, (uint8_t)ticks);
    vmi__outb(CHANNEL_0, (uint8_t)(ticks >> 8));
}

/*
 * Without a count, mode 0 stops counting and holds the line low, and the status says that there is
 * none. Emulators do not say so, and go on with the count before. A busy KVM owes interrupts of a
 * timer that has gone off while the one before was not acknowledged, and makes up for them even
 * when the timer has been stopped; a new count in another mode than 5 makes it forget them. In mode
 * 5 a count stops KVM's timer (Linux, arch/x86/kvm/i8254.c); QEMU's raises the line once more when
 * that has run out, whatever is done (hw/timer/i8254.c). A line that the library masks is masked by
 * then, and a new alarm's count will mostly come before; a client is to have the interrupt at once,
 * as one that was pending.
 */
static void silence(void)
{
    uint32_t count = vmi__native_published ? COUNT_NEAR : COUNT_FAR;

    vmi__outb(CONTROL, CONTROL_0_ONESHOT);
    vmi__outb(CONTROL, STATUS_0);
    if (vmi__inb(CHANNEL_0) & STATUS_NO_COUNT)
        return;
    load(CONTROL_0_ONESHOT, COUNT_FAR);
    load(CONTROL_0_STROBE, count);
}

void vmi__native_pit_oneshot(uint32_t ticks)
{
    uint32_t flags = vmi__lock(&lock);

    if (ticks)
        load(CONTROL_0_ONESHOT, ticks);
    else
        silence();
    vmi__unlock(&lock, flags);
}

void vmi__native_pit_periodic(uint32_t ticks)
{
    uint32_t flags = vmi__lock(&lock);

    load(CONTROL_0_RATE, ticks);
    vmi__unlock(&lock, flags);
}
