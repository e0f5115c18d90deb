/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Requests from outside, which somebody has to make. A line `# request WORD` says which one is
 * wanted now: poweroff, reboot, key and its character, or memory and how many MiB.
 */
#include <stddef.h>

#include "checks.h"
#include "layout.h"
#include "print.h"
#include "threads.h"
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
    {"test.memory", memory}, {"test.request_power_off", power_off}, {NULL, NULL}};
const struct check checks_request_reboot[] = {{"test.request_reboot", reboot}, {NULL, NULL}};
const struct check checks_request_nobody[] = {{"test.request_nobody", nobody}, {NULL, NULL}};
