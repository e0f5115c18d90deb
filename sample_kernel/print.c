/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <stdbool.h>
#include <vmi/vmi.h>

#include "divide.h"
#include "lock.h"
#include "print.h"
#include "string.h"

/* Where format_list() has got to. */
struct output {
    char *at;
    char *last; /* the byte that the ending zero may take */
};

static void put(struct output *output, char c)
{
    if (output->at < output->last)
        *output->at++ = c;
}

static void put_padded(struct output *output, const char *text, size_t length, size_t width,
                       char padding)
{
    for (size_t i = length; i < width; i++)
        put(output, padding);
    for (size_t i = 0; i < length; i++)
        put(output, text[i]);
}

static void put_number(struct output *output, uint64_t value, bool negative, uint32_t base,
                       size_t width, char padding)
{
    char digits[24];
    size_t first = sizeof(digits);

    do {
        uint32_t digit;
        value = divide_u64(value, base, &digit);
        digits[--first] = "0123456789abcdef"[digit];
    } while (value != 0);
    if (negative)
        digits[--first] = '-';
    put_padded(output, digits + first, sizeof(digits) - first, width, padding);
}

size_t format_list(char *to, size_t size, const char *text, va_list arguments)
{
    struct output output = {.at = to, .last = to + size - 1};

    for (; *text != '\0'; text++) {
        if (*text != '%') {
            put(&output, *text);
            continue;
        }
        char padding = ' ';
        size_t width = 0;
        bool wide = false;

        text++;
        if (*text == '0')
            padding = '0';
        for (; *text >= '0' && *text <= '9'; text++)
            width = width * 10 + (size_t)(*text - '0');
        if (text[0] == 'l' && text[1] == 'l') {
            wide = true;
            text += 2;
        }
        switch (*text) {
        case 's': {
            const char *string = va_arg(arguments, const char *);
            put_padded(&output, string, strlen(string), width, ' ');
            break;
        }
        case 'c':
            put(&output, (char)va_arg(arguments, int));
            break;
        case 'd': {
            int64_t value = wide ? va_arg(arguments, int64_t) : va_arg(arguments, int32_t);
            uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
            put_number(&output, magnitude, value < 0, 10, width, padding);
            break;
        }
        case 'u':
        case 'x': {
            uint64_t value = wide ? va_arg(arguments, uint64_t) : va_arg(arguments, uint32_t);
            put_number(&output, value, false, *text == 'x' ? 16 : 10, width, padding);
            break;
        }
        default:
            put(&output, *text);
            break;
        }
    }
    *output.at = '\0';
    return (size_t)(output.at - to);
}

size_t format(char *to, size_t size, const char *text, ...)
{
    va_list arguments;
    va_start(arguments, text);
    size_t length = format_list(to, size, text, arguments);
    va_end(arguments);
    return length;
}

static struct spinlock console_lock;

void print_list(const char *text, va_list arguments)
{
    char plain[401], line[2 * sizeof(plain)];
    size_t length = 0;

    format_list(plain, sizeof(plain), text, arguments);
    for (const char *c = plain; *c != '\0'; c++) {
        if (*c == '\n')
            line[length++] = '\r';
        line[length++] = *c;
    }
    uint32_t flags = lock_acquire(&console_lock);
    vmi_console_write(line, length);
    lock_release(&console_lock, flags);
}

void print(const char *text, ...)
{
    va_list arguments;
    va_start(arguments, text);
    print_list(text, arguments);
    va_end(arguments);
}
