/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Entropy: of the processor, where CPUID says that it has a generator, and of the first device that
 * is a source, if there is one. That two fills are alike by chance is left out of account.
 */
#include <stddef.h>

#include "checks.h"
#include "first_device.h"
#include "frames.h"
#include "layout.h"
#include "string.h"
#include "threads.h"
#include "timer.h"
#include "traps.h"
#include "x86.h"

#define CPUID_1_ECX_RDRAND (1u << 30)
#define CPUID_7_EBX_RDSEED (1u << 18)

#define MOST     4096 /* bytes of a call */
#define REQUESTS 4u
#define GUARD    0x5a
#define SEED     64u

static struct first_device source = {
    .kind = VMI_DEVICE_ENTROPY,
    .name = "source of entropy on a bus",
    .requests = REQUESTS,
    .segments = 1,
};
static uint8_t bytes[2 * MOST];

static bool has_generator(void)
{
    uint32_t last, basic, extended = 0, ignored;

    vmi_cpuid(0, 0, &last, &ignored, &ignored, &ignored);
    vmi_cpuid(1, 0, &ignored, &ignored, &basic, &ignored);
    if (last >= 7)
        vmi_cpuid(7, 0, &ignored, &extended, &ignored, &ignored);
    return (basic & CPUID_1_ECX_RDRAND) || (extended & CPUID_7_EBX_RDSEED);
}

/* Fills all of it, however often that takes; the error that came, or VMI_OK. */
static int32_t fill(uint32_t source, uint8_t *to, uint32_t size)
{
    uint64_t end = vmi_clock_nanoseconds() + PATIENCE_MILLISECONDS * 1000000ull;

    while (size) {
        int32_t result = vmi_fill_entropy(source, to, size);
        if (result == 0 || result > (int32_t)size || result > MOST)
            return VMI_EIO;
        if (result > 0) {
            to += result;
            size -= (uint32_t)result;
        } else if (result != VMI_EAGAIN || vmi_clock_nanoseconds() > end) {
            return result;
        }
    }
    return VMI_OK;
}

static bool all_are(const uint8_t *at, uint32_t count, uint8_t value)
{
    for (uint32_t i = 0; i < count; i++)
        if (at[i] != value)
            return false;
    return true;
}

/* Every bit is set in some bytes and clear in others, and one part is not as the other. */
static bool is_random(const uint8_t *at, uint32_t count)
{
    uint8_t any = 0, every = 0xff;

    for (uint32_t i = 0; i < count; i++) {
        any |= at[i];
        every &= at[i];
    }
    return any == 0xff && every == 0 && memcmp(at, at + count / 2, count / 2) != 0;
}

/* What a source gives: as much as was asked for and not a byte more, never the same twice. */
static bool gives(uint32_t source)
{
    for (uint32_t size = 1; size <= 2 * sizeof(uintptr_t) + 1; size++) {
        memset(bytes, GUARD, 4 * SEED);
        if (fill(source, bytes + 1, size) != VMI_OK || bytes[0] != GUARD ||
            !all_are(bytes + 1 + size, SEED, GUARD))
            return false;
    }
    if (fill(source, bytes, SEED) != VMI_OK || fill(source, bytes + SEED, SEED) != VMI_OK ||
        !is_random(bytes, 2 * SEED))
        return false;
    memset(bytes, 0, sizeof(bytes));
    return fill(source, bytes, sizeof(bytes)) == VMI_OK && is_random(bytes, sizeof(bytes)) &&
           !all_are(bytes + sizeof(bytes) - 16, 16, 0);
}

static void refused(void)
{
    NEEDS(FILL_ENTROPY);
    bytes[0] = GUARD;
    EXPECT_EQUAL(vmi_fill_entropy(VMI_ENTROPY_ANY, bytes, 0), VMI_EINVAL);
    EXPECT_EQUAL(vmi_fill_entropy(VMI_ENTROPY_PROCESSOR, bytes, 0x80000000), VMI_EINVAL);
    EXPECT_EQUAL(vmi_fill_entropy(0xffff, bytes, 1), VMI_ENOENT);
    EXPECT_EQUAL(vmi_fill_entropy(VMI_ENTROPY_PROCESSOR - 1, bytes, 1), VMI_ENOENT);
    struct vmi_device_properties facts;
    for (uint32_t i = 0; vmi_device_info(i, &facts) == VMI_OK; i++)
        if (!(facts.flags & VMI_DEVICE_IS_OPEN) || facts.kind != VMI_DEVICE_ENTROPY)
            EXPECT_EQUAL(vmi_fill_entropy(i, bytes, 1), VMI_EINVAL);
    EXPECT_EQUAL(bytes[0], GUARD);
}

static void of_the_processor(void)
{
    NEEDS(FILL_ENTROPY);
    if (!has_generator()) {
        /* That is said, and nothing is made up. */
        memset(bytes, GUARD, SEED);
        EXPECT_EQUAL(vmi_fill_entropy(VMI_ENTROPY_PROCESSOR, bytes, SEED), VMI_ENODEV);
        EXPECT_EQUAL(vmi_fill_entropy(VMI_ENTROPY_ANY, bytes, SEED), VMI_ENODEV);
        EXPECT(all_are(bytes, SEED, GUARD));
        return;
    }
    EXPECT(gives(VMI_ENTROPY_PROCESSOR));
    EXPECT(gives(VMI_ENTROPY_ANY));
}

static void of_a_device(void)
{
    NEEDS(FILL_ENTROPY);
    NEEDS_DEVICE(&source);
    const uint32_t device = source.number;
    const struct vmi_device_properties *facts = &source.facts;
    EXPECT(facts->queues == 1 && facts->segments == 1 && facts->requests > 0);
    EXPECT(facts->segment_bytes > 0 && facts->blocks == 0);
    EXPECT_EQUAL(facts->fault, VMI_FAULT_NONE);
    EXPECT(first_device_has_limits(&source));
    EXPECT_EQUAL(first_device_open(&source), VMI_OK);
    EXPECT_EQUAL(vmi_device_open(device, &source.setup), VMI_EBUSY);
    EXPECT(gives(device));
    EXPECT(gives(VMI_ENTROPY_ANY));
    EXPECT_EQUAL(vmi_block_submit(device, 0, NULL, 0), VMI_EINVAL);
    EXPECT_EQUAL(vmi_block_reap(device, 0, NULL, 0), VMI_EINVAL);
    /* With buffers under way and others half used; nothing of them stays. */
    EXPECT_EQUAL(fill(device, bytes, 3), VMI_OK);
    EXPECT_EQUAL(vmi_device_close(device), VMI_OK);
    EXPECT_EQUAL(vmi_fill_entropy(device, bytes, 1), VMI_EINVAL);
    EXPECT_EQUAL(vmi_device_close(device), VMI_EINVAL);
    source.requests = 1;
    EXPECT_EQUAL(first_device_open(&source), VMI_OK);
    EXPECT(gives(device));
    EXPECT_EQUAL(vmi_device_close(device), VMI_OK);
    EXPECT(first_device_find(&source));
    EXPECT_EQUAL(facts->fault, VMI_FAULT_NONE);
}

/* Asked once too often, it says so by an event once there is more. */
static void by_event(void)
{
    uint32_t seen, left = MOST;
    uint64_t end;

    NEEDS(FILL_ENTROPY);
    NEEDS(EVENT_BIND);
    source.requests = 1;
    NEEDS_OPEN_DEVICE(&source);
    const uint32_t device = source.number;
    trap_handler_set(VECTOR_ENTROPY, first_device_note);
    first_device_events = 0;
    int32_t event = vmi_event_bind(VMI_EVENT_DEVICE, device << 16, VECTOR_ENTROPY);
    EXPECT(event >= 0);
    EXPECT_EQUAL(vmi_event_unmask((uint32_t)event), VMI_OK);
    end = vmi_clock_nanoseconds() + PATIENCE_MILLISECONDS * 1000000ull;
    while (left && vmi_clock_nanoseconds() < end) {
        seen = first_device_events;
        int32_t result = vmi_fill_entropy(device, bytes, left);
        EXPECT(result > 0 || result == VMI_EAGAIN);
        left -= result > 0 ? (uint32_t)result : 0;
        if (left)
            EXPECT(wait_for_count(&first_device_events, seen + 1, PATIENCE_MILLISECONDS));
    }
    EXPECT_EQUAL(left, 0);
    EXPECT_EQUAL(vmi_event_unbind((uint32_t)event), VMI_OK);
    EXPECT_EQUAL(vmi_device_close(device), VMI_OK);
    /* Nobody has the memory then. */
    uint32_t before = frames_free(), back = first_device_give_back(&source);
    EXPECT_EQUAL(frames_free(), before + back);
}

const struct check checks_entropy[] = {
    {"entropy.refused", refused},
    {"entropy.of_the_processor", of_the_processor},
    {"entropy.of_a_device", of_a_device},
    {"entropy.by_event", by_event},
    {NULL, NULL},
};
