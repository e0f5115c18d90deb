/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Options on the kernel's command line. Those that start with "vmi." belong to the library.
 */
#include "runtime.h"

static bool ends_word(char character)
{
    return character == ' ' || character == '\t' || !character;
}

bool vmi__option_next(const char **from, const char *name, const char **value, uint32_t *length)
{
    const char *word = *from;

    while (*word) {
        const char *left = name, *end = word;
        bool found;

        while (*left && *end == *left) {
            end++;
            left++;
        }
        found = !*left && (*end == '=' || ends_word(*end));
        if (found)
            *value = *end == '=' ? end + 1 : end;
        while (!ends_word(*end))
            end++;
        word = *end ? end + 1 : end;
        if (found) {
            *length = (uint32_t)(end - *value);
            *from = word;
            return true;
        }
    }
    return false;
}

bool vmi__option(const char *name, const char **value, uint32_t *length)
{
    const char *from = vmi__boot.command_line;
    bool found = false;

    while (vmi__option_next(&from, name, value, length))
        found = true;
    return found;
}

bool vmi__parse_u32(const char *text, uint32_t length, uint32_t *number)
{
    uint32_t base = 10, result = 0, i = 0;

    if (length > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        i = 2;
    }
    if (i == length)
        return false;
    for (; i < length; i++) {
        uint32_t lower = (uint32_t)(unsigned char)text[i] | 0x20, digit;

        if (text[i] >= '0' && text[i] <= '9')
            digit = (uint32_t)(text[i] - '0');
        else if (lower >= 'a' && lower <= 'f')
            digit = lower - 'a' + 10;
        else
            return false;
        if (digit >= base || result > (UINT32_MAX - digit) / base)
            return false;
        result = result * base + digit;
    }
    *number = result;
    return true;
}

const char *vmi__options(void)
{
    uint32_t length, port;
    const char *value;

    if (!vmi__option("vmi.debug_exit", &value, &length))
        return 0;
    if (!vmi__parse_u32(value, length, &port) || port == 0 || port > 0xffff)
        return "option vmi.debug_exit= wants a port number from 1 to 0xffff";
    vmi__boot.debug_exit = port;
    return 0;
}
