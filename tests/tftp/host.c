/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * examples/tftp without its machine, as a process: `host DISK FRAMES`. Card, disk, clock and
 * randomness are here, the rest is the example's. FRAMES is how many the card sends until it is
 * asked again.
 *
 * Standard input has records: a letter, 4 bytes of size, the content. N: the time is this, 8 bytes.
 * F: a frame comes. T: nothing comes. After F and T what the kernel does goes to standard output in
 * the same form: F a frame, L a line of the console, W (the last) the time that it waits for.
 * Numbers are as the machine has them. Memory that is read beyond what has come ends the process.
 */
#include <sanitizer/asan_interface.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "card.h"
#include "disk.h"
#include "interrupts.h"
#include "iso9660.h"
#include "memory.h"
#include "net.h"
#include "print.h"
#include "random.h"
#include "server.h"
#include "tftp.h"

#define SECOND 1000000000u

static FILE *image;
static uint64_t sectors, now;
static uint32_t room_left, room_most;
static uint8_t in[CARD_FRAME], out[CARD_FRAME];
static uint32_t in_size;

static void put(char kind, const void *content, uint32_t size)
{
    putchar(kind);
    fwrite(&size, sizeof(size), 1, stdout);
    fwrite(content, size, 1, stdout);
}

/* ---- the machine ---- */

bool disk_open_next(void)
{
    return image != 0;
}

uint64_t disk_sectors(void)
{
    return sectors;
}

bool disk_read(uint64_t sector, uint32_t count, void *memory)
{
    return sector < sectors && count <= sectors - sector &&
           fseek(image, (long)(sector * SECTOR), SEEK_SET) == 0 &&
           fread(memory, SECTOR, count, image) == count;
}

const uint8_t *card_address(void)
{
    static const uint8_t address[ETHER_BYTES] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

    return address;
}

uint32_t card_payload(void)
{
    return CARD_PAYLOAD;
}

uint32_t card_receive(uint8_t *frame)
{
    uint32_t size = in_size;

    ASAN_UNPOISON_MEMORY_REGION(frame, CARD_FRAME);
    memcpy(frame, in, size);
    ASAN_POISON_MEMORY_REGION(frame + size, CARD_FRAME - size);
    in_size = 0;
    return size;
}

uint8_t *card_room(void)
{
    return room_left ? out : 0;
}

void card_send(uint32_t size)
{
    if (!room_left || size > sizeof(out))
        abort();
    room_left--;
    put('F', out, size);
    memset(out, 0xa5, sizeof(out));
}

void *memory_take(uint32_t size, uint32_t alignment, uint64_t limit)
{
    if (alignment != 1 || limit)
        abort();
    return malloc(size);
}

uint64_t clock_now(void)
{
    return now;
}

uint64_t clock_second(void)
{
    return SECOND;
}

uint32_t random_number(void)
{
    static uint32_t state = 1;

    state = state * 1664525 + 1013904223;
    return state >> 16 | state << 16;
}

/* As the example's own does it. */
void say(const char *format, ...)
{
    char line[600];
    uint32_t size = 0, address;
    va_list list;

    va_start(list, format);
    for (; *format; format++) {
        char *to = line + size;
        uint32_t room = sizeof(line) - size;

        if (*format != '%') {
            *to = *format;
            size++;
            continue;
        }
        switch (*++format) {
        case 's':
            size += (uint32_t)snprintf(to, room, "%s", va_arg(list, const char *));
            break;
        case 'u':
            size += (uint32_t)snprintf(to, room, "%u", va_arg(list, uint32_t));
            break;
        case 'a':
            address = va_arg(list, uint32_t);
            size += (uint32_t)snprintf(to, room, "%u.%u.%u.%u", address >> 24, address >> 16 & 255,
                                       address >> 8 & 255, address & 255);
            break;
        }
        if (size > sizeof(line) - 1)
            size = sizeof(line) - 1;
    }
    va_end(list);
    put('L', line, size);
}

static void turn(void)
{
    uint64_t due;

    room_left = room_most;
    due = server_turn();
    put('W', &due, sizeof(due));
    fflush(stdout);
}

int main(int count, char **words)
{
    uint32_t size;
    int kind;

    if (count != 3 || !(image = fopen(words[1], "rb")))
        return 2;
    fseek(image, 0, SEEK_END);
    sectors = (uint64_t)ftell(image) / SECTOR;
    room_most = (uint32_t)atoi(words[2]);
    if (!iso_open()) {
        put('L', "no volume", 9);
        return 1;
    }
    tftp_begin();
    turn();
    while ((kind = getchar()) != EOF && fread(&size, sizeof(size), 1, stdin) == 1) {
        uint8_t *to = kind == 'N' ? (uint8_t *)&now : in;

        if (size > (kind == 'N' ? sizeof(now) : sizeof(in)) || fread(to, 1, size, stdin) != size)
            return 2;
        if (kind == 'N')
            continue;
        in_size = size;
        turn();
    }
    return 0;
}
