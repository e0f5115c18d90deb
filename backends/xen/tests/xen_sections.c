/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A flavour of the library that loses its processor at the worst places. Once another CPU runs, one
 * sleeps for 200 ms, with events masked and locks held, while others go on: where a critical
 * section is first entered, at its first access of memory, and where it is first left. While
 * sections_contend() lasts, it sleeps only where a section is about to write what others may see,
 * at each such instruction once.
 *
 * The compiler tells of each access of memory (-fsanitize=thread), as for the kernel concurrency
 * sanitizer: what another CPU reads or writes at the address at which one sleeps, or about to be
 * written by which one sleeps, is a race. As there, a marked (atomic) read beside a plain write is
 * none.
 *
 * At the end of the machine it says of each section `# section FILE:FUNCTION entered=N slept=N
 * others=N middle=N`: how often it was come by, how often the CPU slept at its ends, how often
 * other CPUs came by a section or made a call meanwhile, and how often the CPU slept within. Races
 * are said by `# race FILE:FUNCTION at=ADDRESS with=ADDRESS`, of the instructions.
 */
#include "xen_sections.h"

#include "flavour.h"
#include "xen_sections_main.h"

#define SLEEP_NANOSECONDS 200000000ull
#define SECTIONS_MAX      256
#define DEPTH_MAX         8
#define RACES_MAX         16
#define STACK_NEAR        16384

/* The library's own, past the flavour. */
void vmi__inner_console_write(const char *text, uint32_t length) VMI__ROUTINE;

static struct section *sections[SECTIONS_MAX];
static uint32_t section_count, sleeping, another_runs, happened;
static uint32_t contending, together;

/* The sections that a CPU is in, the innermost last. */
static struct {
    struct section *in[DEPTH_MAX];
    uint32_t depth;
} here[VMI__XEN_CPUS_MAX];

struct access {
    uintptr_t address, size;
    bool write, atomic;
};

/* What the CPU that sleeps is about to access; `set` is not 0 while it does. */
static struct access watched;
static const struct section *watched_in;
static uintptr_t watched_at;
static uint32_t watching;

static struct race {
    const struct section *section;
    uintptr_t at, with;
} races[RACES_MAX];
static uint32_t race_count;

/* No port is waited for, so that the time alone ends it; or an event, after which it is gone on
 * with. */
static void sleep(void)
{
    uint64_t end = vmi__xen_system_time() + SLEEP_NANOSECONDS;
    struct sched_poll poll = {.timeout = end};

    while (vmi__xen_system_time() < end)
        vmi__xen_hypercall_sched_op(SCHEDOP_poll, &poll);
}

/* ---- ends of sections ---- */

void section_here(struct section *section, const char *function)
{
    if (!__atomic_exchange_n(&section->listed, 1, __ATOMIC_RELAXED)) {
        uint32_t place = __atomic_fetch_add(&section_count, 1, __ATOMIC_RELAXED);

        section->function = function;
        if (place < SECTIONS_MAX)
            sections[place] = section;
    }
    __atomic_fetch_add(&section->entered, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&happened, 1, __ATOMIC_RELAXED);
    if (vmi__xen_this() != 0)
        another_runs = 1;
    if (!another_runs || contending || section->slept)
        return;
    /* One at a time; whoever sleeps gets up by the clock alone, so none waits for ever. */
    while (__atomic_exchange_n(&sleeping, 1, __ATOMIC_ACQUIRE))
        vmi__xen_hypercall_sched_op(SCHEDOP_yield, 0);
    if (!section->slept) {
        uint32_t before = happened;

        section->slept = 1;
        sleep();
        section->others = happened - before;
    }
    __atomic_store_n(&sleeping, 0, __ATOMIC_RELEASE);
}

void section_enter(struct section *section, const char *function)
{
    uint32_t cpu = vmi__xen_this();

    section_here(section, function);
    if (here[cpu].depth < DEPTH_MAX)
        here[cpu].in[here[cpu].depth] = section;
    here[cpu].depth++;
}

void section_leave(struct section *section, const char *function)
{
    uint32_t cpu = vmi__xen_this();

    if (here[cpu].depth)
        here[cpu].depth--;
    section_here(section, function);
}

void sections_contend(bool on)
{
    another_runs = 1;
    contending = 1;
    together = on;
}

bool sections_asleep(void)
{
    return __atomic_load_n(&watching, __ATOMIC_ACQUIRE);
}

int32_t sections_store_read(const char *path, char *to, uint32_t size)
{
    return vmi__xen_common_store_read(path, to, size);
}

int32_t sections_store_write(const char *path, const char *value)
{
    return vmi__xen_common_store_write(path, value);
}

/* ---- within sections ---- */

/* Is it this CPU's alone: its stack, its record but for the alarms? */
static bool is_own(uintptr_t address, uint32_t cpu)
{
    uintptr_t record = (uintptr_t)vmi__xen_cpus[cpu];
    uintptr_t alarms = (uintptr_t)vmi__xen_cpus[cpu]->alarm;

    if (address - (uintptr_t)__builtin_frame_address(0) + STACK_NEAR < 2 * (uintptr_t)STACK_NEAR)
        return true;
    return address - record < sizeof(struct vmi__xen_cpu) &&
           address - alarms >= sizeof(vmi__xen_cpus[cpu]->alarm);
}

/* Notes a place at which nobody has slept; false if somebody has, or if there are enough. */
static bool is_new_place(struct section *section, uintptr_t at)
{
    for (uint32_t i = 0; i < section->middle; i++)
        if (section->places[i] == at)
            return false;
    if (section->middle == SECTION_PLACES)
        return false;
    section->places[section->middle++] = at;
    return true;
}

static void note_race(uintptr_t with)
{
    uint32_t count = __atomic_load_n(&race_count, __ATOMIC_RELAXED);

    for (uint32_t i = 0; i < count && i < RACES_MAX; i++)
        if (races[i].at == watched_at && races[i].with == with)
            return;
    count = __atomic_fetch_add(&race_count, 1, __ATOMIC_RELAXED);
    if (count < RACES_MAX)
        races[count] = (struct race){watched_in, watched_at, with};
}

static bool conflict(const struct access *a, const struct access *b)
{
    if (a->address - b->address >= b->size && b->address - a->address >= a->size)
        return false;
    if (!(a->write || b->write) || (a->atomic && b->atomic))
        return false;
    return !(a->atomic && !a->write) && !(b->atomic && !b->write);
}

static void accessed(const volatile void *address, uintptr_t size, bool write, bool atomic,
                     uintptr_t at)
{
    struct access access = {(uintptr_t)address, size, write, atomic};
    struct section *section;
    uint32_t cpu;

    if (!another_runs)
        return;
    cpu = vmi__xen_this();
    if (__atomic_load_n(&watching, __ATOMIC_ACQUIRE) && conflict(&watched, &access))
        note_race(at);
    if (!here[cpu].depth || here[cpu].depth > DEPTH_MAX)
        return;
    section = here[cpu].in[here[cpu].depth - 1];
    if (contending ? !together || !write || is_own(access.address, cpu) : section->middle)
        return;
    if (__atomic_exchange_n(&sleeping, 1, __ATOMIC_ACQUIRE))
        return;
    if (is_new_place(section, at)) {
        watched = access;
        watched_in = section;
        watched_at = at;
        __atomic_store_n(&watching, 1, __ATOMIC_RELEASE);
        sleep();
        __atomic_store_n(&watching, 0, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&sleeping, 0, __ATOMIC_RELEASE);
}

#include "xen_accesses.h"

/* ---- the report ---- */

static void say(const char *text)
{
    uint32_t length = 0;

    while (text[length])
        length++;
    vmi__inner_console_write(text, length);
}

static void say_number(const char *name, uint64_t number, uint32_t base)
{
    char digits[21], *digit = digits + sizeof(digits) - 1;

    *digit = 0;
    do
        *--digit = "0123456789abcdef"[number % base];
    while (number /= base);
    say(name);
    say(digit);
}

static void say_section(const char *what, const struct section *section)
{
    say(what);
    say(section->file);
    say(":");
    say(section->function);
}

VMI__ROUTINE void vmi__flavour_enter(uint32_t ordinal, struct vmi__flavour_frame *frame)
{
    char name[64];

    (void)frame;
    __atomic_fetch_add(&happened, 1, __ATOMIC_RELAXED);
    if (ordinal != VMI_ORDINAL_SHUTDOWN_REASON)
        return;
    /* What a kernel has the library do only when it starts and ends. */
    vmi__xen_common_store_read("name", name, sizeof(name));
    another_runs = 0;
    for (uint32_t i = 0; i < section_count && i < SECTIONS_MAX; i++) {
        say_section("# section ", sections[i]);
        say_number(" entered=", sections[i]->entered, 10);
        say_number(" slept=", sections[i]->slept, 10);
        say_number(" others=", sections[i]->others, 10);
        say_number(" middle=", sections[i]->middle, 10);
        say("\r\n");
    }
    for (uint32_t i = 0; i < race_count && i < RACES_MAX; i++) {
        say_section("# race ", races[i].section);
        say_number(" at=0x", races[i].at, 16);
        say_number(" with=0x", races[i].with, 16);
        say("\r\n");
    }
}

VMI__ROUTINE void vmi__flavour_leave(uint32_t ordinal, struct vmi__flavour_frame *frame)
{
    (void)ordinal;
    (void)frame;
}
