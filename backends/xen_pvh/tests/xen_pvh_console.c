/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Console and ends of a PVH domain as a Linux process: this file plays Xen and whoever serves the
 * console's ring.
 */
#include "xen_pvh/pvh.h"

#include <native/routines.h>

#include <xen/hvm/params.h>
#include <xen/sched.h>

/* What a process may not do. */
static void yield(void);
#define vmi_yield()              yield()
#define vmi__lock(lock)          ((void)(lock), 0u)
#define vmi__unlock(lock, flags) ((void)(lock), (void)(flags))

#include "xen_pvh/console.c"
#include "xen_pvh/machine.c"

#include "backends/plain_memory.h"
#include "backends/played.h"

#define CONSOLE_PFN 5
#define ENDED       99u       /* no reason of Xen's */
#define YIELDS_MAX  50000000u /* many more than the library's patience has room for */

struct vmi_boot_info vmi__boot;
uint64_t vmi__native_tsc_hz;

static struct {
    struct xencons_interface ring;
    uint32_t yields, serves_at; /* the yield in which the output is taken; 0: never */
    uint32_t told;              /* how often the other side was */
    uint32_t reason, left;      /* the end, and how much output was in the ring then */
    bool absent;                /* there is no console */
} xen;

static void *ended[5];

static uint32_t output(void)
{
    return xen.ring.out_prod - xen.ring.out_cons;
}

static void yield(void)
{
    if (++xen.yields == xen.serves_at)
        xen.ring.out_cons = xen.ring.out_prod;
    if (xen.yields == YIELDS_MAX)
        __builtin_longjmp(ended, 1);
}

uint64_t vmi__xen_pvh_parameter(uint32_t index)
{
    return xen.absent ? 0 : index == HVM_PARAM_CONSOLE_PFN ? CONSOLE_PFN : 2;
}

void *vmi__xen_pvh_map(uint32_t slot, uint64_t pfn)
{
    EXPECT(slot == VMI__XEN_PVH_CONSOLE_SLOT && pfn == (xen.absent ? 0 : CONSOLE_PFN));
    return pfn ? &xen.ring : 0;
}

HYPERCALL intptr_t vmi__xen_pvh_hypercall_event_channel_op(uint32_t command, void *argument)
{
    (void)argument;
    EXPECT(command == EVTCHNOP_send);
    xen.told++;
    return 0;
}

HYPERCALL intptr_t vmi__xen_pvh_hypercall_sched_op(uint32_t command, const void *argument)
{
    const struct sched_shutdown *how = argument;

    EXPECT(command == SCHEDOP_shutdown);
    xen.reason = how->reason;
    xen.left = output();
    __builtin_longjmp(ended, 1);
}

/* ---- the rest of the library ---- */

bool vmi__xen_pvh_present(void)
{
    return true;
}

void *vmi__xen_pvh_argument(const void *pointer)
{
    return (void *)(uintptr_t)pointer;
}

VMI__ROUTINE int32_t vmi__native_console_write(const void *from, uint32_t length)
{
    (void)from, (void)length;
    return VMI_EIO;
}

VMI__ROUTINE void vmi__native_shutdown_reason(uint32_t reason, uint32_t status)
{
    (void)reason, (void)status;
    vmi__stop();
}

/* ---- checks ---- */

static const char words[] = "the last words";

/* The other side takes what is written in the yield of that number. */
static void begin(uint32_t serves_at)
{
    memset(&xen, 0, sizeof(xen));
    xen.serves_at = serves_at;
    xen.reason = ENDED;
    ring = 0;
    looked_for = false;
    vmi__native_tsc_hz = 1000000; /* so that what never comes is not waited for in earnest */
}

enum how { SHUTDOWN, REBOOT, CRASH, REASON_POWEROFF };

static void end(enum how how)
{
    if (__builtin_setjmp(ended))
        return;
    switch (how) {
    case SHUTDOWN:
        vmi__xen_pvh_shutdown();
        break;
    case REBOOT:
        vmi__xen_pvh_reboot(0);
        break;
    case CRASH:
        vmi__xen_pvh_shutdown_reason(VMI_SHUTDOWN_CRASH, 1);
        break;
    case REASON_POWEROFF:
        vmi__xen_pvh_shutdown_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS);
        break;
    }
}

/* A domain that has ended has no ring any more. */
static void an_end_waits_for_the_output(void)
{
    static const uint32_t reasons[] = {SHUTDOWN_poweroff, SHUTDOWN_reboot, SHUTDOWN_crash,
                                       SHUTDOWN_poweroff};

    for (uint32_t how = SHUTDOWN; how <= REASON_POWEROFF; how++) {
        begin(3);
        EXPECT(vmi__xen_pvh_console_write(words, sizeof(words)) == (int32_t)sizeof(words));
        EXPECT(output() == sizeof(words));
        for (uint32_t i = 0; i < sizeof(words); i++)
            EXPECT(xen.ring.out[i] == words[i]);
        end((enum how)how);
        EXPECT(xen.reason == reasons[how]);
        EXPECT(xen.left == 0 && xen.yields == 3);
    }
}

static void an_end_comes_if_nobody_takes_the_output(void)
{
    begin(0);
    EXPECT(vmi__xen_pvh_console_write(words, sizeof(words)) == (int32_t)sizeof(words));
    end(SHUTDOWN);
    EXPECT(xen.reason == SHUTDOWN_poweroff && xen.left == sizeof(words));
}

static void an_end_waits_for_nothing_else(void)
{
    begin(0);
    end(SHUTDOWN); /* nothing is written */
    EXPECT(xen.reason == SHUTDOWN_poweroff && xen.yields == 0);
    begin(0);
    EXPECT(vmi__xen_pvh_console_write(words, sizeof(words)) == (int32_t)sizeof(words));
    xen.ring.out_cons = xen.ring.out_prod + 1; /* more than there was */
    end(SHUTDOWN);
    EXPECT(xen.reason == SHUTDOWN_poweroff && xen.yields == 0);
    begin(0);
    xen.absent = true;
    end(SHUTDOWN);
    EXPECT(xen.reason == SHUTDOWN_poweroff && xen.yields == 0);
}

/* ---- before the end ---- */

static void output_waits_for_room(void)
{
    static const char text[sizeof(xen.ring.out) + 100];

    begin(2);
    if (!__builtin_setjmp(ended))
        EXPECT(vmi__xen_pvh_console_write(text, sizeof(text)) == (int32_t)sizeof(text));
    EXPECT(xen.yields == 2 && output() == 100 && xen.told == 2);
}

static void the_other_side_is_told_of_what_was_read(void)
{
    char byte;

    begin(0);
    EXPECT(vmi__xen_pvh_console_read(&byte, 1) == 0 && !xen.told);
    xen.ring.in[0] = 'a';
    xen.ring.in_prod = 1;
    EXPECT(vmi__xen_pvh_console_read(&byte, 1) == 1 && byte == 'a' && xen.told == 1);
}

static void indices_that_cannot_be_are_refused(void)
{
    char byte;

    begin(0);
    xen.ring.out_cons = 1;
    EXPECT(vmi__xen_pvh_console_write(words, sizeof(words)) == VMI_EIO);
    xen.ring.in_prod = sizeof(xen.ring.in) + 1;
    EXPECT(vmi__xen_pvh_console_read(&byte, 1) == VMI_EIO);
    EXPECT(xen.ring.out_prod == 0 && xen.ring.in_cons == 0 && !xen.told);
    begin(0);
    xen.absent = true;
    EXPECT(vmi__xen_pvh_console_write(words, sizeof(words)) == VMI_EIO);
    EXPECT(vmi__xen_pvh_console_read(&byte, 1) == VMI_EIO);
}

static const struct played_check checks[] = {
    CHECK(output_waits_for_room),
    CHECK(the_other_side_is_told_of_what_was_read),
    CHECK(indices_that_cannot_be_are_refused),
    CHECK(an_end_waits_for_the_output),
    CHECK(an_end_comes_if_nobody_takes_the_output),
    CHECK(an_end_waits_for_nothing_else),
};

PLAY(checks)
