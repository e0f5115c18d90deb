/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "disk.h"

#include "bytes.h"
#include "devices.h"
#include "interrupts.h"
#include "memory.h"
#include "print.h"

#define QUEUE    0u
#define PATIENCE 60u /* s that a disk may take */

static struct vmi_device_properties facts;
static uint32_t disk;          /* its number */
static uint32_t sector_blocks; /* blocks of a sector; 0: no disk is open */
static uint32_t most;          /* sectors of a request */

bool disk_open_next(void)
{
    if (sector_blocks) {
        vmi_device_close(disk);
        disk++;
    }
    for (sector_blocks = 0; device_find(VMI_DEVICE_BLOCK, &disk, &facts); disk++) {
        if (facts.block_size > SECTOR) {
            say("%s: blocks of %u bytes, expected %u at most", facts.name, facts.block_size,
                SECTOR);
            continue;
        }
        sector_blocks = SECTOR / facts.block_size;
        most = least(facts.request_blocks / sector_blocks, facts.segment_bytes / SECTOR);
        if (most &&
            device_open(disk, (struct vmi_device_setup){.queues = 1, .requests = 1, .segments = 1},
                        1))
            return true;
        say("%s: it cannot be opened", facts.name);
        sector_blocks = 0;
    }
    return false;
}

uint64_t disk_sectors(void)
{
    uint64_t blocks = facts.blocks;

    for (uint32_t each = sector_blocks; each > 1; each >>= 1)
        blocks >>= 1;
    return blocks;
}

/* One request, from its submission to its end. */
static bool read_some(uint64_t sector, uint32_t count, void *memory)
{
    const struct vmi_segment segment = {.address = memory_physical(memory),
                                        .length = count * SECTOR};
    const struct vmi_block_request request = {
        .block = sector * sector_blocks,
        .segments = &segment,
        .count = 1,
        .operation = VMI_BLOCK_READ,
        .blocks = count * sector_blocks,
    };
    const uint64_t end = clock_now() + PATIENCE * clock_second();
    struct vmi_completion completion;

    if (vmi_block_submit(disk, QUEUE, &request, 1) != 1)
        return false;
    for (;;) {
        const uint32_t seen = interrupts_seen();
        int32_t ended = vmi_block_reap(disk, QUEUE, &completion, 1);

        if (ended != 0)
            return ended == 1 && completion.status == VMI_OK;
        if (clock_now() >= end)
            stop(VMI_STATUS_FAIL, "the disk does not answer");
        interrupts_wait(seen, end);
    }
}

bool disk_read(uint64_t sector, uint32_t count, void *memory)
{
    if (!sector_blocks || sector >= disk_sectors() || count > disk_sectors() - sector)
        return false;
    for (uint32_t done = 0, more; done < count; done += more) {
        more = least(count - done, most);
        if (!read_some(sector + done, more, (uint8_t *)memory + done * SECTOR))
            return false;
    }
    return true;
}
