/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The native library's measuring of the TSC as a Linux process: this file plays the TSC, the PIT
 * and a machine that stops the CPU at any moment, for any time.
 */
#include "native/native.h"

static uint64_t read_tsc(void);
static uint32_t read_pm_timer(void);
static struct vmi__cpuid leaf(uint32_t number);
#define vmi__rdtsc()             read_tsc()
#define vmi__pause()             ((void)0)
#define vmi__inl(port)           ((void)(port), read_pm_timer())
#define vmi__cpuid(number, more) leaf(number)

#include "string.c"

#include "native/measure.c"
#include "native/told.c"
#include "native/tsc.c"

#include "backends/played.h"

/* ---- the machine ---- */

#define PIT_ROUND 65536 /* ticks */

static uint64_t now;   /* cycles since the start of the machine */
static uint64_t epoch; /* when the PIT's counter was 0 */
static uint32_t true_hz;
static uint32_t longest;     /* of the times for which the CPU is stopped, in microseconds */
static uint32_t rounds_left; /* how often it is stopped for a round of the PIT and more */
static uint32_t slow;        /* cycles that a step takes at most */
static bool no_pit;          /* it stands still */
static bool blocks;          /* system management mode comes in bursts: all readings of an end */
static uint32_t burst;
static uint32_t looks;              /* readings of counters */
static struct vmi__cpuid leaves[4]; /* 1, 15H, 16H, 40000010H */
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

    now += 20 + any() % slow;
    if (blocks && !burst && any() % 400 == 0)
        burst = 30;
    if (burst) {
        burst--;
        now += 50ull * mhz;
    }
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

/* (now - epoch) * hz / true_hz, in two parts for the product's sake. */
static uint32_t ticks_of(uint32_t hz)
{
    uint64_t since = now - epoch, seconds = vmi__div64(since, true_hz);

    since -= seconds * true_hz;
    return (uint32_t)(seconds * hz + vmi__div64(since * hz, true_hz));
}

void vmi__native_pit_counter(struct vmi__native_reading *reading)
{
    looks++;
    reading->before = read_tsc();
    pass();
    reading->count = no_pit ? 0 : ticks_of(VMI__PIT_HZ) % PIT_ROUND;
    reading->after = read_tsc();
    pass();
    pass();
}

static uint32_t read_pm_timer(void)
{
    looks++;
    pass();
    return ticks_of(VMI__PM_TIMER_HZ) & 0xffffff;
}

static struct vmi__cpuid leaf(uint32_t number)
{
    switch (number) {
    case 0:
        return (struct vmi__cpuid){.eax = leaves[1].eax ? LEAF_FREQUENCY : 1};
    case 1:
        return leaves[0];
    case LEAF_TSC:
        return leaves[1];
    case LEAF_FREQUENCY:
        return leaves[2];
    case LEAF_HYPERVISOR:
        return (struct vmi__cpuid){.eax = leaves[3].eax ? LEAF_TIMING : LEAF_HYPERVISOR + 1};
    default:
        return leaves[3];
    }
}

static void begin(uint64_t seed, uint32_t stopped_for, uint32_t rounds)
{
    state = seed;
    true_hz = 600000000 + any() % 3600 * 1000000 + any() % 1000000;
    longest = stopped_for;
    rounds_left = rounds;
    slow = 2000;
    no_pit = blocks = false;
    burst = looks = 0;
    memset(leaves, 0, sizeof(leaves));
    vmi__native_acpi.pm_timer = 0;
    now = epoch = any();
    vmi__native_tsc_hz = vmi__native_tsc_hz_least = vmi__native_apic_timer_hz = 0;
}

/* How far a frequency is from the true one, in millionths. */
static uint32_t error(uint64_t hz)
{
    return (uint32_t)vmi__div64((hz > true_hz ? hz - true_hz : true_hz - hz) * 1000000, true_hz);
}

/* Time since a moment, in microseconds. */
static uint32_t since(uint64_t moment)
{
    return (uint32_t)vmi__div64(now - moment, true_hz / 1000000);
}

/* ---- checks ---- */

/*
 * With the CPU to itself, where readings take a microsecond or so: in 8 ms, and right to a few
 * millionths; the sum of all errors is what a clock gets.
 */
static void undisturbed(void)
{
    uint32_t sum = 0, worst = 0;

    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + 100; seed++) {
        uint64_t begun;

        begin(seed, 0, 0);
        slow = 400;
        begun = now;
        EXPECT(vmi__native_tsc_find());
        EXPECT(since(begun) < 8000);
        EXPECT(vmi__native_tsc_hz_least <= true_hz);
        EXPECT(error(vmi__native_tsc_hz_least) < 125);
        sum += error(vmi__native_tsc_hz);
        if (error(vmi__native_tsc_hz) > worst)
            worst = error(vmi__native_tsc_hz);
    }
    EXPECT(sum / 100 < 12 && worst < 45);
}

/* Where readings are slow it takes longer, so that alarms are not late by more than before. */
static void slow_readings(void)
{
    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + 50; seed++) {
        uint64_t begun;

        begin(seed, 0, 0);
        slow = 20 * (true_hz / 1000000);
        begun = now;
        EXPECT(vmi__native_tsc_find());
        EXPECT(since(begun) < 45000);
        EXPECT(vmi__native_tsc_hz_least <= true_hz);
        EXPECT(error(vmi__native_tsc_hz_least) < 1000 && error(vmi__native_tsc_hz) < 500);
    }
}

/* System management mode takes whole ends of intervals: those that were not disturbed count. */
static void disturbed_in_bursts(void)
{
    uint32_t longer = 0;

    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + 200; seed++) {
        uint64_t begun;

        begin(seed, 0, 0);
        slow = 400;
        blocks = true;
        begun = now;
        EXPECT(vmi__native_tsc_find());
        longer += since(begun) > 9000;
        EXPECT(vmi__native_tsc_hz_least <= true_hz);
        EXPECT(error(vmi__native_tsc_hz_least) < 2000);
    }
    EXPECT(longer); /* some had to be repeated */
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

/* Nothing is measured where a frequency is told that can be; the APIC's timer is told with it. */
static void told(void)
{
    static const struct {
        struct vmi__cpuid leaves[4];
        uint64_t tsc_hz;
        uint32_t apic_hz;
    } cases[] = {
        {{{0}, {2, 216, 24000000, 0}, {0}, {0}}, 2592000000, 24000000},
        /* The crystal is told by the base frequency alone: 2600 MHz, 2100 and 1500. */
        {{{0}, {2, 216, 0, 0}, {2600, 0, 0, 0}, {0}}, 2592000000, 24000000},
        {{{0}, {2, 168, 0, 0}, {2100, 0, 0, 0}, {0}}, 2100000000, 25000000},
        {{{0}, {3, 235, 0, 0}, {1500, 0, 0, 0}, {0}}, 1504000000, 19200000},
        {{{0, 0, VMI__CPUID_1_ECX_HYPERVISOR, 0}, {0}, {0}, {2893202, 1000000, 0, 0}},
         2893202000,
         1000000000},
        /* A hypervisor's word comes before that of the processor. */
        {{{0, 0, VMI__CPUID_1_ECX_HYPERVISOR, 0},
          {2, 216, 24000000, 0},
          {0},
          {1000000, 100000, 0, 0}},
         1000000000,
         100000000},
    };

    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin(1, 0, 0);
        memcpy(leaves, cases[i].leaves, sizeof(leaves));
        EXPECT(vmi__native_tsc_find() && !looks);
        EXPECT(vmi__native_tsc_source == VMI__TSC_BY_CPUID);
        EXPECT(vmi__native_tsc_hz == cases[i].tsc_hz);
        EXPECT(vmi__native_tsc_hz_least == cases[i].tsc_hz);
        EXPECT(vmi__native_apic_timer_hz == cases[i].apic_hz);
    }
}

/* What cannot be, or need not be so, is measured. */
static void told_and_not_believed(void)
{
    static const struct vmi__cpuid cases[][4] = {
        {{0}, {0, 216, 24000000, 0}, {0}, {0}},
        {{0}, {2, 0, 24000000, 0}, {0}, {0}},
        {{0}, {2, 216, 0, 0}, {0}, {0}},
        {{0}, {2, 216, 0, 0}, {3000, 0, 0, 0}, {0}}, /* no crystal is that */
        {{0}, {2, 216, 1000, 0}, {0}, {0}},
        {{0}, {0, 0, 0, 0}, {2600, 0, 0, 0}, {0}}, /* rounded, and of the processor */
        {{0, 0, VMI__CPUID_1_ECX_HYPERVISOR, 0}, {2, 216, 24000000, 0}, {0}, {0}},
        {{0, 0, VMI__CPUID_1_ECX_HYPERVISOR, 0}, {0}, {0}, {1, 1, 0, 0}},
        {{0}, {0}, {0}, {2893202, 1000000, 0, 0}}, /* not a hypervisor's leaf */
    };

    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin(i, 0, 0);
        memcpy(leaves, cases[i], sizeof(leaves));
        EXPECT(vmi__native_tsc_find() && looks);
        EXPECT(vmi__native_tsc_source == VMI__TSC_BY_PIT);
        EXPECT(error(vmi__native_tsc_hz) < 250);
    }
}

/* Without a PIT by ACPI's timer; without that as the processor says, or not at all. */
static void without_a_pit(void)
{
    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + 20; seed++) {
        begin(seed, 0, 0);
        no_pit = true;
        vmi__native_acpi.pm_timer = 0x608;
        EXPECT(vmi__native_tsc_find());
        EXPECT(vmi__native_tsc_hz_least <= true_hz && error(vmi__native_tsc_hz) < 250);
        EXPECT(vmi__native_tsc_source == VMI__TSC_BY_ACPI_TIMER);
    }
    begin(1, 0, 0);
    no_pit = true;
    EXPECT(!vmi__native_tsc_find());
    leaves[0].ecx = VMI__CPUID_1_ECX_HYPERVISOR;
    leaves[1] = (struct vmi__cpuid){2, 216, 24000000, 0};
    EXPECT(vmi__native_tsc_find() && vmi__native_tsc_hz == 2592000000);
    EXPECT(vmi__native_tsc_source == VMI__TSC_BY_CPUID);
}

static const struct played_check checks[] = {
    CHECK(told),
    CHECK(told_and_not_believed),
    CHECK(without_a_pit),
    CHECK(slow_readings),
    CHECK(disturbed_in_bursts),
    CHECK(undisturbed),
    CHECK(stopped_at_any_moment),
    CHECK(stopped_for_rounds),
    CHECK(known),
};

PLAY(checks)
