/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "print.h"

#include <stdarg.h>
#include <vmi/vmi.h>

#define LINE 240u

static char line[LINE];
static uint32_t used;

static void put(char character)
{
    if (used < LINE - 2) /* the line's end has room */
        line[used++] = character;
}

static void put_number(uint32_t number)
{
    if (number >= 10)
        put_number(number / 10);
    put((char)('0' + number % 10));
}

static void put_text(const char *text)
{
    for (; *text; text++)
        put(*text >= ' ' && *text <= '~' ? *text : '?');
}

static void put_address(uint32_t address)
{
    for (uint32_t shift = 32; shift > 0; shift -= 8) {
        put_number(address >> (shift - 8) & 0xff);
        if (shift > 8)
            put('.');
    }
}

static void put_ethernet(const uint8_t *address)
{
    static const char digits[] = "0123456789abcdef";

    for (uint32_t i = 0; i < 6; i++) {
        if (i)
            put(':');
        put(digits[address[i] >> 4]);
        put(digits[address[i] & 15]);
    }
}

void say(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    used = 0;
    for (; *format; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        switch (*++format) {
        case 's':
            put_text(va_arg(list, const char *));
            break;
        case 'u':
            put_number(va_arg(list, uint32_t));
            break;
        case 'a':
            put_address(va_arg(list, uint32_t));
            break;
        case 'e':
            put_ethernet(va_arg(list, const uint8_t *));
            break;
        }
    }
    va_end(list);
    line[used++] = '\r';
    line[used++] = '\n';
    vmi_console_write(line, used);
}

void stop(uint32_t status, const char *text)
{
    say("%s", text);
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, status);
}
