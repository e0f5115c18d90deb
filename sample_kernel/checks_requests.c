/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Requests from outside, which somebody has to make. A line `# request WORD` says which one is
 * wanted now: poweroff, reboot, key and its character, memory and how many MiB, or vcpus and how
 * many.
 */
#include <stddef.h>

#include "checks.h"
#include "cpu_start.h"
#include "layout.h"
#include "options.h"
#include "print.h"
#include "process.h"
#include "programs.h"
#include "smp.h"
#include "threads.h"
#include "timer.h"
#include "traps.h"

#define KEY 'k'

/*
 * How long whoever is to ask may take. A program has to be started for it, perhaps in an emulated
 * machine beside this one; it is not the kernel's own doing, as what PATIENCE_MILLISECONDS is for.
 * xl waits as long for an answer.
 */
#define OUTSIDE_MILLISECONDS 60000

volatile uint32_t requests_came;

static void note(struct trap_frame *frame)
{
    requests_came = 1;
    vmi_end_of_interrupt(frame->vector);
}

/* It stays bound. */
bool requests_bind(void)
{
    static int32_t event = VMI_ENOENT;

    if (call_unsupported(VMI_ORDINAL_TAKE_REQUEST)) {
        ktap_skip("%s", call_unsupported(VMI_ORDINAL_TAKE_REQUEST));
        return false;
    }
    if (event >= 0)
        return true;
    trap_handler_set(VECTOR_REQUEST, note);
    event = vmi_event_bind(VMI_EVENT_REQUEST, 0, VECTOR_REQUEST);
    if (event == VMI_ENOSYS)
        ktap_skip("nobody can ask this kernel for anything");
    else if (event < 0 || vmi_event_unmask((uint32_t)event) != VMI_OK)
        ktap_fail("the event is not bound: %d", (int)event);
    return event >= 0;
}

/* What is asked for when the event has come; nothing before that. */
static void take(uint32_t wanted)
{
    EXPECT_EQUAL(vmi_event_bind(VMI_EVENT_REQUEST, 0, VECTOR_REQUEST), VMI_EBUSY);
    EXPECT_EQUAL(vmi_event_bind(VMI_EVENT_REQUEST, 1, VECTOR_REQUEST), VMI_EINVAL);
    bool told;
    uint32_t request;
    do {
        told = wait_for(&requests_came, OUTSIDE_MILLISECONDS);
        requests_came = 0;
        request = vmi_take_request();
    } while (told && request == VMI_REQUEST_NONE); /* the event says that there may be one */
    EXPECT(told);
    EXPECT_EQUAL(request, wanted);
    EXPECT_EQUAL(vmi_take_request(), VMI_REQUEST_NONE);
}

static void key(void)
{
    if (!requests_bind())
        return;
    requests_came = 0;
    print("# request key %c\n", KEY);
    take(VMI_REQUEST_KEY | (uint32_t)KEY << 8);
}

static void memory(void)
{
    memory_by_target();
}

/* ---- CPUs that come and go ---- */

/* Stops and starts those that are not as they are wanted. False if one does not do so. */
static bool follow_wanted(void)
{
    bool followed = true;

    for (uint32_t cpu = 1; cpu < smp_cpu_count(); cpu++) {
        bool wanted = vmi_cpu_state(cpu) & VMI_CPU_WANTED, runs = smp_online() & 1u << cpu;

        if (wanted != runs)
            followed &= (wanted ? cpu_start(cpu) : cpu_stop(cpu)) == VMI_OK;
    }
    return followed;
}

/* A process begins and ends, on any CPU. */
static bool process_goes_on(void)
{
    struct process *process = process_create(&user_nothing, 0), ended;

    if (process == NULL)
        return false;
    process_run(process);
    process_reap(process, &ended);
    return ended.end == PROCESS_EXITED;
}

/* Asks for a number of CPUs, and follows, while processes run. */
static void ask_for_cpus(uint32_t count)
{
    struct patience patience;
    uint32_t told = 0;

    print("# request vcpus %u\n", count);
    patience_begin(&patience, OUTSIDE_MILLISECONDS);
    while (smp_set_size(smp_online()) != count && patience_left(&patience)) {
        EXPECT(process_goes_on());
        /* With rests, in which whoever is to ask gets something done, too. */
        if (!wait_for(&requests_came, TICK_MILLISECONDS))
            continue;
        requests_came = 0;
        /* What tells of one CPU each is looked at with the first, and left with the last. */
        for (uint32_t request; (request = vmi_take_request()) != VMI_REQUEST_NONE; told++) {
            EXPECT_EQUAL(request, VMI_REQUEST_CPUS);
            EXPECT(follow_wanted());
        }
    }
    EXPECT_EQUAL(smp_set_size(smp_online()), count);
    EXPECT(told != 0);
    EXPECT(process_goes_on());
    print("# vcpus online 0x%x\n", smp_online());
}

/* Whoever can take CPUs away says so by option vcpus=yes. */
static void cpus(void)
{
    char word[4];

    if (!option_value(checks_boot_info->command_line, "vcpus", word, sizeof(word))) {
        ktap_skip("nobody takes CPUs away");
        return;
    }
    NEEDS(STOP_CPU);
    NEEDS(CPU_STATE);
    if (!requests_bind())
        return;
    requests_came = 0;
    uint32_t count = smp_cpu_count();
    EXPECT(count > 1);
    ask_for_cpus(1);
    ask_for_cpus(count);
    cpus_answered = 0;
    struct thread *thread = thread_create("answer", cpus_answer, NULL, 2);
    EXPECT(thread != NULL);
    thread_join(thread);
    EXPECT_EQUAL(cpus_answered, 2);
}

static void power_off(void)
{
    if (!requests_bind())
        return;
    requests_came = 0;
    print("# request poweroff\n");
    take(VMI_REQUEST_POWER_OFF);
    print("# last words: asked to power off\n");
}

static void reboot(void)
{
    if (!requests_bind())
        return;
    requests_came = 0;
    print("# request reboot\n");
    take(VMI_REQUEST_REBOOT);
    print("# last words: asked to reboot\n");
    vmi_shutdown_reason(VMI_SHUTDOWN_REBOOT, VMI_STATUS_PASS);
}

/* Nothing is bound: the library ends the kernel. */
static void nobody(void)
{
    print("# request poweroff\n");
    wait_for(&requests_came, OUTSIDE_MILLISECONDS);
    ktap_fail("the library has not ended this kernel");
}

const struct check checks_request_key[] = {
    {"test.request_key", key}, {"test.request_power_off", power_off}, {NULL, NULL}};
const struct check checks_request_power_off[] = {
    {"test.cpus", cpus},
    {"test.memory", memory},
    {"test.request_power_off", power_off},
    {NULL, NULL},
};
const struct check checks_request_reboot[] = {{"test.request_reboot", reboot}, {NULL, NULL}};
const struct check checks_request_nobody[] = {{"test.request_nobody", nobody}, {NULL, NULL}};
