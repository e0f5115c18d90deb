/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A kernel that gives three quarters of its memory to a balloon and takes them again, while
 * processes run: of its own accord, or as somebody outside has it do. A line `# request memory MIB`
 * says how much that is to be.
 */
#include <stddef.h>

#include "attempt.h"
#include "checks.h"
#include "first_device.h"
#include "frames.h"
#include "layout.h"
#include "print.h"
#include "process.h"
#include "programs.h"
#include "threads.h"
#include "traps.h"

#define BATCH      64u /* frames of a call */
#define PER_LIST   (PAGE_SIZE / (uint32_t)sizeof(uint32_t))
#define LISTS_MAX  1024u
#define MIB        20
#define PRESENT    1u
#define PART_SHIFT 2 /* a quarter */

/* Whoever changes the target needs a program for it, on a machine that may be slow. */
#define OUTSIDE_MILLISECONDS 60000

static struct first_device balloon = {
    .kind = VMI_DEVICE_BALLOON,
    .name = "memory balloon",
    .requests = 1,
    .segments = 1,
};

/* Frames that are in the balloon, in frames that are not. */
static uint32_t lists[LISTS_MAX], held;

static uint32_t *entry(uint32_t number)
{
    return (uint32_t *)frame_address(lists[number / PER_LIST]) + number % PER_LIST;
}

/* Processes run, with tables and frames of their own. */
static bool process_runs(void)
{
    struct process ended, *process = process_start(&user_hello);

    if (process == NULL)
        return false;
    process_reap(process, &ended);
    return ended.end == PROCESS_EXITED && ended.status == (int32_t)ended.id;
}

/* Is it known that a frame is nobody's, by its number on the machine? Then no access reaches it. */
static bool is_gone(uint32_t frame)
{
    uint64_t entry_of = (uint64_t)frame << PAGE_SHIFT | PRESENT;

    return !(vmi_physical_to_machine(entry_of) & PRESENT);
}

/* Gives frames until so many are held, or takes them; why it could not, or null. */
static const char *inflate(uint32_t wanted)
{
    while (held < wanted) {
        uint32_t frames[BATCH], count = least(wanted - held, BATCH), word;
        if (held % PER_LIST + count > PER_LIST)
            count = PER_LIST - held % PER_LIST;
        if (held % PER_LIST == 0) {
            if (held / PER_LIST == LISTS_MAX)
                return "there is no room to note what is away";
            lists[held / PER_LIST] = frame_allocate();
            if (lists[held / PER_LIST] == FRAME_NONE)
                return "no frame is left to note the others in";
        }
        for (uint32_t i = 0; i < count; i++) {
            frames[i] = frame_allocate();
            if (frames[i] == FRAME_NONE)
                return "no frame is left to be given";
            *entry(held + i) = frames[i];
        }
        if (vmi_balloon_inflate(balloon.number, frames, count) != (int32_t)count)
            return "the balloon does not take a frame";
        held += count;
        if (is_gone(frames[0]) && (attempt_read((uintptr_t)frame_address(frames[0]), &word, NULL) ||
                                   vmi_balloon_inflate(balloon.number, frames, 1) != VMI_EINVAL))
            return "a frame is given and is still there";
    }
    return NULL;
}

static const char *deflate(uint32_t wanted)
{
    while (held > wanted) {
        uint32_t frames[BATCH], count = least(held - wanted, BATCH);
        if (count > (held - 1) % PER_LIST + 1)
            count = (held - 1) % PER_LIST + 1;
        for (uint32_t i = 0; i < count; i++)
            frames[i] = *entry(held - count + i);
        int32_t result = vmi_balloon_deflate(balloon.number, frames, count);
        if (result != (int32_t)count)
            return "the balloon does not give a frame";
        held -= count;
        for (uint32_t i = 0; i < count; i++)
            *(volatile uint32_t *)frame_address(frames[i]) = frames[i];
        for (uint32_t i = 0; i < count; i++) {
            if (is_gone(frames[i]) || *(volatile uint32_t *)frame_address(frames[i]) != frames[i])
                return "a frame that was taken is not there";
            frame_release(frames[i]);
        }
        if (held % PER_LIST == 0)
            frame_release(lists[held / PER_LIST]);
    }
    return NULL;
}

/* What is to be given for a quarter of the memory to be left. */
static uint32_t most(void)
{
    return frames_total() - (frames_total() >> PART_SHIFT);
}

static void end_with(const char *reason, uint32_t free)
{
    if (reason != NULL)
        ktap_fail("%s, with %u in the balloon", reason, held);
    EXPECT_EQUAL(held, 0);
    EXPECT_EQUAL(frames_free(), free);
}

/* Says what memory there is, if somebody asks; false if that is not taken. */
static bool reports(void)
{
    const struct vmi_balloon_statistics statistics = {
        .total = (uint64_t)(frames_total() - held) << PAGE_SHIFT,
        .free = (uint64_t)frames_free() << PAGE_SHIFT,
        .available = (uint64_t)frames_free() << PAGE_SHIFT,
    };
    int32_t result = vmi_balloon_report(balloon.number, &statistics);

    return result == VMI_OK || result == VMI_EAGAIN || result == VMI_ENOSYS;
}

static void moves(void)
{
    static const uint32_t none[] = {0xffffffff};

    NEEDS_DEVICE(&balloon);
    EXPECT(first_device_has_limits(&balloon));
    EXPECT_EQUAL(vmi_balloon_inflate(balloon.number, none, 1), VMI_EINVAL);
    EXPECT_EQUAL(first_device_open(&balloon), VMI_OK);
    uint32_t free = frames_free();
    EXPECT_EQUAL(vmi_balloon_inflate(balloon.number, none, 1), VMI_EINVAL);
    EXPECT_EQUAL(vmi_balloon_inflate(balloon.number, none, 0), 0);
    EXPECT_EQUAL(vmi_balloon_deflate(balloon.number, none, 1), VMI_EINVAL);
    EXPECT(reports());
    const char *reason = inflate(most());
    EXPECT(process_runs());
    if (reason == NULL)
        reason = deflate(most() / 2);
    EXPECT(process_runs());
    if (reason == NULL)
        reason = inflate(most());
    if (reason == NULL)
        reason = deflate(0);
    EXPECT(process_runs());
    end_with(reason, free);
    EXPECT_EQUAL(vmi_device_close(balloon.number), VMI_OK);
    EXPECT_EQUAL(vmi_balloon_inflate(balloon.number, none, 0), VMI_EINVAL);
}

/* Waits for an event that comes with another target than before, which is noted; false if none
 * does. */
static bool target_changes(uint32_t *target)
{
    struct patience patience;
    uint32_t before = *target;

    patience_begin(&patience, OUTSIDE_MILLISECONDS);
    while (patience_left(&patience)) {
        uint32_t seen = first_device_events;
        if (!reports())
            return false;
        if (first_device_find(&balloon) && balloon.facts.target != before) {
            *target = balloon.facts.target;
            return first_device_events != 0;
        }
        wait_for_count(&first_device_events, seen + 1, PATIENCE_MILLISECONDS);
    }
    return false;
}

/* MiB from 0 to the end of usable memory, which is all that a small machine has. */
static uint32_t memory_mib(void)
{
    uint64_t end = 0;

    for (uint32_t i = 0; i < checks_boot_info->memory_count; i++) {
        const struct vmi_memory_range *range = &checks_boot_info->memory[i];
        if (range->kind == VMI_MEMORY_USABLE && range->base + range->size > end)
            end = range->base + range->size;
    }
    return (uint32_t)((end + (1u << MIB) - 1) >> MIB);
}

void memory_by_target(void)
{
    NEEDS_OPEN_DEVICE(&balloon);
    NEEDS(EVENT_BIND);
    trap_handler_set(VECTOR_ENTROPY, first_device_note);
    first_device_events = 0;
    uint32_t free = frames_free(), target = balloon.facts.target;
    int32_t event = vmi_event_bind(VMI_EVENT_DEVICE, balloon.number << 16, VECTOR_ENTROPY);
    EXPECT(event >= 0);
    EXPECT_EQUAL(vmi_event_unmask((uint32_t)event), VMI_OK);
    const uint32_t mib = memory_mib();
    EXPECT_EQUAL(target, 0);
    print("# request memory %u\n", mib >> PART_SHIFT);
    EXPECT(target_changes(&target));
    const char *reason = inflate(least(target, most()));
    print("# memory target=%u held=%u of=%u\n", target, held, most());
    EXPECT(process_runs());
    first_device_events = 0;
    print("# request memory %u\n", mib);
    EXPECT(target_changes(&target));
    if (reason == NULL)
        reason = deflate(target);
    EXPECT(process_runs());
    end_with(reason, free);
    EXPECT_EQUAL(vmi_event_unbind((uint32_t)event), VMI_OK);
    EXPECT_EQUAL(vmi_device_close(balloon.number), VMI_OK);
}

const struct check checks_balloon[] = {{"test.balloon", moves}, {NULL, NULL}};
