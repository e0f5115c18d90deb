/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A flavour of the library that loses its processor at the worst places: the first time that a
 * place of xen_sections.h is come by once another CPU runs, this one sleeps for 200 ms, with events
 * masked and locks held, while others go on. At the end of the machine it says of each section
 * `# section FILE:FUNCTION entered=N slept=N others=N`: how often it was come by, how often the CPU
 * slept, and how often other CPUs came by a section or made a call meanwhile.
 */
#include "xen_sections.h"

#include "flavour.h"

#define SLEEP_NANOSECONDS 200000000ull
#define SECTIONS_MAX      256

/* The library's own, past the flavour. */
void vmi__inner_console_write(const char *text, uint32_t length) VMI__ROUTINE;

static struct section *sections[SECTIONS_MAX];
static uint32_t section_count, sleeping, another_runs, happened;

/* No port is waited for, so that the time alone ends it; or an event, after which it is gone on
 * with. */
static void sleep(void)
{
    uint64_t end = vmi__xen_system_time() + SLEEP_NANOSECONDS;
    struct sched_poll poll = {.timeout = end};

    while (vmi__xen_system_time() < end)
        vmi__xen_hypercall_sched_op(SCHEDOP_poll, &poll);
}

void section_here(struct section *section)
{
    if (!__atomic_exchange_n(&section->listed, 1, __ATOMIC_RELAXED)) {
        uint32_t place = __atomic_fetch_add(&section_count, 1, __ATOMIC_RELAXED);

        if (place < SECTIONS_MAX)
            sections[place] = section;
    }
    __atomic_fetch_add(&section->entered, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&happened, 1, __ATOMIC_RELAXED);
    if (vmi__xen_this() != 0)
        another_runs = 1;
    if (!another_runs || section->slept)
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

static void say(const char *text)
{
    uint32_t length = 0;

    while (text[length])
        length++;
    vmi__inner_console_write(text, length);
}

static void say_number(const char *name, uint32_t number)
{
    char digits[11], *digit = digits + sizeof(digits) - 1;

    *digit = 0;
    do
        *--digit = (char)('0' + number % 10);
    while (number /= 10);
    say(name);
    say(digit);
}

VMI__ROUTINE void vmi__flavour_enter(uint32_t ordinal, struct vmi__flavour_frame *frame)
{
    char name[64];

    (void)frame;
    __atomic_fetch_add(&happened, 1, __ATOMIC_RELAXED);
    if (ordinal != VMI_ORDINAL_SHUTDOWN_REASON)
        return;
    /* What a kernel has the library do only when it starts and ends. */
    vmi__xen_store_read("name", name, sizeof(name));
    another_runs = 0;
    for (uint32_t i = 0; i < section_count && i < SECTIONS_MAX; i++) {
        say("# section ");
        say(sections[i]->file);
        say(":");
        say(sections[i]->function);
        say_number(" entered=", sections[i]->entered);
        say_number(" slept=", sections[i]->slept);
        say_number(" others=", sections[i]->others);
        say("\r\n");
    }
}

VMI__ROUTINE void vmi__flavour_leave(uint32_t ordinal, struct vmi__flavour_frame *frame)
{
    (void)ordinal;
    (void)frame;
}
