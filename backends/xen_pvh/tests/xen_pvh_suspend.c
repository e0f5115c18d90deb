/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Suspend of a PVH domain, as a Linux process: this file plays Xen, the toolstack, the timer of a
 * local APIC and the library's other parts. A domain that was restored has no channel that it had,
 * others for the sources of its events, and a timer that Xen has started with its whole count.
 */
#include "xen_pvh/pvh.h"

#include <native/routines.h>

#include <xen/hvm/hvm_op.h>
#include <xen/sched.h>

/* What a process may not do. */
static uint32_t apic_read(uint32_t reg);
static void apic_write(uint32_t reg, uint32_t value);
static uint64_t msr_read(uint32_t index);
static void msr_write(uint32_t index, uint64_t value);
static void others_run(void);
static uintptr_t fault_address;
#define vmi__lock(lock)                    ((void)(lock), 0u)
#define vmi__unlock(lock, flags)           ((void)(lock), (void)(flags))
#define vmi__irq_save()                    0u
#define vmi__irq_restore(flags)            ((void)(flags))
#define vmi__native_apic_read(reg)         apic_read(reg)
#define vmi__native_apic_write(reg, value) apic_write(reg, value)
#define vmi__rdmsr(index)                  msr_read(index)
#define vmi__wrmsr(index, value)           msr_write(index, value)
#define vmi_yield()                        others_run()
#define vmi_get_cr2()                      fault_address
#define vmi_set_cr2(value)                 ((void)(fault_address = (value)))

#include "xen_pvh/event.c"
#include "xen_pvh/suspend.c"

#include "xen_common/suspend.c"

#include "backends/plain_memory.h"
#include "backends/played.h"

#define CPUS          2
#define DEVICE_NUMBER 0x30001
#define VIRTUAL_TIMER 0xf0u /* its vector */
#define COUNT         5000u

/* Sources of events, and their channels before and after. */
enum { CONSOLE, DEVICE, REQUESTS, SOURCES };
static const evtchn_port_t ports[2][SOURCES] = {{2, 70, 1}, {3, 5, 2}};
static const uint8_t vectors[SOURCES] = {0x51, 0x61, 0x71};
static const struct {
    uint32_t source, number;
} events[SOURCES] = {
    {VMI_EVENT_CONSOLE, 0}, {VMI_EVENT_DEVICE, DEVICE_NUMBER}, {VMI_EVENT_REQUEST, 0}};

#define MARK 9 /* the channel that the library makes for itself */

static struct vmi_cpu cpus[CPUS] = {{.apic_id = 0}, {.apic_id = 4}};
struct vmi_boot_info vmi__boot = {.cpu_count = CPUS, .cpus = cpus};
struct shared_info vmi__xen_pvh_shared;
bool vmi__native_ended_vectors[256];
bool vmi__xen_common_suspend_asked;

static struct {
    intptr_t answer;      /* to the domain's wish */
    bool goes_on;         /* where it was */
    bool no_mark, mapped; /* no channel is given; MapDevice has mapped something */
    bool device_lost;     /* it does not come again */
    uint32_t now;         /* the row of `ports` that holds */
    bool mark_there;
    uint32_t yields;
    char said[64]; /* what the library's other parts were asked for, a letter each */
    uint32_t length;
} xen;

/* What Xen has of each channel and CPU. */
static struct {
    uint32_t cpu, let_in;
} channels[128];
static uint8_t upcalls[CPUS];
static uint32_t raised[256]; /* vectors, by the library */
static uint32_t here;

#define CR2 0x5a5a1000u

static struct {
    bool has_deadline, requested, goes_off; /* goes off while it is being stopped */
    uint32_t count;
    uint64_t deadline;
} timer;

static bool store_let_in;

static void say(char letter)
{
    if (xen.length < sizeof(xen.said) - 1)
        xen.said[xen.length++] = letter;
}

static bool heard(const char *letters)
{
    uint32_t at = 0;

    while (letters[at] && letters[at] == xen.said[at])
        at++;
    return letters[at] == xen.said[at];
}

/* ---- Xen and the toolstack ---- */

static void restore(void)
{
    xen.now = 1;
    xen.mark_there = false;
    memset(&vmi__xen_pvh_shared, 0, sizeof(vmi__xen_pvh_shared));
    memset(channels, 0, sizeof(channels));
    memset(upcalls, 0, sizeof(upcalls));
    timer.count = timer.count ? COUNT : 0; /* lapic_rearm */
    fault_address = 0;
}

static bool is_masked(evtchn_port_t port)
{
    return vmi__xen_pvh_port_is_masked(port);
}

HYPERCALL intptr_t vmi__xen_pvh_hypercall_sched_op(uint32_t command, const void *argument)
{
    say('!');
    EXPECT(command == SCHEDOP_shutdown);
    EXPECT(((const struct sched_shutdown *)argument)->reason == SHUTDOWN_suspend);
    /* Nothing is on its way to the kernel, and no timer runs that Xen would start anew. */
    for (uint32_t i = 0; i < SOURCES; i++)
        EXPECT(is_masked(ports[0][i]));
    EXPECT(!timer.count && !timer.deadline && xen.mark_there);
    if (!xen.answer && !xen.goes_on)
        restore();
    return xen.answer;
}

HYPERCALL intptr_t vmi__xen_pvh_hypercall_event_channel_op(uint32_t command, void *argument)
{
    struct evtchn_bind_vcpu *bind = argument;
    struct evtchn_status *status = argument;
    evtchn_port_t port = ((struct evtchn_send *)argument)->port;

    switch (command) {
    case EVTCHNOP_bind_ipi:
        ((struct evtchn_bind_ipi *)argument)->port = MARK;
        xen.mark_there = !xen.no_mark;
        return xen.no_mark ? -28 : 0;
    case EVTCHNOP_status:
        EXPECT(status->dom == DOMID_SELF && status->port == MARK);
        status->status = xen.mark_there ? EVTCHNSTAT_ipi : EVTCHNSTAT_closed;
        return 0;
    case EVTCHNOP_close:
        EXPECT(port == MARK && xen.mark_there);
        xen.mark_there = false;
        return 0;
    case EVTCHNOP_bind_vcpu:
        EXPECT(is_masked(bind->port));
        channels[bind->port].cpu = bind->vcpu;
        return 0;
    default:
        EXPECT(command == EVTCHNOP_unmask);
        vmi__xen_pvh_shared.evtchn_mask[VMI__XEN_PVH_WORD(port)] &= ~VMI__XEN_PVH_BIT(port);
        channels[port].let_in++;
        return 0;
    }
}

HYPERCALL intptr_t vmi__xen_pvh_hypercall_hvm_op(uint32_t command, void *argument)
{
    const struct xen_hvm_evtchn_upcall_vector *upcall = argument;

    EXPECT(command == HVMOP_set_evtchn_upcall_vector && upcall->vcpu < CPUS);
    upcalls[upcall->vcpu] = upcall->vector;
    return 0;
}

/* ---- the processor ---- */

static uint32_t apic_read(uint32_t reg)
{
    if (reg == VMI_APIC_LVTT)
        return VIRTUAL_TIMER | (timer.has_deadline ? LVTT_DEADLINE : 0);
    if (reg == VMI__APIC_TIMER_CURRENT)
        return timer.count;
    EXPECT(reg == VMI__APIC_IRR + VIRTUAL_TIMER / 32 * 16);
    return timer.requested ? 1u << VIRTUAL_TIMER % 32 : 0;
}

static void apic_write(uint32_t reg, uint32_t value)
{
    EXPECT(reg == VMI__APIC_TIMER_INITIAL && !timer.has_deadline);
    timer.requested = timer.requested || timer.goes_off;
    timer.goes_off = false;
    timer.count = value;
}

static uint64_t msr_read(uint32_t index)
{
    EXPECT(index == MSR_DEADLINE && timer.has_deadline);
    return timer.deadline;
}

static void msr_write(uint32_t index, uint64_t value)
{
    EXPECT(index == MSR_DEADLINE && timer.has_deadline);
    timer.deadline = value;
}

bool vmi__native_apic_command(uint32_t apic_id, uint32_t command)
{
    EXPECT((command & ~0xffu) == VMI__ICR_FIXED && (apic_id == 0 || apic_id == 4));
    raised[command & 0xff] += 1 + (apic_id << 8);
    return true;
}

/* ---- the rest of the library ---- */

uint32_t vmi__native_cpu(void)
{
    return here;
}

static uint32_t running, stopping; /* CPUs; looks for which those that do not run are up yet */

bool vmi__native_cpu_runs(uint32_t cpu)
{
    return cpu < running;
}

bool vmi__xen_pvh_is_up(uint32_t cpu)
{
    return vmi__native_cpu_runs(cpu) || (stopping && stopping--);
}

bool vmi__device_any(void)
{
    return xen.mapped;
}

void *vmi__xen_pvh_argument(const void *pointer)
{
    return (void *)(uintptr_t)pointer;
}

const char *vmi__xen_pvh_share(void)
{
    say('s');
    EXPECT(xen.now == 1);
    return 0;
}

void vmi__xen_pvh_console_forget(void)
{
    say('c');
}

void vmi__xen_pvh_store_start(void)
{
    say('x');
    store_let_in = false;
    vmi__xen_pvh_port_mask(ports[1][REQUESTS]);
}

void vmi__xen_pvh_grants_again(void)
{
    say('g');
}

void vmi__xen_pvh_requests_start(void)
{
    say('r');
}

bool vmi__xen_pvh_cpu_register(uint32_t cpu)
{
    EXPECT(cpu == here || (cpu >= running && !stopping));
    say((char)('0' + cpu));
    return true;
}

static uint64_t steal = 77;

VMI__ROUTINE uint64_t vmi__xen_pvh_steal_time(void)
{
    return steal;
}

void vmi__xen_pvh_steal_time_go_on(uint64_t from)
{
    EXPECT(from == 77);
    say('t');
}

evtchn_port_t vmi__xen_pvh_console_port(void)
{
    return ports[xen.now][CONSOLE];
}

bool vmi__xen_pvh_console_news(void)
{
    return false;
}

evtchn_port_t vmi__xen_pvh_requests_port(void)
{
    return ports[xen.now][REQUESTS];
}

void vmi__xen_pvh_requests_take(bool takes)
{
    EXPECT(takes);
}

void vmi__xen_pvh_requests_came(void)
{
}

bool vmi__xen_pvh_requests_news(void)
{
    return false;
}

bool vmi__xen_common_store_let_in(bool in)
{
    evtchn_port_t port = ports[xen.now][REQUESTS];
    bool was = store_let_in;

    store_let_in = in;
    vmi__xen_pvh_port_mask(port);
    if (in)
        vmi__xen_pvh_on_port(EVTCHNOP_unmask, port);
    return was;
}

struct vcpu_info *vmi__xen_pvh_vcpu(uint32_t cpu)
{
    return &vmi__xen_pvh_shared.vcpu_info[cpu];
}

static evtchn_port_t port_of_device(uint32_t number)
{
    EXPECT(number == DEVICE_NUMBER);
    return xen.now && xen.device_lost ? 0 : ports[xen.now][DEVICE];
}

static bool device_has_news(evtchn_port_t port)
{
    (void)port;
    return false;
}

static void devices_come_again(void)
{
    say('d');
}

static const struct vmi__xen_pvh_device_events device_events = {
    .port = port_of_device, .news = device_has_news, .come_again = devices_come_again};

void vmi__native_vector_ended(uint32_t vector)
{
    (void)vector;
}

__attribute__((noreturn)) void vmi__fatal(const char *reason)
{
    put(reason);
    call(SYS_EXIT, 1, 0, 0);
    __builtin_unreachable();
}

/* The other CPU, where one waits for it. */
static void (*other_cpu)(void);

static void others_run(void)
{
    if (other_cpu)
        other_cpu();
    if (++xen.yields == 100)
        vmi__fatal("a CPU waits for ever\n");
}

/* ---- checks ---- */

static uint32_t bound_events[SOURCES];

/* The device's event is at the second CPU, the console's is masked. */
static void begin(uint32_t count)
{
    memset(&xen, 0, sizeof(xen));
    memset(&vmi__xen_pvh_shared, 0, sizeof(vmi__xen_pvh_shared));
    memset(rows, 0, sizeof(rows));
    memset(bound, 0, sizeof(bound));
    memset(channels, 0, sizeof(channels));
    memset(raised, 0, sizeof(raised));
    memset(&meeting, 0, sizeof(meeting));
    memset(&timer, 0, sizeof(timer));
    ends = 0;
    here = 0;
    other_cpu = 0;
    running = 2;
    store_let_in = false;
    vmi__xen_pvh_device_events = &device_events;
    vmi__xen_common_suspend_asked = true;
    for (uint32_t i = 0; i < SOURCES; i++) {
        int32_t event = vmi__xen_pvh_event_bind(events[i].source, events[i].number, vectors[i]);

        EXPECT(event > 0);
        bound_events[i] = (uint32_t)event;
        if (i != CONSOLE)
            EXPECT(vmi__xen_pvh_event_unmask((uint32_t)event) == VMI_OK);
    }
    EXPECT(vmi__xen_pvh_event_move(bound_events[DEVICE], 1) == VMI_OK);
    running = count;
    stopping = 0;
    memset(channels, 0, sizeof(channels));
    timer.count = COUNT / 2;
    fault_address = CR2;
}

static bool is_pending(evtchn_port_t port)
{
    return vmi__xen_pvh_shared.evtchn_pending[VMI__XEN_PVH_WORD(port)] & VMI__XEN_PVH_BIT(port);
}

static void nobody_has_asked(void)
{
    begin(2); /* the other CPU is not waited for */
    vmi__xen_common_suspend_asked = false;
    EXPECT(vmi__xen_pvh_suspend() == VMI_EAGAIN && heard("") && timer.count == COUNT / 2);
}

static void what_devices_have_is_mapped(void)
{
    begin(1);
    xen.mapped = true;
    EXPECT(vmi__xen_pvh_suspend() == VMI_EBUSY && heard("") && timer.count == COUNT / 2);
    EXPECT(vmi__xen_pvh_suspend() == VMI_EAGAIN);
}

/* Xen returns 0 for both, or refuses; or there is no channel by which to tell them apart. */
static void goes_on_where_it_was(void)
{
    for (uint32_t i = 0; i < 3; i++) {
        begin(1);
        xen.goes_on = i == 0;
        xen.answer = i == 1 ? -22 : 0;
        xen.no_mark = i == 2;
        EXPECT(vmi__xen_pvh_suspend() == (i ? VMI_EIO : VMI_SUSPEND_CANCELED));
        EXPECT(heard(i == 2 ? "" : "!") && timer.count == COUNT / 2 && !xen.mark_there);
        EXPECT(is_masked(ports[0][CONSOLE]) && !is_masked(ports[0][DEVICE]));
        EXPECT(!is_masked(ports[0][REQUESTS]) && store_let_in);
        for (uint32_t source = 0; source < SOURCES; source++)
            EXPECT(!is_pending(ports[0][source]) && !raised[vectors[source]]);
    }
}

/* Each event is what it was, by another channel, and comes once. */
static void is_restored(void)
{
    begin(1);
    EXPECT(vmi__xen_pvh_suspend() == VMI_SUSPEND_RESTORED);
    EXPECT(heard("!scxgdr10t") && timer.count == COUNT / 2 && fault_address == CR2);
    for (uint32_t i = 0; i < SOURCES; i++) {
        evtchn_port_t port = ports[1][i];

        EXPECT(is_pending(port) && is_masked(port) == (i == CONSOLE));
        EXPECT(channels[port].cpu == (i == DEVICE) && channels[port].let_in == (i != CONSOLE));
        EXPECT(vmi__xen_pvh_event_of(events[i].source, events[i].number) == bound_events[i]);
    }
    EXPECT(upcalls[0] == vectors[CONSOLE] && upcalls[1] == vectors[DEVICE]);
    /* This CPU looks at what is pending here. */
    EXPECT(raised[vectors[CONSOLE]] == 1 && !raised[vectors[DEVICE]] && !raised[vectors[REQUESTS]]);
    EXPECT(vmi__xen_pvh_event_unmask(bound_events[CONSOLE]) == VMI_OK);
    EXPECT(channels[ports[1][CONSOLE]].let_in == 1);
    EXPECT(vmi__xen_pvh_suspend() == VMI_EAGAIN);
}

/* Whoever has requests with it learns that they have ended; and other events of its CPU come. */
static void a_lost_device_is_told_of(void)
{
    begin(2);
    EXPECT(vmi__xen_pvh_event_move(bound_events[REQUESTS], 1) == VMI_OK);
    EXPECT(upcalls[1] == vectors[DEVICE]);
    running = 1;
    xen.device_lost = true;
    EXPECT(vmi__xen_pvh_suspend() == VMI_SUSPEND_RESTORED);
    EXPECT(upcalls[1] && channels[ports[1][REQUESTS]].cpu == 1);
    EXPECT(raised[vectors[DEVICE]] == 1 + (4 << 8));
    EXPECT(vmi__xen_pvh_event_unbind(bound_events[DEVICE]) == VMI_OK);
    EXPECT(!vmi__xen_pvh_event_of(VMI_EVENT_DEVICE, DEVICE_NUMBER));
    EXPECT(vmi__xen_pvh_event_mask(bound_events[DEVICE]) == VMI_EINVAL);
}

static void a_timer_goes_on_and_does_not_begin_again(void)
{
    begin(1);
    timer.count = 0; /* it has gone off */
    EXPECT(vmi__xen_pvh_suspend() == VMI_SUSPEND_RESTORED && !timer.count);
    begin(1);
    timer.goes_off = true;
    EXPECT(vmi__xen_pvh_suspend() == VMI_SUSPEND_RESTORED && !timer.count && timer.requested);
    begin(1);
    timer.requested = true; /* by the alarm before this one */
    EXPECT(vmi__xen_pvh_suspend() == VMI_SUSPEND_RESTORED && timer.count == COUNT / 2);
    begin(1);
    timer.has_deadline = true;
    timer.count = 0;
    timer.deadline = 123;
    EXPECT(vmi__xen_pvh_suspend() == VMI_SUSPEND_RESTORED && timer.deadline == 123);
}

/* One that had noted that it stops is saved as it does. Its words are where they were when it is
 * started again. */
static void a_cpu_has_stopped(void)
{
    begin(1);
    stopping = 5;
    EXPECT(vmi__xen_pvh_suspend() == VMI_SUSPEND_RESTORED && heard("!scxgdr10t") && !stopping);
}

/* ---- two CPUs: this file is the one that is not looked at ---- */

static void second_comes_and_goes(void)
{
    if (!meeting.round && !meeting.come)
        meeting.come = 1;
    else if (meeting.round == 1 && !meeting.gone) {
        EXPECT(heard("!scxgdr0"));
        meeting.gone = 1;
    }
}

static void first_waits_for_all(void)
{
    begin(2);
    other_cpu = second_comes_and_goes;
    EXPECT(vmi__xen_pvh_suspend() == VMI_SUSPEND_RESTORED);
    EXPECT(xen.yields == 2 && heard("!scxgdr0t"));
}

static void first_has_restored(void)
{
    if (meeting.round)
        return;
    EXPECT(meeting.come == 1 && heard("") && !timer.count);
    meeting.result = VMI_SUSPEND_RESTORED;
    meeting.come = 0;
    meeting.round++;
}

static void another_looks_at_its_own(void)
{
    begin(2);
    here = 1;
    other_cpu = first_has_restored;
    EXPECT(vmi__xen_pvh_suspend() == VMI_SUSPEND_RESTORED && heard("1t") && meeting.gone == 1);
    EXPECT(raised[vectors[DEVICE]] == 1 + (4 << 8) && !raised[vectors[CONSOLE]]);
    EXPECT(timer.count == COUNT / 2);
}

static const struct played_check checks[] = {
    CHECK(nobody_has_asked),         CHECK(what_devices_have_is_mapped),
    CHECK(goes_on_where_it_was),     CHECK(is_restored),
    CHECK(a_lost_device_is_told_of), CHECK(a_timer_goes_on_and_does_not_begin_again),
    CHECK(a_cpu_has_stopped),        CHECK(first_waits_for_all),
    CHECK(another_looks_at_its_own),
};

PLAY(checks)
