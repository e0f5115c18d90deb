/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the loader for UEFI makes of a memory map, with a firmware that this file plays. Input: the
 * size of an entry and how many there are, in 32 bits each, then the entries as UEFI has them.
 * Output: the multiboot2 information that the kernel gets, or the reason why it is not started. As
 * the firmware is left for the first time, the map changes.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../ci/efi_loader.c"

#define ENTRIES_MAX (MAP_SIZE / sizeof(struct memory))

const uint8_t kernel[1], kernel_end[1], trampoline[1], trampoline_end[1];

static struct {
    uint32_t entry_size, count;
} head;

static uint8_t entries[MAP_SIZE];
static uint64_t key;
static uint32_t shown; /* entries: the last one is not there at first */

static status allocate(uint32_t how, uint32_t kind, uint64_t pages, uint64_t *address)
{
    void *found = mmap(0, pages * PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

    (void)kind;
    if (how != BELOW || found == MAP_FAILED)
        return LOAD_ERROR;
    *address = (uint64_t)found;
    return SUCCESS;
}

static status give_map(uint64_t *size, void *map, uint64_t *now, uint64_t *entry_size,
                       uint32_t *version)
{
    uint64_t needed = (uint64_t)shown * head.entry_size;

    if (*size < needed)
        return LOAD_ERROR;
    memcpy(map, entries, needed);
    *size = needed;
    *now = key;
    *entry_size = head.entry_size;
    *version = 1;
    return SUCCESS;
}

static status leave_firmware(handle image, uint64_t now)
{
    (void)image;
    if (shown < head.count) {
        shown = head.count;
        key++;
    }
    return now == key ? SUCCESS : LOAD_ERROR;
}

static void get(void *to, size_t size)
{
    for (char *next = to; size;) {
        ssize_t done = read(0, next, size);

        if (done <= 0)
            exit(2);
        next += done;
        size -= (size_t)done;
    }
}

int main(void)
{
    static struct boot_services boot = {.allocate_pages = allocate,
                                        .get_memory_map = give_map,
                                        .exit_boot_services = leave_firmware};
    static struct system_table system = {.boot = &boot};
    const wide *reason;

    get(&head, sizeof(head));
    get(entries, (size_t)head.entry_size * head.count);
    shown = head.count - 1;
    firmware = &system;
    image_start = 1 << 20;
    image_end = image_start + 0x40000;
    information = pages_for(INFORMATION_SIZE);
    add_text(TAG_COMMAND_LINE, "quiet", 5);
    reason = leave(0);
    for (; reason && *reason; reason++)
        if (write(2, reason, 1) != 1)
            return 2;
    memcpy(information, &used, 4);
    return write(1, information, used) == (ssize_t)used && !reason ? 0 : 1;
}
