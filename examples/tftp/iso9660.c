/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "iso9660.h"

#include "bytes.h"
#include "disk.h"
#include "memory.h"
#include "print.h"

/* Volume descriptors (ECMA-119, 8). */
#define FIRST_DESCRIPTOR 16u
#define DESCRIPTORS_MOST 64u
#define IDENTIFIER       "CD001"
#define LABEL_BYTES      32u
enum { PRIMARY = 1, TERMINATOR = 255 };
/* Where they have what. A block's size is there twice; this one is the one in the network's order.
 */
enum { LABEL = 40, BLOCK_SIZE = 130, ROOT = 156 };

/* A directory's record (ECMA-119, 9.1). */
enum { LENGTH = 0, ATTRIBUTES, EXTENT, SIZE = 10, FLAGS = 25, UNIT, GAP, NAME_LENGTH = 32, NAME };
enum { IS_DIRECTORY = 2, GOES_ON = 128 };
#define DIRECTORY_MOST 0x400000u /* bytes; more is not searched */

/* What Rock Ridge has in a record's rest (SUSP, 4 and 5; RRIP, 4.1.4). */
#define ENTRY_LEAST 4u
#define SHARING     7u /* bytes of the entry SP */
#define NAME_FLAGS  4u /* of the entry NM; the name follows */
#define NAME_MOST   255u
#define ROCK_RIDGE  "\xbe\xef"

#define NONE UINT64_MAX

static uint8_t *sector; /* one, for everything but files' contents */
static uint64_t held;   /* which one it is, or NONE */
static struct file root;
static bool rock_ridge;
static uint32_t skipped; /* bytes of each record's rest before the first entry */

/* A sector's bytes, until the next call; 0 if it cannot be read. */
static const uint8_t *sector_at(uint64_t number)
{
    if (number != held) {
        held = NONE;
        if (!disk_read(number, 1, sector))
            return 0;
        held = number;
    }
    return sector;
}

/* What a record says of where its file is; false if it does not lie on the disk in one piece. */
static bool extent_of(const uint8_t *record, struct file *file)
{
    uint64_t first = (uint64_t)get32_least_first(record + EXTENT) + record[ATTRIBUTES];
    uint32_t size = get32_least_first(record + SIZE);
    uint64_t sectors = ((uint64_t)size + SECTOR - 1) / SECTOR;

    if (record[FLAGS] & GOES_ON || record[UNIT] || record[GAP] || first > disk_sectors() ||
        sectors > disk_sectors() - first)
        return false;
    *file = (struct file){first, size};
    return true;
}

/* The rest of a record, behind its name, without what is skipped; *size bytes. */
static const uint8_t *rest_of(const uint8_t *record, uint32_t skip, uint32_t *size)
{
    uint32_t at = NAME + record[NAME_LENGTH];

    at += at % 2 + skip;
    *size = at < record[LENGTH] ? record[LENGTH] - at : 0;
    return record + at;
}

/* The next entry of the rest of a record, and what is behind it; 0: that was all. */
static const uint8_t *next_entry(const uint8_t **rest, uint32_t *size)
{
    const uint8_t *entry = *rest;

    if (*size < ENTRY_LEAST || entry[2] < ENTRY_LEAST || entry[2] > *size)
        return 0;
    *rest += entry[2];
    *size -= entry[2];
    return entry;
}

/* The root's record for itself says whether there are entries, and where they begin. */
static void look_for_rock_ridge(const uint8_t *record)
{
    uint32_t size;
    const uint8_t *rest = rest_of(record, 0, &size), *entry = next_entry(&rest, &size);

    rock_ridge = entry && entry[2] == SHARING && memcmp(entry, "SP", 2) == 0 &&
                 memcmp(entry + 4, ROCK_RIDGE, 2) == 0;
    skipped = rock_ridge ? entry[6] : 0;
}

/* A record at this place of a sector that is one; 0 if there is none, or none that can be. */
static const uint8_t *record_at(const uint8_t *bytes, uint32_t at)
{
    const uint8_t *record = bytes + at;

    if (at >= SECTOR || SECTOR - at <= NAME || record[LENGTH] <= NAME ||
        record[LENGTH] > SECTOR - at || !record[NAME_LENGTH] ||
        record[NAME_LENGTH] > record[LENGTH] - NAME)
        return 0;
    return record;
}

/* ---- names ---- */

static char lower(char character)
{
    return character >= 'A' && character <= 'Z' ? (char)(character + 'a' - 'A') : character;
}

/* NAME.TXT;1, or NAME.;1 for a name without a dot. */
static bool is_plain_name(const uint8_t *record, const char *name, uint32_t length)
{
    const char *own = (const char *)record + NAME;
    uint32_t size = record[NAME_LENGTH];

    for (uint32_t i = 1; i < size; i++)
        if (own[i] == ';')
            size = i;
    if (size > 1 && own[size - 1] == '.')
        size--;
    if (size != length)
        return false;
    for (uint32_t i = 0; i < size; i++)
        if (lower(own[i]) != lower(name[i]))
            return false;
    return true;
}

/* The name may be in several entries. One that goes on elsewhere on the disk is not followed. */
static bool is_long_name(const uint8_t *record, const char *name, uint32_t length)
{
    uint32_t size, matched = 0;
    const uint8_t *rest = rest_of(record, skipped, &size), *entry;
    bool whole = false;

    while (rock_ridge && !whole && (entry = next_entry(&rest, &size)) != 0) {
        uint32_t part = entry[2] - NAME_FLAGS - 1u;

        if (memcmp(entry, "NM", 2) != 0 || entry[2] <= NAME_FLAGS)
            continue;
        if (entry[NAME_FLAGS] > 1 || part > length - matched ||
            memcmp(entry + NAME_FLAGS + 1, name + matched, part) != 0)
            return false;
        matched += part;
        whole = !entry[NAME_FLAGS];
    }
    return whole && matched == length;
}

/* ---- directories ---- */

/* Finds one name in a directory. */
static enum found find(const struct file *directory, const char *name, uint32_t length, bool folder,
                       struct file *file)
{
    if (directory->size > DIRECTORY_MOST)
        return NOT_READABLE;
    for (uint32_t done = 0; done < directory->size; done += SECTOR) {
        const uint8_t *bytes = sector_at(directory->sector + done / SECTOR), *record;

        if (!bytes)
            return NOT_READABLE;
        /* A record does not go on in the next sector. */
        for (uint32_t at = 0; (record = record_at(bytes, at)) != 0; at += record[LENGTH]) {
            if (record[NAME_LENGTH] == 1 && (uint8_t)record[NAME] <= 1)
                continue; /* the directory itself, and the one that it is in */
            if (!is_long_name(record, name, length) && !is_plain_name(record, name, length))
                continue;
            if (!(record[FLAGS] & IS_DIRECTORY) == folder)
                return NO_SUCH_FILE;
            return extent_of(record, file) ? FOUND : NOT_READABLE;
        }
    }
    return NO_SUCH_FILE;
}

enum found iso_find(const char *path, struct file *file)
{
    struct file place = root;

    for (;;) {
        enum found result;
        uint32_t length = 0;

        while (*path == '/')
            path++;
        while (path[length] && path[length] != '/')
            length++;
        if (!length || length > NAME_MOST)
            return NO_SUCH_FILE;
        result = find(&place, path, length, path[length] == '/', &place);
        if (result != FOUND)
            return result;
        path += length;
        if (!*path) {
            *file = place;
            return FOUND;
        }
    }
}

/* The volume that a descriptor describes. */
static bool take(const uint8_t *descriptor)
{
    char label[LABEL_BYTES + 1] = {0};
    const uint8_t *bytes, *record;

    memcpy(label, descriptor + LABEL, LABEL_BYTES);
    for (uint32_t i = LABEL_BYTES; i > 0 && label[i - 1] == ' '; i--)
        label[i - 1] = 0;
    /* Its record of the root is as long as one is whose name has one byte. */
    if (get16(descriptor + BLOCK_SIZE) != SECTOR || !(descriptor[ROOT + FLAGS] & IS_DIRECTORY) ||
        !extent_of(descriptor + ROOT, &root))
        return false;
    bytes = sector_at(root.sector);
    record = bytes ? record_at(bytes, 0) : 0;
    if (!record)
        return false;
    look_for_rock_ridge(record);
    say("volume '%s'%s", label, rock_ridge ? " with long names" : "");
    return true;
}

bool iso_open(void)
{
    if (!sector)
        sector = memory_take(SECTOR, 1, 0);
    held = NONE;
    for (uint32_t i = 0; i < DESCRIPTORS_MOST; i++) {
        const uint8_t *descriptor = sector_at(FIRST_DESCRIPTOR + i);

        if (!descriptor || memcmp(descriptor + 1, IDENTIFIER, 5) != 0 ||
            descriptor[0] == TERMINATOR)
            return false;
        if (descriptor[0] == PRIMARY)
            return take(descriptor);
    }
    return false;
}
