/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Entropy as a Linux process: this file is the processor's generator, good and bad ones, and what
 * CPUID says of it.
 */
#include "entropy.h"
#include "feature.h"

/* The instructions' places are taken by what is played. */
#define vmi__rdseed        played_rdseed
#define vmi__rdrand        played_rdrand
#define vmi__entropy_pause played_pause
#define vmi__feature       played_feature

static bool played_rdseed(uintptr_t *word);
static bool played_rdrand(uintptr_t *word);
static void played_pause(void);
static bool played_feature(uint32_t leaf, uint32_t subleaf, uint32_t number, uint32_t bit);

#include "entropy.c" /* runtime/ */
#include "string.c"  /* runtime/ */

#include "backends/played.h"

#define TEN     10u /* tries of a word (Intel SDM vol. 1, 7.3.17) */
#define MOST_OF 4096u
#define WORD    ((uint32_t)sizeof(uintptr_t))
#define GUARD   0x5au

struct vmi_boot_info vmi__boot;
volatile uint32_t vmi__rebinds;

/* ---- the processor ---- */

static struct {
    uint32_t basic_ecx, extended_ebx;
} cpuid;

/* A generator: words, of which so many come before it is dry or sticks. */
static struct generator {
    uint32_t calls;
    uint32_t good;    /* words until then */
    uint32_t skipped; /* calls that say that there is none, before each word */
    bool sticks;
    uintptr_t stuck;
    uint32_t waited;
} seed, rand;
static uint32_t pauses, asked;

static bool played_feature(uint32_t leaf, uint32_t subleaf, uint32_t number, uint32_t bit)
{
    asked++;
    EXPECT(!subleaf && (leaf == 1 || leaf == 7));
    return leaf == 1 ? number == 2 && cpuid.basic_ecx >> bit & 1
                     : number == 1 && cpuid.extended_ebx >> bit & 1;
}

static uintptr_t word_of(uint32_t number)
{
    return (uintptr_t)0x9e3779b97f4a7c15ull * (number + 1);
}

static bool draw_from(struct generator *generator, uintptr_t *word)
{
    generator->calls++;
    if (generator->waited++ < generator->skipped || (!generator->good && !generator->sticks)) {
        *word = 0;
        return false;
    }
    generator->waited = 0;
    if (!generator->good) {
        *word = generator->stuck;
        return true;
    }
    generator->good--;
    *word = word_of(generator->calls);
    return true;
}

static bool played_rdseed(uintptr_t *word)
{
    return draw_from(&seed, word);
}

static bool played_rdrand(uintptr_t *word)
{
    return draw_from(&rand, word);
}

static void played_pause(void)
{
    pauses++;
}

/* ---- checks ---- */

static uint8_t got[2 * MOST_OF];

#define HAS_RAND (1u << 30)
#define HAS_SEED (1u << 18)

static int32_t ask(uint32_t source, uint32_t size)
{
    memset(got, GUARD, sizeof(got));
    return vmi__entropy_fill(source, got, size);
}

/* A processor that the library has not looked at, with generators of so many words. */
static void processor(uint32_t basic, uint32_t extended, uint32_t good)
{
    cpuid.basic_ecx = basic;
    cpuid.extended_ebx = extended;
    found = 0;
    seed = (struct generator){.good = good};
    rand = (struct generator){.good = good};
    pauses = 0;
    vmi__entropy_of_devices = 0;
}

static bool untouched(uint32_t from)
{
    for (uint32_t i = from; i < sizeof(got); i++)
        if (got[i] != GUARD)
            return false;
    return true;
}

/* What was stored are words of the generator from its `first` call on. */
static bool is_words(uint32_t first, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        if (got[i] != (uint8_t)(word_of(first + i / WORD) >> 8 * (i % WORD)))
            return false;
    return true;
}

static void no_generator(void)
{
    processor(~HAS_RAND, ~HAS_SEED, 100);
    EXPECT(ask(VMI_ENTROPY_PROCESSOR, 8) == VMI_ENODEV && untouched(0));
    EXPECT(ask(VMI_ENTROPY_ANY, 8) == VMI_ENODEV && untouched(0));
    EXPECT(!seed.calls && !rand.calls);
}

static void sizes_that_are_none(void)
{
    processor(HAS_RAND, HAS_SEED, 100);
    EXPECT(ask(VMI_ENTROPY_PROCESSOR, 0) == VMI_EINVAL);
    EXPECT(ask(VMI_ENTROPY_PROCESSOR, 0x80000000) == VMI_EINVAL);
    EXPECT(ask(VMI_ENTROPY_ANY, 0xffffffff) == VMI_EINVAL);
    EXPECT(ask(3, 0) == VMI_EINVAL);
    EXPECT(untouched(0) && !seed.calls && !rand.calls);
    processor(HAS_RAND, 0, 100000);
    EXPECT(ask(VMI_ENTROPY_PROCESSOR, 0x7fffffff) == (int32_t)MOST_OF && untouched(MOST_OF));
}

static void rdseed_where_it_is(void)
{
    processor(HAS_RAND, HAS_SEED, 100000);
    EXPECT(ask(VMI_ENTROPY_PROCESSOR, 64) == 64 && is_words(2, 64) && untouched(64));
    EXPECT(seed.calls == 64 / WORD + 1 && !rand.calls && !pauses);
    EXPECT(ask(VMI_ENTROPY_ANY, MOST_OF + 1) == (int32_t)MOST_OF && !rand.calls);
    processor(0, HAS_SEED, 100000);
    EXPECT(ask(VMI_ENTROPY_PROCESSOR, 64) == 64 && !rand.calls);
}

static void rdrand_where_it_is_alone(void)
{
    processor(HAS_RAND, 0, 100000);
    EXPECT(ask(VMI_ENTROPY_ANY, 64) == 64 && is_words(2, 64) && untouched(64));
    EXPECT(rand.calls == 64 / WORD + 1 && !seed.calls);
}

static void not_a_byte_more(void)
{
    for (uint32_t size = 1; size <= 3 * WORD; size++) {
        processor(HAS_RAND, 0, 100);
        EXPECT(ask(VMI_ENTROPY_PROCESSOR, size) == (int32_t)size);
        EXPECT(is_words(2, size) && untouched(size));
    }
}

/* A generator that is out of numbers is tried ten times, with a pause after each. */
static void tried_ten_times(void)
{
    processor(HAS_RAND, 0, 100);
    rand.skipped = TEN - 1;
    EXPECT(ask(VMI_ENTROPY_PROCESSOR, WORD) == (int32_t)WORD);
    EXPECT(rand.calls == 2 * TEN && pauses == 2 * (TEN - 1));
    processor(HAS_RAND, 0, 100);
    rand.skipped = TEN;
    EXPECT(ask(VMI_ENTROPY_PROCESSOR, WORD) == VMI_EAGAIN && untouched(0));
    EXPECT(rand.calls == TEN);
    /* RDSEED that is dry leads to RDRAND. */
    processor(HAS_RAND, HAS_SEED, 100);
    seed.good = 2;
    EXPECT(ask(VMI_ENTROPY_PROCESSOR, 3 * WORD) == (int32_t)(3 * WORD));
    EXPECT(seed.calls == 2 + 2 * TEN && rand.calls == 3);
    processor(0, HAS_SEED, 0);
    EXPECT(ask(VMI_ENTROPY_PROCESSOR, WORD) == VMI_EAGAIN && seed.calls == TEN && !rand.calls);
}

/* What was stored before it ran dry counts. */
static void dry_in_between(void)
{
    processor(HAS_RAND, 0, 4);
    EXPECT(ask(VMI_ENTROPY_PROCESSOR, 64) == (int32_t)(3 * WORD));
    EXPECT(is_words(2, 3 * WORD) && untouched(3 * WORD));
    EXPECT(ask(VMI_ENTROPY_PROCESSOR, 64) == VMI_EAGAIN && untouched(0));
    processor(HAS_RAND, 0, 1);
    EXPECT(ask(VMI_ENTROPY_PROCESSOR, 64) == VMI_EAGAIN && untouched(0));
}

static void stuck_values(void)
{
    static const uintptr_t values[] = {0, UINTPTR_MAX, 0x1234};

    for (uint32_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        processor(HAS_RAND, 0, 0);
        rand.sticks = true;
        rand.stuck = values[i];
        EXPECT(ask(VMI_ENTROPY_PROCESSOR, 64) == VMI_EIO && untouched(0));
        EXPECT(ask(VMI_ENTROPY_ANY, 64) == VMI_EIO && untouched(0));
        /* Later: what came before counts, and a value is stored once at most. */
        processor(HAS_RAND, 0, 3);
        rand.sticks = true;
        rand.stuck = values[i];
        EXPECT(ask(VMI_ENTROPY_PROCESSOR, 64) == (int32_t)((i < 2 ? 2 : 3) * WORD));
        /* RDSEED that sticks leads to RDRAND as well. */
        processor(HAS_RAND, HAS_SEED, 100);
        seed.good = 0;
        seed.sticks = true;
        seed.stuck = values[i];
        EXPECT(ask(VMI_ENTROPY_PROCESSOR, 64) == 64);
        EXPECT(seed.calls >= TEN && rand.calls == 64 / WORD + 1);
    }
    processor(0, HAS_SEED, 0);
    seed.sticks = true;
    EXPECT(ask(VMI_ENTROPY_PROCESSOR, 64) == VMI_EIO && untouched(0));
}

/* ---- devices ---- */

static int32_t device_says;
static uint32_t device_source, device_size, device_calls;

static int32_t device(uint32_t source, uint8_t *to, uint32_t size)
{
    device_source = source;
    device_size = size;
    device_calls++;
    if (device_says > 0)
        memset(to, 1, (uint32_t)device_says);
    return device_says;
}

static void devices_after_the_processor(void)
{
    processor(HAS_RAND, 0, 100);
    EXPECT(ask(3, 8) == VMI_ENOENT && !rand.calls); /* nobody has looked for devices */
    vmi__entropy_of_devices = device;
    device_calls = 0;
    EXPECT(ask(VMI_ENTROPY_ANY, 8) == 8 && ask(VMI_ENTROPY_PROCESSOR, 8) == 8 && !device_calls);
    device_says = 5;
    EXPECT(ask(3, 8) == 5 && device_source == 3 && device_size == 8);
    EXPECT(ask(3, 0x10000) == 5 && device_size == MOST_OF);
    device_says = VMI_EAGAIN;
    EXPECT(ask(7, 8) == VMI_EAGAIN && device_source == 7);
    /* No generator: the device that is open, if there is one. */
    processor(0, 0, 0);
    vmi__entropy_of_devices = device;
    device_says = 8;
    EXPECT(ask(VMI_ENTROPY_ANY, 8) == 8 && device_source == VMI_ENTROPY_ANY);
    device_calls = 0;
    EXPECT(ask(VMI_ENTROPY_PROCESSOR, 8) == VMI_ENODEV && !device_calls);
    device_says = VMI_ENODEV;
    EXPECT(ask(VMI_ENTROPY_ANY, 8) == VMI_ENODEV);
    device_says = VMI_EAGAIN;
    EXPECT(ask(VMI_ENTROPY_ANY, 8) == VMI_EAGAIN);
    /* One that sticks: that is said where no device helps. */
    processor(HAS_RAND, 0, 0);
    rand.sticks = true;
    vmi__entropy_of_devices = device;
    EXPECT(ask(VMI_ENTROPY_ANY, 8) == VMI_EAGAIN);
    device_says = VMI_ENODEV;
    EXPECT(ask(VMI_ENTROPY_ANY, 8) == VMI_EIO);
    device_says = 8;
    EXPECT(ask(VMI_ENTROPY_ANY, 8) == 8);
}

/* The processor is asked once what it has, and once more after it may be another one. */
static void looked_at_once(void)
{
    processor(HAS_RAND, 0, 100);
    EXPECT(ask(VMI_ENTROPY_PROCESSOR, 8) == 8);
    cpuid.basic_ecx = 0;
    EXPECT(ask(VMI_ENTROPY_PROCESSOR, 8) == 8);
    processor(0, 0, 0);
    EXPECT(ask(VMI_ENTROPY_PROCESSOR, 8) == VMI_ENODEV);
    cpuid.basic_ecx = HAS_RAND;
    asked = 0;
    EXPECT(ask(VMI_ENTROPY_PROCESSOR, 8) == VMI_ENODEV && !asked);
    vmi__rebinds++;
    rand.good = 100;
    EXPECT(ask(VMI_ENTROPY_PROCESSOR, 8) == 8 && asked);
    vmi__rebinds++;
    cpuid.basic_ecx = 0;
    EXPECT(ask(VMI_ENTROPY_PROCESSOR, 8) == VMI_ENODEV);
}

static const struct played_check all[] = {
    CHECK(no_generator),       CHECK(sizes_that_are_none),
    CHECK(rdseed_where_it_is), CHECK(rdrand_where_it_is_alone),
    CHECK(not_a_byte_more),    CHECK(tried_ten_times),
    CHECK(dry_in_between),     CHECK(stuck_values),
    CHECK(looked_at_once),     CHECK(devices_after_the_processor),
};

PLAY(all)
