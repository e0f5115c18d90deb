/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A 16550 (or 8250) at the first serial port, as console. Source: National Semiconductor PC16550D
 * data sheet, 8.
 */
#include "native.h"

#define PORT 0x3f8

enum {
    DATA = PORT + 0,     /* receive and transmit; divisor low while LCR.DLAB */
    ENABLE = PORT + 1,   /* interrupts; divisor high while LCR.DLAB */
    FIFO = PORT + 2,     /* write */
    IDENTIFY = PORT + 2, /* read */
    LINE = PORT + 3,     /* control */
    MODEM = PORT + 4,    /* control */
    STATUS = PORT + 5,   /* of the line */
    SCRATCH = PORT + 7,
};

#define ENABLE_RECEIVE  0x01
#define FIFO_ENABLE     0x01
#define FIFO_LEVEL_14   0xc0 /* interrupts when so many have come, or no more do */
#define IDENTIFY_FIFO   0xc0
#define LINE_8N1        0x03
#define LINE_DIVISOR    0x80
#define MODEM_DTR_RTS   0x03
#define MODEM_INTERRUPT 0x08 /* OUT2 lets the interrupt out of the card */
#define STATUS_DATA     0x01
#define STATUS_ROOM     0x20
#define STATUS_EMPTY    0x40 /* the shift register as well */

#define DIVISOR_115200 1
#define FIFO_DEPTH     16

/*
 * Polls of the status after which a transmitter that takes nothing counts as gone: many seconds on
 * any machine.
 */
#define POLLS_MAX (50u << 20)

static enum { UNKNOWN, ABSENT, PRESENT } state;
static uint32_t burst; /* bytes that fit once there is room */
static struct vmi__lock lock;

void vmi__native_uart_init(void)
{
    if (state != UNKNOWN)
        return;
    state = ABSENT;
    /* An empty bus reads all ones; a chip keeps what is written to its scratch register. */
    vmi__outb(SCRATCH, 0x5a);
    if (vmi__inb(SCRATCH) != 0x5a)
        return;
    vmi__outb(SCRATCH, 0xa5);
    if (vmi__inb(SCRATCH) != 0xa5 || vmi__inb(STATUS) == 0xff)
        return;
    vmi__outb(ENABLE, 0);
    vmi__outb(LINE, LINE_DIVISOR);
    vmi__outb(DATA, DIVISOR_115200 & 0xff);
    vmi__outb(ENABLE, DIVISOR_115200 >> 8);
    vmi__outb(LINE, LINE_8N1);
    vmi__outb(FIFO, FIFO_ENABLE | FIFO_LEVEL_14);
    vmi__outb(MODEM, MODEM_DTR_RTS | MODEM_INTERRUPT);
    burst = (vmi__inb(IDENTIFY) & IDENTIFY_FIFO) == IDENTIFY_FIFO ? FIFO_DEPTH : 1;
    state = PRESENT;
}

bool vmi__native_uart_present(void)
{
    return state == PRESENT;
}

void vmi__native_uart_interrupts(void)
{
    if (state != PRESENT)
        return;
    /* Off and on again: a line that is high already has its edge then. */
    vmi__outb(ENABLE, 0);
    vmi__outb(ENABLE, ENABLE_RECEIVE);
}

/* Writes what fits into the transmitter in one go; returns how much that is, 0 if it takes nothing.
 */
static uint32_t write_burst(const uint8_t *bytes, uint32_t length)
{
    uint32_t polls = 0, count = 0, flags;

    while (!count) {
        flags = vmi__lock(&lock);
        if (vmi__inb(STATUS) & STATUS_ROOM) {
            for (; count < length && count < burst; count++)
                vmi__outb(DATA, bytes[count]);
        }
        vmi__unlock(&lock, flags);
        if (!count) {
            if (++polls == POLLS_MAX)
                break;
            vmi__pause();
        }
    }
    return count;
}

int32_t vmi__native_uart_write(const void *from, uint32_t length)
{
    const uint8_t *bytes = from;
    uint32_t done = 0, count;

    vmi__native_uart_init();
    if (state != PRESENT)
        return VMI_EIO;
    while (done < length) {
        count = write_burst(bytes + done, length - done);
        if (!count)
            return done ? (int32_t)done : VMI_EIO;
        done += count;
    }
    return (int32_t)done;
}

void vmi__native_uart_drain(void)
{
    uint32_t polls = 0;

    while (state == PRESENT && !(vmi__inb(STATUS) & STATUS_EMPTY) && ++polls < POLLS_MAX)
        vmi__pause();
}

int32_t vmi__native_uart_read(void *to, uint32_t length)
{
    uint32_t done = 0, flags;
    uint8_t *bytes = to;

    vmi__native_uart_init();
    if (state != PRESENT)
        return VMI_EIO;
    flags = vmi__lock(&lock);
    while (done < length && (vmi__inb(STATUS) & STATUS_DATA))
        bytes[done++] = vmi__inb(DATA);
    vmi__unlock(&lock, flags);
    return (int32_t)done;
}
