/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "options.h"
#include "string.h"

bool option_value(const char *command_line, const char *name, char *value, size_t size)
{
    size_t name_length = strlen(name);
    bool found = false;
    const char *word = command_line;

    value[0] = '\0';
    while (*word != '\0') {
        size_t length = 0;
        while (word[length] != '\0' && word[length] != ' ')
            length++;
        if (length > name_length && word[name_length] == '=' &&
            string_equal(word, name, name_length)) {
            size_t value_length = length - name_length - 1;
            if (value_length > size - 1)
                value_length = size - 1;
            memcpy(value, word + name_length + 1, value_length);
            value[value_length] = '\0';
            found = true;
        }
        word += length;
        while (*word == ' ')
            word++;
    }
    return found;
}

uint32_t option_number(const char *command_line, const char *name)
{
    char value[16];
    uint32_t number = 0;

    option_value(command_line, name, value, sizeof(value));
    for (const char *digit = value; *digit >= '0' && *digit <= '9' && number < 1000000; digit++)
        number = 10 * number + (uint32_t)(*digit - '0');
    return number;
}
