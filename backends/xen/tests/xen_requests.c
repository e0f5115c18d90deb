/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Requests from outside, and the store's client that they come by, as a Linux process: this file
 * plays the toolstack, and xenstored (xenstored.h). What is told while an answer is waited for,
 * what is taken and what is left, and what becomes of it where no kernel takes it.
 */
#include "xen/traps.h"

#include "backends/played.h"

#include "string.c" /* runtime/ */

#include "xen/requests.c"
#include "xen/store.c"

#define lock store_lock
#include "xen_common/store.c"
#undef lock

#include "xen_common/requests.c"

#include "xen_common/tests/xenstored.h"

#define STORE_PORT 1

struct vmi__xen_line vmi__xen_requests, vmi__xen_balloon;

/* ---- the rest of the library ---- */

static uint32_t port_masked;

/* What is done with what came. */
static struct {
    uint32_t pending, raised, balloon, lines, ended;
} done;

uint32_t vmi__xen_common_enter(volatile uint32_t *taken)
{
    EXPECT(!*taken);
    *taken = 1;
    return 1;
}

void vmi__xen_common_leave(volatile uint32_t *taken, uint32_t flags)
{
    EXPECT(*taken && flags == 1);
    *taken = 0;
}

intptr_t vmi__xen_port_notify(evtchn_port_t port)
{
    EXPECT(port == STORE_PORT);
    serve();
    return 0;
}

void vmi__xen_port_clear(evtchn_port_t port)
{
    EXPECT(port == STORE_PORT);
}

void vmi__xen_port_wait(evtchn_port_t port)
{
    EXPECT(port == STORE_PORT);
}

bool vmi__xen_port_mask(evtchn_port_t port)
{
    EXPECT(port == STORE_PORT);
    return port_masked++;
}

intptr_t vmi__xen_port_unmask(evtchn_port_t port)
{
    EXPECT(port == STORE_PORT);
    port_masked = 0;
    return 0;
}

bool vmi__xen_port_exists(evtchn_port_t port)
{
    return port == STORE_PORT;
}

void vmi__xen_port_set(evtchn_port_t port, enum vmi__xen_port_kind kind, uint32_t vector,
                       uint32_t cpu)
{
    EXPECT(port == STORE_PORT && kind == VMI__XEN_PORT_STORE && !vector && !cpu);
}

void vmi__xen_port_pend(evtchn_port_t port)
{
    EXPECT(port == STORE_PORT && port_masked);
    done.pending++;
}

void vmi__xen_raise_line(struct vmi__xen_line *line, struct vmi__xen_cpu *cpu)
{
    EXPECT(!cpu);
    if (line == &vmi__xen_balloon)
        done.balloon++;
    else if (line == &vmi__xen_requests)
        done.raised++;
    else
        EXPECT(false);
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

/* ---- checks ---- */

/* Before the library has asked for anything. */
static void first(const char *shutdown)
{
    store_begins(shutdown);
    memset(&done, 0, sizeof(done));
    let_in = refused = false;
    vmi__xen_common_store_told = 0;
    port_masked = 1; /* by the start */
    vmi__xen_requests.vector = vmi__xen_balloon.vector = 0;
    vmi__xen_store_start(&page, STORE_PORT);
}

/* Requests are known, and nothing stands in either node. */
static void begin(void)
{
    first("");
    vmi__xen_requests_start();
}

static void at_the_start_nodes_are_watched(void)
{
    begin();
    EXPECT(vmi__xen_requests_known && store.features == 5 && store.watches == 4);
    /* What a watch tells at once is no request. */
    EXPECT(!vmi__xen_common_store_told && !done.pending);
    first("");
    vmi__xen_store_start(0, STORE_PORT);
    vmi__xen_requests_start();
    EXPECT(!vmi__xen_requests_known);
}

static void what_was_asked_before_the_start_is_looked_at(void)
{
    first("poweroff");
    vmi__xen_requests_start();
    EXPECT(vmi__xen_common_store_told && done.pending == 1);
    vmi__xen_requests_came(0);
    EXPECT(done.ended == VMI_REQUEST_POWER_OFF && !store.shutdown[0]);
}

static void a_request_is_taken_once(void)
{
    begin();
    ask_for("poweroff");
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_POWER_OFF);
    EXPECT(!store.shutdown[0] && store.transactions == 1);
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_NONE);
    ask_for("halt");
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_POWER_OFF);
    ask_for("reboot");
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_REBOOT);
    EXPECT(store.transactions == 3 && !port_masked);
}

static void what_is_written_meanwhile_is_not_lost(void)
{
    begin();
    ask_for("poweroff");
    store.conflicts = true;
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_REBOOT);
    EXPECT(!store.shutdown[0] && store.transactions == 2);
}

static void what_is_not_carried_out_is_left_and_said_once(void)
{
    begin();
    ask_for("suspend");
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_NONE);
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_NONE);
    EXPECT(is(store.shutdown, "suspend") && done.lines == 1);
    ask_for("poweroffs");
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_NONE && store.shutdown[0]);
    ask_for("power");
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_NONE && store.shutdown[0]);
    /* What is longer than any word is none. */
    ask_for("poweroffpoweroff");
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_NONE && store.shutdown[0]);
    ask_for("");
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_NONE);
    ask_for("suspend");
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_NONE && done.lines == 2);
}

static void a_key_is_one_character(void)
{
    begin();
    memcpy(store.key, "k", 2);
    EXPECT(vmi__xen_common_take_request() == (VMI_REQUEST_KEY | 'k' << 8) && !store.key[0]);
    memcpy(store.key, "kk", 3);
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_NONE && !store.key[0]);
    memcpy(store.key, "\x7f", 2);
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_NONE && !store.key[0]);
}

static void a_change_told_before_an_answer_is_kept(void)
{
    char text[TEXT];

    begin();
    ask_for("reboot");
    store.tells = true;
    EXPECT(vmi__xen_common_store_read(shutdown_node, text, sizeof(text)) == 6 &&
           is(text, "reboot"));
    EXPECT(vmi__xen_common_store_told && done.pending == 1);
}

static void a_change_told_while_nobody_waits_is_seen(void)
{
    begin();
    vmi__xen_common_store_look();
    EXPECT(!vmi__xen_common_store_told);
    tell_of_a_change();
    vmi__xen_common_store_look();
    EXPECT(vmi__xen_common_store_told && page.rsp_cons == page.rsp_prod);
}

static void a_kernel_that_takes_requests_is_told(void)
{
    begin();
    vmi__xen_requests.vector = 0x40;
    ask_for("poweroff");
    tell_of_a_change();
    vmi__xen_common_store_look();
    vmi__xen_requests_came(0);
    EXPECT(done.raised == 1 && !done.ended && store.shutdown[0] && !vmi__xen_common_store_told);
    EXPECT(!done.balloon);
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_POWER_OFF);
}

/* A new target is a change like any other, of which nobody need take a request. */
static void a_balloon_is_told(void)
{
    begin();
    vmi__xen_balloon.vector = 0x41;
    tell_of_a_change();
    vmi__xen_common_store_look();
    vmi__xen_requests_came(0);
    EXPECT(done.balloon == 1 && !done.raised && !done.ended && !vmi__xen_common_store_told);
    vmi__xen_requests_came(0);
    EXPECT(done.balloon == 1);
}

/* Once, behind what somebody waits for; a change of another node is none of CPUs. */
static void cpus_that_come_and_go_are_told(void)
{
    begin();
    vmi__xen_requests.vector = 0x40;
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_NONE);
    tell_of_a_cpu();
    tell_of_a_cpu();
    ask_for("poweroff");
    vmi__xen_common_store_look();
    vmi__xen_requests_came(0);
    EXPECT(done.raised == 1);
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_POWER_OFF);
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_CPUS);
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_NONE);
    tell_of_a_change();
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_NONE);
}

static void a_kernel_that_takes_no_requests_keeps_its_cpus(void)
{
    begin();
    tell_of_a_cpu();
    vmi__xen_common_store_look();
    vmi__xen_requests_came(0);
    EXPECT(done.ended == VMI_REQUEST_CPUS); /* which vmi__request_default passes over */
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_NONE);
}

static void a_cpu_is_wanted_unless_it_is_offline(void)
{
    begin();
    memcpy(store.availability, "offline", 8);
    EXPECT(!vmi__xen_common_cpu_wanted(120));
    memcpy(store.availability, "online", 7);
    EXPECT(vmi__xen_common_cpu_wanted(120));
    memcpy(store.availability, "offlines", 9);
    EXPECT(vmi__xen_common_cpu_wanted(120));
    EXPECT(vmi__xen_common_cpu_wanted(0)); /* nobody says */
}

static void a_store_that_lies_is_not_used_again(void)
{
    begin();
    ask_for("poweroff");
    store.lies = true;
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_NONE);
    store.lies = false;
    EXPECT(vmi__xen_common_take_request() == VMI_REQUEST_NONE && store.shutdown[0]);
    vmi__xen_common_store_look();
}

static const struct played_check checks[] = {
    CHECK(at_the_start_nodes_are_watched),
    CHECK(what_was_asked_before_the_start_is_looked_at),
    CHECK(a_request_is_taken_once),
    CHECK(what_is_written_meanwhile_is_not_lost),
    CHECK(what_is_not_carried_out_is_left_and_said_once),
    CHECK(a_key_is_one_character),
    CHECK(a_change_told_before_an_answer_is_kept),
    CHECK(a_change_told_while_nobody_waits_is_seen),
    CHECK(a_kernel_that_takes_requests_is_told),
    CHECK(a_balloon_is_told),
    CHECK(cpus_that_come_and_go_are_told),
    CHECK(a_kernel_that_takes_no_requests_keeps_its_cpus),
    CHECK(a_cpu_is_wanted_unless_it_is_offline),
    CHECK(a_store_that_lies_is_not_used_again),
};

PLAY(checks)
