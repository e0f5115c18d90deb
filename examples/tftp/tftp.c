/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "tftp.h"

#include "bytes.h"
#include "disk.h"
#include "interrupts.h"
#include "iso9660.h"
#include "memory.h"
#include "print.h"
#include "random.h"

#define PORT       69u
#define FIRST_PORT 0xc000u /* of those for transfers (RFC 6335), up to 0xffff */
#define HEADER     4u
#define NAME_MOST  255u

#define TRANSFERS     8u   /* at a time */
#define BLOCK         512u /* bytes, where no option says otherwise */
#define BLOCK_LEAST   8u
#define BLOCK_MOST    65464u
#define WINDOW_MOST   32u /* blocks on their way at a time */
#define SECONDS       1u  /* until what is not acknowledged is sent again */
#define DOUBLINGS     3u  /* of that time, while nobody answers */
#define TRIES         8u  /* without progress until a transfer is given up */
#define CACHE_SECTORS 32u

enum { READ = 1, WRITE, DATA, ACK, ERROR, OACK };
enum { OTHER = 0, NOT_FOUND, DENIED, ILLEGAL = 4, WRONG_PORT };

/*
 * Packets of a transfer are numbered from 0, which accepts the options, or from 1 where there are
 * none. On the wire a number has 16 bits: which one is meant follows from those that are on their
 * way, of which there are fewer than 65536.
 */
struct transfer {
    bool running;
    uint16_t port;
    struct endpoint client;
    struct file file;
    char name[NAME_MOST + 1];
    uint32_t block, window, seconds;
    uint32_t first; /* the first packet that is not acknowledged */
    uint32_t next;  /* to be sent */
    uint32_t last;
    uint32_t repeated; /* packets sent more than once */
    uint32_t tries;
    uint64_t again; /* when to send from `first` on again */
    uint8_t accepted[80];
    uint32_t accepted_bytes;
    /* Some of the file's sectors: how many, from which one of the file on. */
    uint8_t *cache;
    uint32_t cached, cached_first;
};

static struct transfer transfers[TRANSFERS];

void tftp_begin(void)
{
    for (uint32_t i = 0; i < TRANSFERS; i++)
        transfers[i].cache = memory_take(CACHE_SECTORS * SECTOR, 1, 0);
}

/* A port that no transfer has; nobody can guess it. */
static uint16_t new_port(void)
{
    for (;;) {
        uint16_t port = (uint16_t)(FIRST_PORT | random_number());
        bool taken = false;

        for (uint32_t i = 0; i < TRANSFERS; i++)
            taken |= transfers[i].running && transfers[i].port == port;
        if (!taken)
            return port;
    }
}

static bool is_same_end(const struct endpoint *one, const struct endpoint *other)
{
    return one->address == other->address && one->port == other->port;
}

/* What is sent now is sent again then, later each time. */
static void set_alarm(struct transfer *of)
{
    of->again = clock_now() + (of->seconds * clock_second() << least(of->tries, DOUBLINGS));
}

/* ---- sending ---- */

/* One that does not get there is not sent again: whoever asks again has it again. */
static void send_error(uint32_t code, const char *text, uint16_t port, const struct endpoint *to)
{
    uint8_t *room = net_room();
    uint32_t size = HEADER;

    if (!room)
        return;
    put16(room, ERROR);
    put16(room + 2, code);
    do
        room[size++] = (uint8_t)*text;
    while (*text++);
    net_send(size, port, to);
}

/* Copies bytes of the file, which has them; false if the disk cannot be read. */
static bool copy_file(struct transfer *of, uint32_t offset, uint32_t bytes, uint8_t *to)
{
    while (bytes > 0) {
        const uint32_t sector = offset / SECTOR, within = offset % SECTOR;
        uint32_t part = least(bytes, SECTOR - within);

        if (sector < of->cached_first || sector - of->cached_first >= of->cached) {
            const uint32_t sectors = of->file.size / SECTOR + (of->file.size % SECTOR != 0);

            of->cached = least(sectors - sector, CACHE_SECTORS);
            of->cached_first = sector;
            if (!disk_read(of->file.sector + sector, of->cached, of->cache)) {
                of->cached = 0;
                return false;
            }
        }
        memcpy(to, of->cache + (sector - of->cached_first) * SECTOR + within, part);
        to += part;
        offset += part;
        bytes -= part;
    }
    return true;
}

/* Sends a packet; false if it cannot now. A disk that fails ends the transfer. */
static bool send_packet(struct transfer *of, uint32_t number)
{
    uint8_t *room = net_room();
    uint32_t offset = (number - 1) * of->block, bytes;

    if (!room)
        return false;
    if (number == 0) {
        memcpy(room, of->accepted, of->accepted_bytes);
        net_send(of->accepted_bytes, of->port, &of->client);
        return true;
    }
    bytes = least(of->file.size - offset, of->block);
    if (!copy_file(of, offset, bytes, room + HEADER)) {
        of->running = false;
        say("%a: %s: the disk cannot be read", of->client.address, of->name);
        send_error(OTHER, "the disk cannot be read", of->port, &of->client);
        return false;
    }
    put16(room, DATA);
    put16(room + 2, number);
    net_send(HEADER + bytes, of->port, &of->client);
    return true;
}

/* Sends what the window has room for. Nothing goes with packet 0: it may be refused. */
static void send_window(struct transfer *of)
{
    uint32_t window = of->first ? of->window : 1;

    while (of->running && of->next <= of->last && of->next - of->first < window &&
           send_packet(of, of->next))
        of->next++;
}

uint64_t tftp_run(void)
{
    uint64_t due = NEVER;

    for (uint32_t i = 0; i < TRANSFERS; i++) {
        struct transfer *of = &transfers[i];

        if (of->running && clock_now() >= of->again) {
            if (of->tries++ == TRIES) {
                of->running = false;
                say("%a: %s: the client does not answer", of->client.address, of->name);
            }
            of->repeated += of->next - of->first;
            of->next = of->first;
            set_alarm(of);
        }
        send_window(of);
        if (of->running && of->again < due)
            due = of->again;
    }
    return due;
}

/* ---- requests ---- */

/* The text at *at of `end - *at` bytes, which moves behind it; 0 if it does not end there. */
static const char *take_text(const uint8_t **at, const uint8_t *end)
{
    const char *text = (const char *)*at;

    for (; *at < end; ++*at)
        if (!**at) {
            ++*at;
            return text;
        }
    return 0;
}

/* Upper and lower case are the same in modes and options. */
static bool is_word(const char *text, const char *word)
{
    for (; *text && (*text | 0x20) == *word; word++)
        text++;
    return !*text && !*word;
}

/* A decimal number between two others; 0 if it is none. */
static uint32_t number_of(const char *text, uint32_t from, uint32_t to)
{
    uint32_t number = 0;

    for (; *text >= '0' && *text <= '9' && number <= to; text++)
        number = number * 10 + (uint32_t)(*text - '0');
    return *text || number < from || number > to ? 0 : number;
}

static void accept_option(struct transfer *of, const char *name, uint32_t value)
{
    uint8_t digits[10];
    uint32_t count = 0;

    if (!of->accepted_bytes) {
        put16(of->accepted, OACK);
        of->accepted_bytes = 2;
    }
    do
        of->accepted[of->accepted_bytes++] = (uint8_t)*name;
    while (*name++);
    do
        digits[count++] = (uint8_t)('0' + value % 10);
    while ((value /= 10) != 0);
    while (count > 0)
        of->accepted[of->accepted_bytes++] = digits[--count];
    of->accepted[of->accepted_bytes++] = 0;
}

/* Takes the options that it knows, each once; what is wrong or unknown is as if it were not there.
 */
static void take_options(struct transfer *of, const uint8_t *at, const uint8_t *end)
{
    bool block = false, window = false, seconds = false, size = false;
    const char *name, *text;
    uint32_t value;

    while ((name = take_text(&at, end)) != 0 && (text = take_text(&at, end)) != 0) {
        if (!block && is_word(name, "blksize") &&
            (value = number_of(text, BLOCK_LEAST, BLOCK_MOST)) != 0) {
            block = true;
            of->block = least(value, net_room_bytes() - HEADER);
            accept_option(of, "blksize", of->block);
        } else if (!window && is_word(name, "windowsize") &&
                   (value = number_of(text, 1, 0xffff)) != 0) {
            window = true;
            of->window = least(value, WINDOW_MOST);
            accept_option(of, "windowsize", of->window);
        } else if (!seconds && is_word(name, "timeout") && (value = number_of(text, 1, 255)) != 0) {
            seconds = true;
            of->seconds = value;
            accept_option(of, "timeout", value);
        } else if (!size && is_word(name, "tsize")) {
            size = true;
            accept_option(of, "tsize", of->file.size);
        }
    }
}

static bool is_same_name(const char *one, const char *other)
{
    for (; *one && *one == *other; other++)
        one++;
    return *one == *other;
}

/* A transfer that is free; 0 if none is, or the client has just begun one of that file. */
static struct transfer *transfer_for(const struct endpoint *client, const char *name, bool *begun)
{
    struct transfer *free = 0;

    *begun = false;
    for (uint32_t i = 0; i < TRANSFERS; i++) {
        struct transfer *of = &transfers[i];

        if (of->running && is_same_end(&of->client, client)) {
            /* It has asked twice; or it wants no more of what it asked for before. */
            *begun |= of->first < 2 && is_same_name(of->name, name);
            of->running = *begun;
        }
        if (!of->running)
            free = of;
    }
    return *begun ? 0 : free;
}

static void begin(const char *name, const uint8_t *options, const uint8_t *end,
                  const struct endpoint *client, uint16_t port)
{
    bool begun;
    struct transfer *of = transfer_for(client, name, &begun);
    struct file file;
    enum found found;

    if (begun)
        return;
    if (!of) {
        send_error(OTHER, "too many transfers; try again later", port, client);
        return;
    }
    found = iso_find(name, &file);
    if (found != FOUND) {
        const char *why = found == NO_SUCH_FILE ? "no such file" : "it cannot be read";

        say("%a: %s: %s", client->address, name, why);
        send_error(found == NO_SUCH_FILE ? NOT_FOUND : OTHER, why, port, client);
        return;
    }
    *of = (struct transfer){.running = true,
                            .port = port,
                            .client = *client,
                            .file = file,
                            .block = BLOCK,
                            .window = 1,
                            .seconds = SECONDS,
                            .cache = of->cache};
    for (uint32_t i = 0; name[i] && i < NAME_MOST; i++)
        of->name[i] = name[i];
    take_options(of, options, end);
    of->last = file.size / of->block + 1; /* which is not full */
    of->first = of->next = of->accepted_bytes ? 0 : 1;
    set_alarm(of);
    say("%a: %s: %u bytes in blocks of %u, %u at a time", client->address, of->name, file.size,
        of->block, of->window);
}

static void take_request(const struct datagram *datagram)
{
    const uint8_t *at = datagram->data + 2, *end = datagram->data + datagram->size;
    const uint32_t operation = datagram->size < HEADER ? 0 : get16(datagram->data);
    const struct endpoint *client = &datagram->from;
    const char *name, *mode;
    uint16_t port;

    if (operation == ERROR)
        return; /* no error answers an error */
    port = new_port();
    if (operation == WRITE) {
        send_error(DENIED, "files can only be read here", port, client);
        return;
    }
    name = operation == READ ? take_text(&at, end) : 0;
    mode = name ? take_text(&at, end) : 0;
    if (!mode)
        send_error(ILLEGAL, "expected a read request", port, client);
    else if (!is_word(mode, "octet"))
        send_error(ILLEGAL, "expected mode octet (binary)", port, client);
    else
        begin(name, at, end, client, port);
}

/* ---- what clients say ---- */

static void take_acknowledgement(struct transfer *of, uint32_t number)
{
    /*
     * One of those that are on their way. An older one changes nothing: if a packet were sent for
     * each acknowledgement, one that came twice would have all that follow sent twice (RFC 1123,
     * 4.2.3.1).
     */
    uint32_t packet = of->first + ((number - of->first) & 0xffff);

    if (packet >= of->next)
        return;
    of->repeated += of->next - packet - 1;
    of->first = of->next = packet + 1;
    of->tries = 0;
    set_alarm(of);
    if (of->first <= of->last)
        return;
    of->running = false;
    say("%a: %s: sent, %u packets of it again", of->client.address, of->name, of->repeated);
}

void tftp_take(const struct datagram *datagram)
{
    if (datagram->port == PORT) {
        take_request(datagram);
        return;
    }
    for (uint32_t i = 0; i < TRANSFERS; i++) {
        struct transfer *of = &transfers[i];
        uint32_t operation = datagram->size < HEADER ? 0 : get16(datagram->data);

        if (!of->running || of->port != datagram->port)
            continue;
        if (!is_same_end(&of->client, &datagram->from)) {
            if (operation != ERROR)
                send_error(WRONG_PORT, "this transfer is another client's", of->port,
                           &datagram->from);
        } else if (operation == ACK) {
            take_acknowledgement(of, get16(datagram->data + 2));
        } else if (operation == ERROR) {
            of->running = false;
            say("%a: %s: the client has ended it", of->client.address, of->name);
        }
    }
}
