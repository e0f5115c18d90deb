/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Events of a PVH domain, the console's and a device's, as a Linux process: this file plays Xen,
 * the other side of both, the local APICs and a kernel that halts until an event comes. Xen and the
 * other side do each of their steps at every point of the library's and the kernel's at which they
 * could: before each access to shared memory and each hypercall. A kernel that halts while
 * something is left to take, and nothing is to come, has lost an event.
 */
#include <stdint.h>

/* Time passes: what is due now is done, and an interrupt that is let in comes. */
static void step(void);

/* Each is a step: the name within is the compiler's own. */
#define __atomic_store_n(at, value, order)    (step(), __atomic_store_n(at, value, order))
#define __atomic_load_n(at, order)            (step(), __atomic_load_n(at, order))
#define __atomic_exchange_n(at, value, order) (step(), __atomic_exchange_n(at, value, order))
#define __atomic_fetch_or(at, value, order)   (step(), __atomic_fetch_or(at, value, order))
#define __atomic_fetch_and(at, value, order)  (step(), __atomic_fetch_and(at, value, order))

#include "xen_pvh/pvh.h"

#include <native/routines.h>

#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>

/* What a process may not do. */
static void apic_write(uint32_t reg, uint32_t value);
static uint32_t lock_taken(void);
static void lock_given(uint32_t flags);
#define vmi_yield()                        step()
#define vmi__lock(lock)                    ((void)(lock), lock_taken())
#define vmi__unlock(lock, flags)           ((void)(lock), lock_given(flags))
#define vmi__native_apic_write(reg, value) apic_write(reg, value)

#include "xen_pvh/console.c"
#include "xen_pvh/event.c"

/* From here on it is the world around the library. */
#undef __atomic_fetch_or

#include "backends/plain_memory.h"
#include "backends/played.h"

#define CONSOLE_PFN   5
#define DEVICE_NUMBER 0x30001
#define CPUS          2

/* What can be bound. */
enum { CONSOLE, DEVICE, SOURCES };
static const evtchn_port_t ports[SOURCES] = {[CONSOLE] = 2, [DEVICE] = 70};
static const uint8_t vectors[SOURCES] = {[CONSOLE] = 0x51, [DEVICE] = 0x61};
static const struct {
    uint32_t source, number;
} events[SOURCES] = {
    [CONSOLE] = {VMI_EVENT_CONSOLE, 0}, [DEVICE] = {VMI_EVENT_DEVICE, DEVICE_NUMBER}};

static struct vmi_cpu cpus[CPUS] = {{.apic_id = 0}, {.apic_id = 4}};
struct vmi_boot_info vmi__boot = {.cpu_count = CPUS, .cpus = cpus};
struct shared_info vmi__xen_pvh_shared;
uint64_t vmi__native_tsc_hz;
bool vmi__native_ended_vectors[256];

/* ---- Xen and the other side of the ring ---- */

/* What they do one after the other. Four are one event of the console's (event_channel.h, two-level
 * ABI): one that finds its bit set is done with it. SEND is all of them, and so is TELL for the
 * device, which ANSWERs. */
enum action { TYPE, PENDING, SELECTOR, UPCALL, RAISE, SEND, ANSWER, TELL };

#define ACTIONS_MAX 8

static struct {
    struct xencons_interface ring;
    uint32_t answered;
    uint8_t vectors[CPUS]; /* that is raised for an upcall; 0: none */
    bool requested[SOURCES], in_service, interrupts;
    enum action actions[ACTIONS_MAX];
    uint32_t at[ACTIONS_MAX]; /* the step before which each is done; none is before the last one */
    uint32_t count, done, now;
    bool over; /* the event that is under way needs no more */
} xen;

static struct {
    bool told;
    uint32_t taken[SOURCES], interrupts;
} kernel;

/* Whether the kernel takes what there is in its handler, before it ends the interrupt; else after
 * that. And what it binds first. */
static bool takes_at_once;
static uint32_t first;

static uint32_t runs;

static void request(uint32_t vector)
{
    uint32_t source = 0;

    while (source < SOURCES && vectors[source] != vector)
        source++;
    EXPECT(source < SOURCES);
    xen.requested[source] = true;
}

static void raise(void)
{
    if (xen.vectors[0])
        request(xen.vectors[0]);
}

static bool set(xen_ulong_t *word, xen_ulong_t bit)
{
    return __atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST) & bit;
}

/* The selector's bit of a port's word. */
static xen_ulong_t selector(evtchn_port_t port)
{
    return (xen_ulong_t)1 << VMI__XEN_PVH_WORD(port);
}

/* A step of an event of a port. */
static void event_step(enum action action, evtchn_port_t port)
{
    struct vcpu_info *info = &vmi__xen_pvh_shared.vcpu_info[0];
    uint32_t word = VMI__XEN_PVH_WORD(port);

    switch (action) {
    case PENDING:
        xen.over = set(&vmi__xen_pvh_shared.evtchn_pending[word], VMI__XEN_PVH_BIT(port));
        break;
    case SELECTOR:
        xen.over = xen.over || vmi__xen_pvh_shared.evtchn_mask[word] & VMI__XEN_PVH_BIT(port) ||
                   set(&info->evtchn_pending_sel, selector(port));
        break;
    case UPCALL:
        if (!xen.over) {
            xen.over = info->evtchn_upcall_pending;
            info->evtchn_upcall_pending = 1;
        }
        break;
    default:
        if (!xen.over)
            raise();
        break;
    }
}

static void act(enum action action)
{
    switch (action) {
    case TYPE:
        xen.ring.in[MASK_XENCONS_IDX(xen.ring.in_prod, xen.ring.in)] = 'a';
        xen.ring.in_prod++;
        break;
    case ANSWER:
        xen.answered++;
        break;
    case SEND:
    case TELL:
        for (enum action part = PENDING; part <= RAISE; part++)
            event_step(part, ports[action == SEND ? CONSOLE : DEVICE]);
        break;
    default:
        event_step(action, ports[CONSOLE]);
        break;
    }
}

static void take_interrupt(void);

static void step(void)
{
    while (xen.done < xen.count && xen.at[xen.done] <= xen.now)
        act(xen.actions[xen.done++]);
    xen.now++;
    take_interrupt();
}

static void unmask(evtchn_port_t port)
{
    struct vcpu_info *info = &vmi__xen_pvh_shared.vcpu_info[0];
    xen_ulong_t *mask = &vmi__xen_pvh_shared.evtchn_mask[VMI__XEN_PVH_WORD(port)];
    xen_ulong_t pending = vmi__xen_pvh_shared.evtchn_pending[VMI__XEN_PVH_WORD(port)];
    xen_ulong_t bit = VMI__XEN_PVH_BIT(port), masked = *mask;

    *mask = masked & ~bit;
    if (masked & pending & bit && !set(&info->evtchn_pending_sel, selector(port)) &&
        !info->evtchn_upcall_pending) {
        info->evtchn_upcall_pending = 1;
        raise();
    }
}

HYPERCALL intptr_t vmi__xen_pvh_hypercall_event_channel_op(uint32_t command, void *argument)
{
    step();
    if (command == EVTCHNOP_unmask)
        unmask(((struct evtchn_unmask *)argument)->port);
    else
        EXPECT(command == EVTCHNOP_send || command == EVTCHNOP_bind_vcpu);
    step();
    return 0;
}

HYPERCALL intptr_t vmi__xen_pvh_hypercall_hvm_op(uint32_t command, void *argument)
{
    const struct xen_hvm_evtchn_upcall_vector *upcall = argument;

    step();
    EXPECT(command == HVMOP_set_evtchn_upcall_vector && upcall->vcpu < CPUS && upcall->vector);
    xen.vectors[upcall->vcpu] = upcall->vector;
    if (upcall->vcpu == 0)
        raise(); /* Xen 4.17 does, whether something is pending or not */
    step();
    return 0;
}

/* ---- the processor ---- */

/* Takes one thing of a source if there is one. */
static bool receive(uint32_t source)
{
    int32_t count;
    char byte;

    if (source == CONSOLE) {
        count = vmi__xen_pvh_console_read(&byte, 1);
        EXPECT(count >= 0);
    } else {
        step();
        count = xen.answered != kernel.taken[DEVICE];
    }
    kernel.taken[source] += (uint32_t)count;
    step();
    return count;
}

static void take_interrupt(void)
{
    uint32_t source = SOURCES;

    for (uint32_t i = 0; i < SOURCES; i++)
        source = xen.requested[i] ? i : source;
    if (!xen.interrupts || source == SOURCES || xen.in_service)
        return;
    xen.requested[source] = false;
    xen.in_service = true;
    xen.interrupts = false;
    kernel.told = true;
    /* A handler that takes nothing is not entered for ever. */
    EXPECT(kernel.interrupts++ < 4 * ACTIONS_MAX);
    step();
    while (takes_at_once && receive(source))
        ;
    vmi__xen_pvh_end_of_interrupt(vectors[source]);
    step();
    xen.interrupts = true;
}

static void apic_write(uint32_t reg, uint32_t value)
{
    EXPECT(reg == VMI_APIC_EOI && value == 0);
    step();
    xen.in_service = false;
    step();
}

bool vmi__native_apic_command(uint32_t apic_id, uint32_t command)
{
    EXPECT(apic_id == 0 && (command & ~0xffu) == VMI__ICR_FIXED);
    step();
    request(command & 0xff);
    return true;
}

static uint32_t lock_taken(void)
{
    bool were = xen.interrupts;

    xen.interrupts = false;
    return were;
}

static void lock_given(uint32_t flags)
{
    xen.interrupts = flags;
    step();
}

/* ---- the rest of the library ---- */

bool vmi__xen_pvh_present(void)
{
    return true;
}

struct vcpu_info *vmi__xen_pvh_vcpu(uint32_t cpu)
{
    EXPECT(cpu == 0);
    return &vmi__xen_pvh_shared.vcpu_info[0];
}

void *vmi__xen_pvh_argument(const void *pointer)
{
    return (void *)(uintptr_t)pointer;
}

uint64_t vmi__xen_pvh_parameter(uint32_t index)
{
    return index == HVM_PARAM_CONSOLE_PFN ? CONSOLE_PFN : ports[CONSOLE];
}

void *vmi__xen_pvh_map(uint32_t slot, uint64_t pfn)
{
    EXPECT(slot == VMI__XEN_PVH_CONSOLE_SLOT && pfn == CONSOLE_PFN);
    return &xen.ring;
}

static evtchn_port_t port_of_device(uint32_t number)
{
    return number == DEVICE_NUMBER ? ports[DEVICE] : 0;
}

static bool device_has_news(evtchn_port_t port)
{
    EXPECT(port == ports[DEVICE]);
    step();
    return xen.answered != kernel.taken[DEVICE];
}

/* No store: requests are xen_pvh_requests.c's. */
evtchn_port_t vmi__xen_pvh_requests_port(void)
{
    return 0;
}

void vmi__xen_pvh_requests_take(bool takes)
{
    (void)takes;
    EXPECT(false);
}

void vmi__xen_pvh_requests_came(void)
{
}

bool vmi__xen_pvh_requests_news(void)
{
    EXPECT(false);
    return false;
}

bool vmi__xen_common_store_let_in(bool in)
{
    (void)in;
    EXPECT(false);
    return false;
}

static const struct vmi__xen_pvh_device_events device_events = {.port = port_of_device,
                                                                .news = device_has_news};

VMI__ROUTINE int32_t vmi__native_console_write(const void *from, uint32_t length)
{
    (void)from, (void)length;
    return VMI_EIO;
}

uint32_t vmi__native_cpu(void)
{
    return 0;
}

bool vmi__native_cpu_runs(uint32_t cpu)
{
    return cpu < CPUS;
}

static uint32_t ended;

void vmi__native_vector_ended(uint32_t vector)
{
    ended = vector;
}

/* ---- the kernel ---- */

/* Halts until the event comes; false if it never does. */
static bool wait(void)
{
    xen.interrupts = false;
    step();
    while (!kernel.told) {
        xen.interrupts = true;
        take_interrupt();
        if (!kernel.told) {
            if (xen.done == xen.count)
                return false;
            xen.now = xen.at[xen.done] > xen.now ? xen.at[xen.done] : xen.now;
            step();
        }
        xen.interrupts = false;
        step();
    }
    kernel.told = false;
    xen.interrupts = true;
    step();
    return true;
}

static void begin(void)
{
    memset(&vmi__xen_pvh_shared, 0, sizeof(vmi__xen_pvh_shared));
    memset(&kernel, 0, sizeof(kernel));
    memset(rows, 0, sizeof(rows));
    memset(bound, 0, sizeof(bound));
    ends = 0;
    vmi__xen_pvh_device_events = &device_events;
    ring = 0;
    looked_for = false;
    noted = 0;
    xen.ring.in_prod = xen.ring.in_cons = 0;
    xen.answered = 0;
    memset(xen.vectors, 0, sizeof(xen.vectors));
    memset(xen.requested, 0, sizeof(xen.requested));
    xen.in_service = xen.over = false;
    xen.interrupts = true;
    xen.done = xen.now = 0;
}

/* As EventBind named them. */
static uint32_t bound_events[SOURCES];

static int32_t bind_source(uint32_t source)
{
    int32_t event =
        vmi__xen_pvh_event_bind(events[source].source, events[source].number, vectors[source]);

    if (event > 0)
        bound_events[source] = (uint32_t)event;
    return event;
}

/* One run; how many steps it had. It takes what there is to the end, or has lost an event. */
static uint32_t run(void)
{
    uint32_t typed = 0, answers = 0;

    begin();
    runs++;
    for (uint32_t i = 0; i < xen.count; i++) {
        typed += xen.actions[i] == TYPE;
        answers += xen.actions[i] == ANSWER;
    }
    for (uint32_t i = 0; i < SOURCES; i++) {
        uint32_t source = i ? SOURCES - 1 - first : first;

        if (source == DEVICE && !answers)
            continue;
        EXPECT(bind_source(source) > 0);
        EXPECT(vmi__xen_pvh_event_unmask(bound_events[source]) == VMI_OK);
    }
    while (kernel.taken[CONSOLE] < typed || kernel.taken[DEVICE] < answers) {
        bool any = !takes_at_once && (receive(CONSOLE) || receive(DEVICE));

        if (!any && !wait())
            break;
    }
    EXPECT(kernel.taken[CONSOLE] == typed && kernel.taken[DEVICE] == answers);
    return xen.now;
}

/* ---- checks ---- */

/* Actions from the one of that number on, each not before the one in front of it. */
static void place(uint32_t action, uint32_t from, uint32_t to, uint32_t apart)
{
    if (action == xen.count) {
        run();
        return;
    }
    for (uint32_t at = from; at <= to && !failed_line; at++) {
        xen.at[action] = at;
        place(action + 1, at, apart && at + apart < to ? at + apart : to, apart);
    }
}

/* All ways to place these in a run; `apart`: so many steps between two at most, 0 for any number.
 */
static void everywhere(const enum action *actions, uint32_t count, uint32_t apart, bool at_once)
{
    uint32_t steps;

    takes_at_once = at_once;
    xen.count = count;
    for (uint32_t i = 0; i < count; i++) {
        xen.actions[i] = actions[i];
        xen.at[i] = 0;
    }
    steps = run();
    EXPECT(steps > 20);
    runs = 0;
    for (uint32_t at = 0; at <= steps && !failed_line; at++) {
        xen.at[0] = at;
        place(1, at, apart ? at + apart : steps, apart);
    }
    EXPECT(runs > 1000);
}

#define EVERYWHERE(apart, ...)                                                                     \
    for (uint32_t at_once = 0; at_once < 2; at_once++)                                             \
    everywhere((const enum action[]){__VA_ARGS__},                                                 \
               sizeof((const enum action[]){__VA_ARGS__}) / sizeof(enum action), apart, at_once)

static void an_event_comes_wherever_it_is_sent(void)
{
    EVERYWHERE(0, TYPE, SEND, TYPE, SEND);
}

/* The other side tells of output that it has taken, too. */
static void an_event_without_input_hides_none(void)
{
    EVERYWHERE(0, SEND, TYPE, SEND);
    EVERYWHERE(0, TYPE, SEND, SEND);
}

static void an_event_comes_in_parts(void)
{
    EVERYWHERE(9, TYPE, PENDING, SELECTOR, UPCALL, RAISE);
    EVERYWHERE(9, SEND, TYPE, PENDING, SELECTOR, UPCALL, RAISE);
}

/* Whichever of the two has the vector that Xen raises. */
static void events_of_two_sources_come(void)
{
    for (first = 0; first < SOURCES && !failed_line; first++) {
        EVERYWHERE(12, ANSWER, TELL, ANSWER, TELL);
        EVERYWHERE(12, TYPE, SEND, ANSWER, TELL);
        EVERYWHERE(6, ANSWER, TELL, TYPE, PENDING, SELECTOR, UPCALL, RAISE);
    }
    first = CONSOLE;
}

static void another_vector_is_raised_when_one_goes(void)
{
    xen.count = 0;
    begin();
    xen.interrupts = false;
    EXPECT(bind_source(CONSOLE) > 0);
    EXPECT(bind_source(DEVICE) > 0);
    EXPECT(xen.vectors[0] == vectors[CONSOLE] && !xen.vectors[1]);
    EXPECT(vmi__xen_pvh_event_move(bound_events[CONSOLE], 1) == VMI_OK);
    EXPECT(xen.vectors[0] == vectors[DEVICE] && xen.vectors[1] == vectors[CONSOLE]);
    EXPECT(vmi__xen_pvh_event_move(bound_events[DEVICE], 1) == VMI_OK);
    EXPECT(xen.vectors[1] == vectors[CONSOLE]);
    EXPECT(vmi__xen_pvh_event_unbind(bound_events[CONSOLE]) == VMI_OK);
    EXPECT(xen.vectors[1] == vectors[DEVICE]);
    EXPECT(vmi__xen_pvh_event_move(bound_events[DEVICE], 0) == VMI_OK);
    EXPECT(bind_source(CONSOLE) > 0);
    EXPECT(xen.vectors[0] == vectors[DEVICE]);
}

/* So many that what is requested has come. */
static void some_steps(void)
{
    for (uint32_t i = 0; i < 4; i++)
        step();
}

/* One that is masked when something else's interrupt ends comes when it is let in. */
static void what_is_masked_is_kept(void)
{
    xen.count = 0;
    takes_at_once = true;
    begin();
    EXPECT(bind_source(CONSOLE) > 0);
    EXPECT(bind_source(DEVICE) > 0);
    EXPECT(vmi__xen_pvh_event_unmask(bound_events[CONSOLE]) == VMI_OK);
    act(ANSWER);
    act(TELL);
    act(TYPE);
    act(SEND);
    some_steps();
    EXPECT(kernel.taken[CONSOLE] == 1 && kernel.taken[DEVICE] == 0);
    EXPECT(vmi__xen_pvh_event_unmask(bound_events[DEVICE]) == VMI_OK);
    some_steps();
    EXPECT(kernel.taken[DEVICE] == 1);
}

/* What is pending at another CPU is for that one to tell. */
static void an_event_stays_where_it_is(void)
{
    xen_ulong_t *pending = &vmi__xen_pvh_shared.evtchn_pending[VMI__XEN_PVH_WORD(ports[DEVICE])];

    xen.count = 0;
    takes_at_once = true;
    begin();
    EXPECT(bind_source(CONSOLE) > 0);
    EXPECT(bind_source(DEVICE) > 0);
    EXPECT(vmi__xen_pvh_event_unmask(bound_events[CONSOLE]) == VMI_OK);
    EXPECT(vmi__xen_pvh_event_unmask(bound_events[DEVICE]) == VMI_OK);
    EXPECT(vmi__xen_pvh_event_move(bound_events[DEVICE], 1) == VMI_OK);
    some_steps();
    set(pending, VMI__XEN_PVH_BIT(ports[DEVICE]));
    act(TYPE);
    act(SEND);
    some_steps();
    EXPECT(kernel.taken[CONSOLE] == 1 && *pending == VMI__XEN_PVH_BIT(ports[DEVICE]));
}

/* The native library's part of an end, of its alarm's vector or a line's, also where the vector is
 * an event's. */
static void the_end_is_told(void)
{
    const uint8_t other = 0x33;

    xen.count = 0;
    begin();
    xen.interrupts = false;
    EXPECT(bind_source(CONSOLE) > 0);
    for (uint32_t i = 0; i < 2; i++) {
        uint8_t vector = i ? vectors[CONSOLE] : other;

        ended = 0;
        vmi__xen_pvh_end_of_interrupt(vector);
        EXPECT(ended == 0);
        vmi__native_ended_vectors[vector] = true;
        vmi__xen_pvh_end_of_interrupt(vector);
        EXPECT(ended == vector);
        vmi__native_ended_vectors[vector] = false;
    }
}

static void no_more_than_there_is_room_for(void)
{
    xen.count = 0;
    begin();
    xen.interrupts = false;
    for (uint32_t i = 0; i < ROWS; i++)
        rows[i].vector = vectors[DEVICE];
    EXPECT(bind_source(CONSOLE) == VMI_ENOMEM);
}

static void what_is_no_event_is_refused(void)
{
    uint32_t event = 1;
    const uint32_t vector = vectors[CONSOLE];

    xen.count = 0;
    begin();
    xen.interrupts = false;
    EXPECT(vmi__xen_pvh_event_unmask(event) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_notify(event) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_bind(VMI_EVENT_CONSOLE, 1, vector) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_bind(VMI_EVENT_REQUEST + 1, 0, vector) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_bind(VMI_EVENT_PEER, 0, vector) == VMI_ENOSYS);
    EXPECT(vmi__xen_pvh_event_bind(VMI_EVENT_REQUEST, 0, vector) == VMI_ENOSYS);
    EXPECT(vmi__xen_pvh_event_bind(VMI_EVENT_CONSOLE, 0, 31) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_bind(VMI_EVENT_CONSOLE, 0, 256) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_bind(VMI_EVENT_CONSOLE, 0, VMI__APIC_SPURIOUS) == VMI_EINVAL);
    EXPECT(bind_source(CONSOLE) > 0);
    event = bound_events[CONSOLE];
    EXPECT(vmi__xen_pvh_event_bind(VMI_EVENT_CONSOLE, 0, vector) == VMI_EBUSY);
    EXPECT(vmi__xen_pvh_event_unmask(event + 1) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_mask(event + 1) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_notify(event + 1) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_move(event + 1, 0) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_move(event, CPUS) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_unbind(event + 1) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_notify(event) == VMI_OK);
    EXPECT(vmi__xen_pvh_event_unbind(event) == VMI_OK);
    EXPECT(vmi__xen_pvh_event_unbind(event) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_bind(VMI_EVENT_DEVICE, DEVICE_NUMBER + 1, vector) == VMI_EINVAL);
    EXPECT(bind_source(DEVICE) > 0);
    EXPECT(bind_source(DEVICE) == VMI_EBUSY);
    EXPECT(vmi__xen_pvh_event_unbind(0) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_unmask(ROWS + 1) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_unmask(0) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_move(0, 0) == VMI_EINVAL);
    vmi__xen_pvh_device_events = 0;
    EXPECT(bind_source(DEVICE) == VMI_EINVAL);
}

static const struct played_check checks[] = {
    CHECK(what_is_no_event_is_refused),
    CHECK(an_event_comes_wherever_it_is_sent),
    CHECK(an_event_without_input_hides_none),
    CHECK(an_event_comes_in_parts),
    CHECK(events_of_two_sources_come),
    CHECK(another_vector_is_raised_when_one_goes),
    CHECK(what_is_masked_is_kept),
    CHECK(an_event_stays_where_it_is),
    CHECK(the_end_is_told),
    CHECK(no_more_than_there_is_room_for),
};

PLAY(checks)
