/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The first serial port, and the end of the machine.
 */
#include "client.h"

#include <stdarg.h>

#define UART        0x3f8
#define LINE_STATUS 5
#define ROOM        0x20
#define POLLS_MAX   1000000

#define DEBUG_EXIT 0xf4

void client_console_init(void)
{
    client_outb(UART + 1, 0);    /* no interrupts */
    client_outb(UART + 3, 0x80); /* divisor latch */
    client_outb(UART + 0, 1);    /* 115200 */
    client_outb(UART + 1, 0);
    client_outb(UART + 3, 0x03); /* 8N1 */
    client_outb(UART + 2, 0x01); /* FIFO */
}

static void put(char character)
{
    uint32_t polls = 0;

    while (!(client_inb(UART + LINE_STATUS) & ROOM) && ++polls < POLLS_MAX)
        ;
    client_outb(UART, (uint8_t)character);
}

static void put_number(uint32_t value, uint32_t base, uint32_t digits)
{
    char text[10];
    uint32_t length = 0;

    do {
        text[length++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value || length < digits);
    while (length)
        put(text[--length]);
}

void client_print(const char *format, ...)
{
    va_list arguments;
    const char *text;

    va_start(arguments, format);
    for (; *format; format++) {
        if (*format == '\n')
            put('\r');
        if (*format != '%') {
            put(*format);
            continue;
        }
        switch (*++format) {
        case 's':
            for (text = va_arg(arguments, const char *); *text; text++)
                put(*text);
            break;
        case 'u':
            put_number(va_arg(arguments, uint32_t), 10, 1);
            break;
        case 'x':
            put_number(va_arg(arguments, uint32_t), 16, 8);
            break;
        }
    }
    va_end(arguments);
}

void client_end(uint32_t status)
{
    client_outb(DEBUG_EXIT, (uint8_t)status);
    for (;;)
        __asm__ volatile("cli; hlt");
}

void client_panic(const char *reason)
{
    client_print("PANIC: %s\n", reason);
    client_end(STATUS_PANIC);
}
