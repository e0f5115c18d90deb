/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Requests from outside to a PVH domain, as a Linux process: this file plays Xen, the toolstack and
 * a kernel, and xenstored (xenstored.h). What is told to a kernel that takes requests, and what
 * becomes of them where none does. What is taken and what is left is in xen/tests/xen_requests.c.
 */
#include "xen_pvh/pvh.h"

#include <native/routines.h>

#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>

/* What a process may not do. */
static void apic_write(uint32_t reg, uint32_t value);
static uint32_t lock_taken(struct vmi__lock *taken);
static void lock_given(struct vmi__lock *taken, uint32_t flags);
#define vmi__lock(lock)                    lock_taken(lock)
#define vmi__unlock(lock, flags)           lock_given(lock, flags)
#define vmi__native_apic_write(reg, value) apic_write(reg, value)

#include "backends/plain_memory.h"
#include "backends/played.h"

#include "xen_pvh/event.c"

#define port  pvh_store_port
#define known pvh_known
#define taken pvh_taken
#include "xen_pvh/requests.c"
#include "xen_pvh/store.c"
#undef port

#define lock   store_lock
#define let_in store_let_in
#include "xen_common/store.c"
#undef lock
#undef let_in

#define lock requests_lock
#include "xen_common/requests.c"
#undef lock

#include "xen_common/tests/xenstored.h"

#define STORE_PFN  5
#define STORE_PORT 3
#define VECTOR     0x51
#define EVENT      1 /* the first that is bound */
#define CPUS       2

static struct vmi_cpu cpus[CPUS] = {{.apic_id = 0}, {.apic_id = 4}};
struct vmi_boot_info vmi__boot = {.cpu_count = CPUS, .cpus = cpus};
struct shared_info vmi__xen_pvh_shared;
bool vmi__native_ended_vectors[256];

static struct {
    bool has_store;
    uint32_t raised, told_again, asked; /* vectors by Xen and by the library; words to xenstored */
    uint32_t ended, lines, others;      /* the balloon's: told */
} done;

/* ---- Xen ---- */

static bool bit_of(const xen_ulong_t *words)
{
    return words[VMI__XEN_PVH_WORD(STORE_PORT)] & VMI__XEN_PVH_BIT(STORE_PORT);
}

/* Has the port pending; where it is let in, and no upcall is under way, its vector is raised. */
static void signal_port(void)
{
    struct vcpu_info *info = &vmi__xen_pvh_shared.vcpu_info[0];

    vmi__xen_pvh_port_pend(STORE_PORT);
    if (bit_of(vmi__xen_pvh_shared.evtchn_mask) || info->evtchn_upcall_pending)
        return;
    info->evtchn_upcall_pending = 1;
    done.raised++;
}

HYPERCALL intptr_t vmi__xen_pvh_hypercall_event_channel_op(uint32_t command, void *argument)
{
    if (command == EVTCHNOP_bind_vcpu)
        return 0;
    EXPECT(((struct evtchn_send *)argument)->port == STORE_PORT);
    if (command == EVTCHNOP_unmask) {
        vmi__xen_pvh_shared.evtchn_mask[VMI__XEN_PVH_WORD(STORE_PORT)] &=
            ~VMI__XEN_PVH_BIT(STORE_PORT);
        if (bit_of(vmi__xen_pvh_shared.evtchn_pending))
            signal_port();
        return 0;
    }
    EXPECT(command == EVTCHNOP_send);
    /* Answers are polled: none has the kernel's vector raised. */
    EXPECT(bit_of(vmi__xen_pvh_shared.evtchn_mask));
    done.asked++;
    serve();
    signal_port();
    return 0;
}

HYPERCALL intptr_t vmi__xen_pvh_hypercall_hvm_op(uint32_t command, void *argument)
{
    (void)argument;
    EXPECT(command == HVMOP_set_evtchn_upcall_vector);
    return 0;
}

static void apic_write(uint32_t reg, uint32_t value)
{
    EXPECT(reg == VMI_APIC_EOI && value == 0);
}

bool vmi__native_apic_command(uint32_t apic_id, uint32_t command)
{
    EXPECT(apic_id == 0 && command == (VMI__ICR_FIXED | VECTOR));
    done.told_again++;
    return true;
}

/* ---- the rest of the library ---- */

static uint32_t lock_taken(struct vmi__lock *lock_of)
{
    volatile uint32_t *word = (volatile uint32_t *)(uintptr_t)lock_of;

    EXPECT(!*word);
    *word = 1;
    return 1;
}

static void lock_given(struct vmi__lock *lock_of, uint32_t flags)
{
    volatile uint32_t *word = (volatile uint32_t *)(uintptr_t)lock_of;

    EXPECT(*word && flags == 1);
    *word = 0;
}

struct vcpu_info *vmi__xen_pvh_vcpu(uint32_t cpu)
{
    return &vmi__xen_pvh_shared.vcpu_info[cpu];
}

void *vmi__xen_pvh_argument(const void *pointer)
{
    return (void *)(uintptr_t)pointer;
}

uint64_t vmi__xen_pvh_parameter(uint32_t index)
{
    EXPECT(index == HVM_PARAM_STORE_EVTCHN || index == HVM_PARAM_STORE_PFN);
    if (!done.has_store)
        return 0;
    return index == HVM_PARAM_STORE_PFN ? STORE_PFN : STORE_PORT;
}

void *vmi__xen_pvh_map(uint32_t slot, uint64_t pfn)
{
    EXPECT(slot == VMI__XEN_PVH_STORE_SLOT && pfn == STORE_PFN);
    return &page;
}

void vmi__xen_pvh_wait(evtchn_port_t port)
{
    EXPECT(port == STORE_PORT);
}

evtchn_port_t vmi__xen_pvh_console_port(void)
{
    return 0;
}

bool vmi__xen_pvh_console_news(void)
{
    EXPECT(false);
    return false;
}

uint32_t vmi__native_cpu(void)
{
    return 0;
}

bool vmi__native_cpu_runs(uint32_t cpu)
{
    return cpu < CPUS;
}

void vmi__native_vector_ended(uint32_t vector)
{
    (void)vector;
}

void vmi__request_default(uint32_t request)
{
    done.ended = request;
}

void vmi__print(const char *text)
{
    (void)text;
    done.lines++;
}

/* ---- the kernel ---- */

static void begin_with(const char *word, bool has_store)
{
    store_begins(word);
    memset(&done, 0, sizeof(done));
    memset(&vmi__xen_pvh_shared, 0, sizeof(vmi__xen_pvh_shared));
    memset(rows, 0, sizeof(rows));
    memset(bound, 0, sizeof(bound));
    ends = 0;
    vmi__xen_pvh_others_told = 0;
    known = taken = refused = false;
    pvh_store_port = 0;
    noted = vmi__xen_common_store_told = 0;
    vmi__xen_common_store_start(0);
    done.has_store = has_store;
    vmi__xen_pvh_store_start();
    vmi__xen_pvh_requests_start();
    done.asked = 0;
}

static void begin(void)
{
    begin_with("", true);
}

static int32_t bind_requests(void)
{
    return vmi__xen_pvh_event_bind(VMI_EVENT_REQUEST, 0, VECTOR);
}

static void begin_bound(void)
{
    begin();
    EXPECT(bind_requests() == EVENT);
    EXPECT(vmi__xen_pvh_event_unmask(EVENT) == VMI_OK);
    EXPECT(!done.raised);
}

/* The toolstack writes a word, of which xenstored tells. */
static void toolstack_asks(const char *word)
{
    ask_for(word);
    tell_of_a_change();
    signal_port();
}

static void tell_others(void)
{
    done.others++;
}

static void alarm_set(void)
{
    vmi__native_requests_untaken();
}

/* ---- checks ---- */

static void at_the_start_nodes_are_watched(void)
{
    begin();
    EXPECT(known && store.features == 5 && store.watches == 4);
    EXPECT(bit_of(vmi__xen_pvh_shared.evtchn_mask));
    alarm_set();
    EXPECT(!done.asked && !done.ended);
}

static void a_domain_without_a_store_is_asked_nothing(void)
{
    begin_with("", false);
    EXPECT(bind_requests() == VMI_ENOSYS);
    EXPECT(vmi__xen_pvh_event_bind(VMI_EVENT_REQUEST, 1, VECTOR) == VMI_EINVAL);
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_NONE);
    alarm_set();
    EXPECT(!done.ended);
}

static void a_kernel_that_takes_no_requests_is_ended(void)
{
    begin();
    toolstack_asks("poweroff");
    EXPECT(!done.raised);
    alarm_set();
    EXPECT(done.ended == VMI_REQUEST_POWER_OFF && !store.shutdown[0]);
    toolstack_asks("reboot");
    alarm_set();
    EXPECT(done.ended == VMI_REQUEST_REBOOT && !store.shutdown[0]);
}

/* Xenstore is asked nothing where nothing was told, however many alarms are set. */
static void an_alarm_asks_only_when_told(void)
{
    uint32_t asked;

    begin();
    toolstack_asks("");
    alarm_set();
    asked = done.asked;
    EXPECT(asked && !done.ended);
    alarm_set();
    alarm_set();
    EXPECT(done.asked == asked);
}

static void what_was_asked_before_the_start_is_looked_at(void)
{
    begin_with("poweroff", true);
    alarm_set();
    EXPECT(done.ended == VMI_REQUEST_POWER_OFF && !store.shutdown[0]);
    begin_with("poweroff", true);
    EXPECT(bind_requests() == EVENT && !done.raised);
    EXPECT(vmi__xen_pvh_event_unmask(EVENT) == VMI_OK);
    EXPECT(done.raised == 1);
}

static void a_kernel_that_takes_requests_is_told(void)
{
    begin_bound();
    EXPECT(bind_requests() == VMI_EBUSY);
    EXPECT(vmi__xen_pvh_event_bind(VMI_EVENT_REQUEST, 1, VECTOR) == VMI_EINVAL);
    toolstack_asks("poweroff");
    EXPECT(done.raised == 1);
    alarm_set();
    EXPECT(!done.ended && store.shutdown[0]);
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_POWER_OFF && !store.shutdown[0]);
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_NONE);
    alarm_set();
    EXPECT(!done.ended);
}

static void cpus_that_come_and_go_are_told(void)
{
    begin_bound();
    tell_of_a_cpu();
    signal_port();
    EXPECT(done.raised == 1);
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_CPUS);
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_NONE);
}

static void what_is_masked_is_kept(void)
{
    char text[TEXT];

    begin_bound();
    EXPECT(vmi__xen_pvh_event_mask(EVENT) == VMI_OK);
    toolstack_asks("reboot");
    /* The word of the watch is taken out of the ring here. */
    EXPECT(vmi__xen_common_store_read(key_node, text, sizeof(text)) == 0);
    EXPECT(!done.raised && bit_of(vmi__xen_pvh_shared.evtchn_mask));
    EXPECT(vmi__xen_pvh_event_unmask(EVENT) == VMI_OK);
    EXPECT(done.raised == 1);
}

/* An answer has no vector raised, and what a watch told before it has. */
static void what_is_told_before_an_answer_is_kept(void)
{
    char text[TEXT];

    begin_bound();
    EXPECT(vmi__xen_common_store_read(key_node, text, sizeof(text)) == 0);
    EXPECT(!done.raised && !bit_of(vmi__xen_pvh_shared.evtchn_mask));
    store.tells = true;
    EXPECT(vmi__xen_common_store_read(key_node, text, sizeof(text)) == 0);
    EXPECT(done.raised == 1 && !vmi__xen_common_store_told);
}

/* Told again once, for the handler may have looked before that. */
static void what_comes_before_the_end_of_the_interrupt_is_told(void)
{
    begin_bound();
    toolstack_asks("poweroff");
    EXPECT(done.raised == 1);
    vmi__xen_pvh_end_of_interrupt(VECTOR);
    EXPECT(done.told_again == 1);
    vmi__xen_pvh_end_of_interrupt(VECTOR);
    EXPECT(done.told_again == 1 && done.raised == 1);
    /* Nothing new. */
    signal_port();
    vmi__xen_pvh_end_of_interrupt(VECTOR);
    EXPECT(done.told_again == 1 && done.raised == 2);
}

static void what_is_left_at_the_end_is_the_librarys(void)
{
    char text[TEXT];

    begin_bound();
    toolstack_asks("poweroff");
    /* Xenstore will not tell of it again. */
    EXPECT(vmi__xen_common_store_read(key_node, text, sizeof(text)) == 0);
    EXPECT(vmi__xen_pvh_event_unbind(EVENT) == VMI_OK);
    EXPECT(bit_of(vmi__xen_pvh_shared.evtchn_mask));
    alarm_set();
    EXPECT(done.ended == VMI_REQUEST_POWER_OFF);
}

static void an_event_that_moves_stays_let_in(void)
{
    begin_bound();
    EXPECT(vmi__xen_pvh_event_move(EVENT, 1) == VMI_OK);
    EXPECT(!bit_of(vmi__xen_pvh_shared.evtchn_mask));
    EXPECT(vmi__xen_pvh_event_mask(EVENT) == VMI_OK);
    EXPECT(vmi__xen_pvh_event_move(EVENT, 0) == VMI_OK);
    EXPECT(bit_of(vmi__xen_pvh_shared.evtchn_mask));
}

/* A new target is a change like any other. */
static void a_balloon_is_told(void)
{
    begin();
    vmi__xen_pvh_others_told = tell_others;
    toolstack_asks("");
    alarm_set();
    EXPECT(done.others == 1 && !done.ended);
    alarm_set();
    EXPECT(done.others == 1);
    begin_bound();
    vmi__xen_pvh_others_told = tell_others;
    toolstack_asks("");
    EXPECT(done.raised == 1 && !done.others);
    vmi__xen_pvh_end_of_interrupt(VECTOR);
    EXPECT(done.others == 1);
    vmi__xen_pvh_end_of_interrupt(VECTOR);
    EXPECT(done.others == 1);
}

/* By a kernel that has bound the event: without it nobody suspends the domain. */
static void a_request_to_suspend_is_taken(void)
{
    begin();
    toolstack_asks("suspend");
    alarm_set();
    EXPECT(store.shutdown[0] && done.lines == 1 && !vmi__xen_common_suspend_asked);
    begin_bound();
    toolstack_asks("suspend");
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_SUSPEND);
    EXPECT(!store.shutdown[0] && vmi__xen_common_suspend_asked);
    vmi__xen_common_suspend_asked = false;
}

static const struct played_check checks[] = {
    CHECK(at_the_start_nodes_are_watched),
    CHECK(a_domain_without_a_store_is_asked_nothing),
    CHECK(a_kernel_that_takes_no_requests_is_ended),
    CHECK(an_alarm_asks_only_when_told),
    CHECK(what_was_asked_before_the_start_is_looked_at),
    CHECK(a_kernel_that_takes_requests_is_told),
    CHECK(cpus_that_come_and_go_are_told),
    CHECK(what_is_masked_is_kept),
    CHECK(what_is_told_before_an_answer_is_kept),
    CHECK(what_comes_before_the_end_of_the_interrupt_is_told),
    CHECK(what_is_left_at_the_end_is_the_librarys),
    CHECK(an_event_that_moves_stays_let_in),
    CHECK(a_balloon_is_told),
    CHECK(a_request_to_suspend_is_taken),
};

PLAY(checks)
