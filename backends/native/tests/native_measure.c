/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The native library's measuring of the TSC as a Linux process: this file plays the TSC, the PIT
 * and a machine that stops the CPU at any moment, for any time.
 */
#include "native/native.h"

static uint64_t read_tsc(void);
#define vmi__rdtsc()   read_tsc()
#define vmi__pause()   ((void)0)
#define vmi__inl(port) ((void)(port), 0u)

#include "native/measure.c"
#include "native/tsc.c"

#include "backends/played.h"

/* ---- the machine ---- */

#define PIT_ROUND 65536 /* ticks */

static uint64_t now;   /* cycles since the start of the machine */
static uint64_t epoch; /* when the PIT's counter was 0 */
static uint32_t true_hz;
static uint32_t longest;     /* of the times for which the CPU is stopped, in microseconds */
static uint32_t rounds_left; /* how often it is stopped for a round of the PIT and more */
static uint64_t state;

struct vmi__native_acpi vmi__native_acpi;
uint32_t vmi__native_cpus_started = 1;

void vmi__fatal(const char *reason)
{
    put(reason);
    call(SYS_EXIT, 1, 0, 0);
    __builtin_unreachable();
}

static uint32_t any(void)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(state >> 33);
}

/* What goes by at each step: some cycles, and now and then a time without the CPU. */
static void pass(void)
{
    uint32_t mhz = true_hz / 1000000;

    now += 20 + any() % 2000;
    if (longest && any() % 16 == 0)
        now += (uint64_t)(any() % longest) * mhz;
    if (rounds_left && any() % 4096 == 0) {
        rounds_left--;
        now += 60000ull * mhz + (uint64_t)(any() % 300000) * mhz;
    }
}

static uint64_t read_tsc(void)
{
    pass();
    return now;
}

/* (now - epoch) * PIT_HZ / true_hz, in two parts for the product's sake. */
uint32_t vmi__native_pit_counter(void)
{
    uint64_t since, seconds;

    pass();
    since = now - epoch;
    seconds = vmi__div64(since, true_hz);
    since -= seconds * true_hz;
    return (uint32_t)(seconds * VMI__PIT_HZ + vmi__div64(since * VMI__PIT_HZ, true_hz)) % PIT_ROUND;
}

static void begin(uint64_t seed, uint32_t stopped_for, uint32_t rounds)
{
    state = seed;
    true_hz = 600000000 + any() % 3600 * 1000000 + any() % 1000000;
    longest = stopped_for;
    rounds_left = rounds;
    now = epoch = any();
    vmi__native_tsc_hz = vmi__native_tsc_hz_least = 0;
}

/* ---- checks ---- */

/* With the CPU to itself both are right, to less than the margin of alarms. */
static void undisturbed(void)
{
    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + 50; seed++) {
        begin(seed, 0, 0);
        EXPECT(vmi__native_tsc_find());
        EXPECT(vmi__native_tsc_hz_least <= true_hz);
        EXPECT(true_hz - vmi__native_tsc_hz_least < true_hz / 2048);
        EXPECT(vmi__native_tsc_hz < true_hz + true_hz / 4096 &&
               vmi__native_tsc_hz > true_hz - true_hz / 4096);
    }
}

/* Whatever comes in between: the lower bound is none above the truth, so that no alarm is early. */
static void stopped_at_any_moment(void)
{
    static const uint32_t longest_of[] = {10, 100, 1000, 5000};

    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + 400; seed++) {
        begin(seed, longest_of[seed % 4], 0);
        EXPECT(vmi__native_tsc_find());
        EXPECT(vmi__native_tsc_hz_least <= true_hz);
    }
}

/* Also where the PIT goes round meanwhile, once or several times, in two measurements of three. */
static void stopped_for_rounds(void)
{
    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + 400; seed++) {
        begin(seed, 100, 2);
        EXPECT(vmi__native_tsc_find());
        EXPECT(vmi__native_tsc_hz_least <= true_hz);
        EXPECT(vmi__native_tsc_hz > true_hz / 2 && vmi__native_tsc_hz < 2ull * true_hz);
    }
}

/* A frequency that is known is taken as it is. */
static void known(void)
{
    begin(1, 0, 0);
    vmi__native_tsc_hz = 123456789;
    EXPECT(vmi__native_tsc_find());
    EXPECT(vmi__native_tsc_hz == 123456789 && vmi__native_tsc_hz_least == 123456789);
}

static const struct played_check checks[] = {
    CHECK(undisturbed),
    CHECK(stopped_at_any_moment),
    CHECK(stopped_for_rounds),
    CHECK(known),
};

PLAY(checks)
