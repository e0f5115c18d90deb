/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The calls of events and interrupts as a Linux process: this file plays Xen, by the two-level ABI.
 * What they refuse, what they ask Xen for, and which vectors are requested of which CPU.
 */
#include "xen/traps.h"

#include "backends/played.h"

#include "cpus.c"   /* runtime/ */
#include "string.c" /* runtime/ */

/* What a process may not do: it has no descriptor that holds the number of the CPU. */
#define vmi__xen_this() 0u
#define vmi__xen_self() vmi__xen_cpus[0]

#include "xen/ports.c"

#include "xen/events.c"
#include "xen/tests/xen_quiet.h"

#define CONSOLE_PORT 2
#define VECTOR       0x51

struct vmi_boot_info vmi__boot;
struct vmi_cpu vmi__cpus[VMI__CPUS_FEW];
const struct vmi__xen_sequence vmi__xen_mask_restart[1], vmi__xen_mask_restart_end[1];
const struct vmi__xen_sequence vmi__xen_restart[1], vmi__xen_restart_end[1];

/* ---- Xen ---- */

static struct {
    uint32_t calls, closed, nmis, reports;
    uint32_t sent[VMI__XEN_PORTS];
    evtchn_port_t next;
    intptr_t refuses; /* EVTCHNOP_bind_vcpu */
    uint32_t at;      /* the CPU that it was last told */
} xen;

HYPERCALL intptr_t vmi__xen_hypercall_event_channel_op(uint32_t command, void *argument)
{
    xen.calls++;
    switch (command) {
    case EVTCHNOP_init_control:
        return -XEN_ENOSYS;
    case EVTCHNOP_bind_virq:
        ((struct evtchn_bind_virq *)argument)->port = xen.next++;
        return 0;
    case EVTCHNOP_bind_ipi:
        ((struct evtchn_bind_ipi *)argument)->port = xen.next++;
        return 0;
    case EVTCHNOP_bind_interdomain:
        ((struct evtchn_bind_interdomain *)argument)->local_port = xen.next++;
        return 0;
    case EVTCHNOP_bind_vcpu:
        xen.at = ((struct evtchn_bind_vcpu *)argument)->vcpu;
        return xen.refuses;
    case EVTCHNOP_send:
        xen.sent[((struct evtchn_send *)argument)->port]++;
        return 0;
    case EVTCHNOP_close:
        xen.closed = ((struct evtchn_close *)argument)->port;
        return 0;
    default:
        EXPECT(command == EVTCHNOP_unmask);
        __atomic_fetch_and(&vmi__xen_shared.evtchn_mask[0],
                           ~((xen_ulong_t)1 << ((struct evtchn_unmask *)argument)->port),
                           __ATOMIC_SEQ_CST);
        return 0;
    }
}

HYPERCALL intptr_t vmi__xen_hypercall_vcpu_op(uint32_t command, uint32_t vcpu, void *argument)
{
    (void)argument;
    EXPECT(command == VCPUOP_send_nmi && vcpu < CPUS);
    xen.nmis |= 1u << vcpu;
    return 0;
}

/* ---- the rest of the library ---- */

VMI__ROUTINE void vmi__xen_enable_interrupts(void)
{
    EXPECT(false); /* they were masked */
}

uint32_t vmi__xen_take(struct vmi__xen_lock *taken)
{
    EXPECT(taken == &vmi__xen_events_lock && !taken->held++);
    return 1;
}

void vmi__xen_give(struct vmi__xen_lock *taken, uint32_t mask)
{
    EXPECT(taken == &vmi__xen_events_lock && !--taken->held && mask == 1);
}

VMI__ROUTINE void vmi__xen_carry_out_here(void)
{
}

void vmi__xen_alarms(struct vmi__xen_cpu *cpu)
{
    (void)cpu;
}

void vmi__xen_gates_again(struct vmi__xen_cpu *cpu)
{
    (void)cpu;
}

evtchn_port_t vmi__xen_console_port(void)
{
    return CONSOLE_PORT;
}

void vmi__xen_report(uint32_t ordinal, uintptr_t entry, uint64_t value, intptr_t error)
{
    (void)ordinal, (void)entry, (void)value, (void)error;
    xen.reports++;
}

uint32_t vmi__memory_claim(uint32_t size, uint32_t limit)
{
    (void)size, (void)limit;
    return 0;
}

uint32_t vmi__xen_common_store_told;
bool vmi__xen_requests_known = true;

void vmi__xen_common_store_look(void)
{
    vmi__xen_common_store_told = 1;
}

void vmi__xen_requests_came(struct vmi__xen_cpu *cpu)
{
    vmi__xen_common_store_told = 0;
    vmi__xen_raise_line(&vmi__xen_requests, cpu);
}

/* ---- checks ---- */

/* CPUs 0 and 1 run, and have their ports. */
static void begin(void)
{
    memset(&xen, 0, sizeof(xen));
    xen.next = CONSOLE_PORT + 1;
    memset(records, 0, sizeof(records));
    memset(ports, 0, sizeof(ports));
    memset(&vmi__xen_irq0, 0, sizeof(vmi__xen_irq0));
    memset(&vmi__xen_requests, 0, sizeof(vmi__xen_requests));
    memset(&vmi__xen_balloon, 0, sizeof(vmi__xen_balloon));
    memset(&vmi__xen_shared, 0, sizeof(vmi__xen_shared));
    memset(vmi__xen_shared.evtchn_mask, 0xff, sizeof(vmi__xen_shared.evtchn_mask));
    vmi__boot.cpu_count = CPUS;
    for (uint32_t cpu = 0; cpu < CPUS; cpu++)
        EXPECT(vmi__xen_ports_prepare(&records[cpu], cpu) >= 0);
    records[0].started = records[1].started = 1;
    xen.calls = 0;
}

static bool is_masked(evtchn_port_t port)
{
    return vmi__xen_shared.evtchn_mask[0] >> port & 1;
}

/* The vector that is requested of a CPU by another, if there is one, or -1 if there are more. */
static int32_t requested(uint32_t cpu)
{
    int32_t found = 0;

    for (uint32_t vector = 0; vector < 256; vector++)
        if (records[cpu].ipi[vector / 32] >> vector % 32 & 1)
            found = found ? -1 : (int32_t)vector;
    return found;
}

static void interrupts_go_to_each_cpu_that_is_named(void)
{
    const uint32_t two = 2, beyond = 1u << CPUS;

    begin();
    EXPECT(vmi__xen_send_ipi(&two, 2, VECTOR) == VMI_OK);
    EXPECT(requested(1) == VECTOR && !requested(0) && xen.sent[records[1].ipi_port] == 1);
    begin();
    EXPECT(vmi__xen_send_ipi(NULL, VMI_CPUS_ALL, VECTOR) == VMI_OK);
    EXPECT(requested(0) == VECTOR && requested(1) == VECTOR);
    /* One that waits for its start hears of nothing. */
    EXPECT(!requested(2) && !xen.sent[records[2].ipi_port]);
    begin();
    EXPECT(vmi__xen_send_ipi(NULL, VMI_CPUS_ALL_BUT_SELF, VECTOR) == VMI_OK);
    EXPECT(!requested(0) && requested(1) == VECTOR);
    begin();
    EXPECT(vmi__xen_send_ipi(&two, 2, 31) == VMI_EINVAL);
    EXPECT(vmi__xen_send_ipi(&two, 2, 256) == VMI_EINVAL);
    EXPECT(vmi__xen_send_ipi(&beyond, CPUS + 1, VECTOR) == VMI_EINVAL);
    EXPECT(vmi__xen_send_nmi(&beyond, CPUS + 1) == VMI_EINVAL);
    EXPECT(!requested(1) && !xen.calls && !xen.nmis);
    EXPECT(vmi__xen_send_nmi(&two, 2) == VMI_OK && xen.nmis == 2);
    EXPECT(vmi__xen_send_nmi(NULL, VMI_CPUS_ALL) == VMI_OK && xen.nmis == 3);
}

static void a_kick_requests_nothing(void)
{
    begin();
    EXPECT(vmi__xen_kick(1) == VMI_OK && xen.sent[records[1].ipi_port] == 1 && !requested(1));
    EXPECT(vmi__xen_kick(2) == VMI_OK && !xen.sent[records[2].ipi_port]);
    EXPECT(vmi__xen_kick(CPUS) == VMI_EINVAL && xen.calls == 1);
}

static void what_is_no_event_is_refused(void)
{
    static const uint32_t none[] = {0, 1, CONSOLE_PORT, EVENT_IRQ0, EVENT_IRQ0 + 1, ~0u};

    begin();
    for (uint32_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        EXPECT(vmi__xen_event_mask(none[i]) == VMI_EINVAL);
        EXPECT(vmi__xen_event_unmask(none[i]) == VMI_EINVAL);
        EXPECT(vmi__xen_event_unbind(none[i]) == VMI_EINVAL);
        EXPECT(vmi__xen_event_move(none[i], 1) == VMI_EINVAL);
        EXPECT(vmi__xen_event_notify(none[i]) == VMI_EINVAL);
    }
    /* The library's own is none of the kernel's. */
    EXPECT(vmi__xen_event_mask(records[0].ipi_port) == VMI_EINVAL && !xen.calls);
    EXPECT(vmi__xen_event_bind(VMI_EVENT_CONSOLE, 0, 31) == VMI_EINVAL);
    EXPECT(vmi__xen_event_bind(VMI_EVENT_CONSOLE, 0, 256) == VMI_EINVAL);
    EXPECT(vmi__xen_event_bind(VMI_EVENT_CONSOLE, 1, VECTOR) == VMI_EINVAL);
    EXPECT(vmi__xen_event_bind(VMI_EVENT_IRQ, 1, VECTOR) == VMI_EINVAL);
    EXPECT(vmi__xen_event_bind(VMI_EVENT_GSI, 0, VECTOR) == VMI_ENOSYS);
    EXPECT(!xen.calls);
}

static void a_port_is_bound_once(void)
{
    begin();
    EXPECT(vmi__xen_event_bind(VMI_EVENT_CONSOLE, 0, VECTOR) == EVENT_CONSOLE);
    EXPECT(xen.at == 0 && is_masked(CONSOLE_PORT));
    EXPECT(vmi__xen_event_bind(VMI_EVENT_CONSOLE, 0, VECTOR + 1) == VMI_EBUSY);
    EXPECT(vmi__xen_port_of(CONSOLE_PORT).vector == VECTOR);
    EXPECT(vmi__xen_event_unmask(EVENT_CONSOLE) == VMI_OK && !is_masked(CONSOLE_PORT));
    EXPECT(vmi__xen_event_mask(EVENT_CONSOLE) == VMI_OK && is_masked(CONSOLE_PORT));
    EXPECT(vmi__xen_event_notify(EVENT_CONSOLE) == VMI_OK && xen.sent[CONSOLE_PORT] == 1);
    /* Where it is let in it stays so, and where not, not. */
    EXPECT(vmi__xen_event_move(EVENT_CONSOLE, 1) == VMI_OK && xen.at == 1);
    EXPECT(is_masked(CONSOLE_PORT) && vmi__xen_port_of(CONSOLE_PORT).cpu == 1);
    EXPECT(vmi__xen_event_unmask(EVENT_CONSOLE) == VMI_OK);
    EXPECT(vmi__xen_event_move(EVENT_CONSOLE, 0) == VMI_OK && !is_masked(CONSOLE_PORT));
    EXPECT(vmi__xen_event_move(EVENT_CONSOLE, 2) == VMI_EINVAL);
    EXPECT(vmi__xen_event_move(EVENT_CONSOLE, CPUS) == VMI_EINVAL && xen.at == 0);
    xen.refuses = VMI_EINVAL;
    EXPECT(vmi__xen_event_move(EVENT_CONSOLE, 1) == VMI_EIO && !is_masked(CONSOLE_PORT));
    EXPECT(vmi__xen_port_of(CONSOLE_PORT).cpu == 0);
    /* The toolstack's own port stays open. */
    EXPECT(vmi__xen_event_unbind(EVENT_CONSOLE) == VMI_OK && is_masked(CONSOLE_PORT));
    EXPECT(!xen.closed && vmi__xen_port_of(CONSOLE_PORT).kind == VMI__XEN_PORT_NONE);
    EXPECT(vmi__xen_event_bind(VMI_EVENT_CONSOLE, 0, VECTOR) == VMI_EIO);
}

/* ---- a device's, around a suspend ---- */

#define DEVICE_NUMBER  (1u << 16 | 2)
#define BALLOON_NUMBER (2u << 16)

static evtchn_port_t device_port;
static struct vmi__xen_left_port left_port;

static evtchn_port_t port_of_device(uint32_t number)
{
    return number == DEVICE_NUMBER ? device_port : 0;
}

static bool is_devices(evtchn_port_t port)
{
    return port == device_port;
}

static void device_is_left(void)
{
    vmi__xen_port_leave(device_port, &left_port);
}

static void device_comes_again(bool restored)
{
    if (restored)
        device_port = 61;
    vmi__xen_port_return(device_port, &left_port, restored);
}

static bool is_balloons(uint32_t number)
{
    return number == BALLOON_NUMBER;
}

static const struct vmi__xen_device_events device_events = {
    .port = port_of_device,
    .channel = port_of_device,
    .owns = is_devices,
    .leave = device_is_left,
    .come_again = device_comes_again,
    .is_balloon = is_balloons,
};

/* The event of a device keeps its number, its vector, its CPU and whether it is let in when the
 * device has another channel; the kernel is told of it once. */
static void a_devices_event_stays_what_it_is(void)
{
    for (uint32_t masked = 0; masked < 2; masked++) {
        int32_t event;

        begin();
        vmi__xen_device_events = &device_events;
        device_port = 40;
        EXPECT(vmi__xen_event_bind(VMI_EVENT_DEVICE, DEVICE_NUMBER + 1, VECTOR) == VMI_EINVAL);
        event = vmi__xen_event_bind(VMI_EVENT_DEVICE, DEVICE_NUMBER, VECTOR);
        EXPECT(event > (int32_t)VMI__XEN_PORTS && is_masked(40));
        EXPECT(vmi__xen_event_bind(VMI_EVENT_DEVICE, DEVICE_NUMBER, VECTOR) == VMI_EBUSY);
        EXPECT(vmi__xen_event_move((uint32_t)event, 1) == VMI_OK);
        if (!masked)
            EXPECT(vmi__xen_event_unmask((uint32_t)event) == VMI_OK && !is_masked(40));
        /* In the same domain it is as it was. */
        vmi__xen_events_leave();
        EXPECT(is_masked(40));
        vmi__xen_events_return(false);
        EXPECT(is_masked(40) == (bool)masked && vmi__xen_port_of(40).vector == VECTOR);
        vmi__xen_events_leave();
        vmi__xen_ports_forget_others();
        xen.at = 0;
        vmi__xen_events_return(true);
        EXPECT(xen.at == 1 && is_masked(61) == (bool)masked && vmi__xen_port_of(61).cpu == 1);
        EXPECT(vmi__xen_port_of(61).kind == VMI__XEN_PORT_BOUND && !vmi__xen_port_of(40).kind);
        EXPECT(vmi__xen_port_of(61).vector == VECTOR);
        EXPECT(vmi__xen_shared.evtchn_pending[0] & 1ul << 61);
        EXPECT(vmi__xen_event_mask((uint32_t)event) == VMI_OK && is_masked(61));
        EXPECT(vmi__xen_event_unbind((uint32_t)event) == VMI_OK && !xen.closed);
        EXPECT(vmi__xen_event_unmask((uint32_t)event) == VMI_EINVAL);
        EXPECT(vmi__xen_event_mask((uint32_t)event + 1) == VMI_EINVAL);
        EXPECT(vmi__xen_event_mask(~0u) == VMI_EINVAL);
    }
    vmi__xen_device_events = 0;
}

/* The balloon has no channel: its event is raised by what xenstore tells. */
static void the_balloons_event_has_no_port(void)
{
    int32_t event;

    begin();
    EXPECT(vmi__xen_event_bind(VMI_EVENT_DEVICE, BALLOON_NUMBER, VECTOR) == VMI_EINVAL);
    vmi__xen_device_events = &device_events;
    EXPECT(vmi__xen_event_bind(VMI_EVENT_DEVICE, BALLOON_NUMBER + 1, VECTOR) == VMI_EINVAL);
    event = vmi__xen_event_bind(VMI_EVENT_DEVICE, BALLOON_NUMBER, VECTOR);
    EXPECT(event == (int32_t)VMI__XEN_EVENT_BALLOON);
    EXPECT(vmi__xen_event_bind(VMI_EVENT_DEVICE, BALLOON_NUMBER, VECTOR) == VMI_EBUSY);
    vmi__xen_raise_line(&vmi__xen_balloon, &records[0]);
    EXPECT(!requested(0));
    EXPECT(vmi__xen_event_unmask((uint32_t)event) == VMI_OK && requested(0) == VECTOR);
    EXPECT(vmi__xen_event_move((uint32_t)event, 1) == VMI_OK);
    vmi__xen_raise_line(&vmi__xen_balloon, &records[0]);
    EXPECT(requested(1) == VECTOR);
    EXPECT(vmi__xen_event_notify((uint32_t)event) == VMI_EINVAL);
    EXPECT(vmi__xen_event_unbind((uint32_t)event) == VMI_OK);
    EXPECT(vmi__xen_event_unmask((uint32_t)event) == VMI_EINVAL);
    vmi__xen_device_events = 0;
}

static void a_peers_port_is_closed_with_its_event(void)
{
    int32_t event;

    begin();
    event = vmi__xen_event_bind(VMI_EVENT_PEER, 5, VECTOR);
    EXPECT(event == (int32_t)xen.next - 1);
    EXPECT(vmi__xen_event_unbind((uint32_t)event) == VMI_OK);
    EXPECT(xen.closed == (uint32_t)event && is_masked((uint32_t)event));
    xen.closed = 0;
    xen.refuses = VMI_EINVAL;
    EXPECT(vmi__xen_event_bind(VMI_EVENT_PEER, 5, VECTOR) == VMI_EIO);
    EXPECT(xen.closed == xen.next - 1);
}

/* What tells of requests is no port either, and independent of line 0. */
static void requests_wait_until_they_are_let_in(void)
{
    begin();
    EXPECT(vmi__xen_event_bind(VMI_EVENT_REQUEST, 1, VECTOR) == VMI_EINVAL);
    EXPECT(vmi__xen_event_bind(VMI_EVENT_REQUEST, 0, VECTOR) == EVENT_REQUEST);
    EXPECT(vmi__xen_event_bind(VMI_EVENT_REQUEST, 0, VECTOR) == VMI_EBUSY);
    EXPECT(vmi__xen_event_unmask(EVENT_IRQ0) == VMI_EINVAL);
    vmi__xen_requests_came(&records[0]);
    EXPECT(!requested(0) && vmi__xen_highest(records[0].irr) < 0);
    EXPECT(vmi__xen_event_unmask(EVENT_REQUEST) == VMI_OK && requested(0) == VECTOR);
    EXPECT(vmi__xen_event_move(EVENT_REQUEST, 1) == VMI_OK);
    vmi__xen_requests_came(&records[0]);
    EXPECT(requested(1) == VECTOR);
    EXPECT(vmi__xen_event_notify(EVENT_REQUEST) == VMI_EINVAL);
    EXPECT(vmi__xen_event_unbind(EVENT_REQUEST) == VMI_OK);
    EXPECT(vmi__xen_event_unmask(EVENT_REQUEST) == VMI_EINVAL);
}

static void line_0_waits_until_it_is_let_in(void)
{
    begin();
    EXPECT(vmi__xen_event_bind(VMI_EVENT_IRQ, 0, VECTOR) == EVENT_IRQ0);
    EXPECT(vmi__xen_event_bind(VMI_EVENT_IRQ, 0, VECTOR) == VMI_EBUSY);
    vmi__xen_raise_irq0(&records[0]);
    vmi__xen_raise_irq0(&records[0]);
    EXPECT(!requested(0) && vmi__xen_highest(records[0].irr) < 0);
    EXPECT(vmi__xen_event_unmask(EVENT_IRQ0) == VMI_OK && requested(0) == VECTOR);
    vmi__xen_raise_irq0(&records[0]);
    EXPECT(vmi__xen_highest(records[0].irr) == VECTOR);
    EXPECT(vmi__xen_event_move(EVENT_IRQ0, 1) == VMI_OK);
    vmi__xen_raise_irq0(&records[0]);
    EXPECT(requested(1) == VECTOR);
    EXPECT(vmi__xen_event_mask(EVENT_IRQ0) == VMI_OK);
    memset(records[1].ipi, 0, sizeof(records[1].ipi));
    vmi__xen_raise_irq0(&records[0]);
    EXPECT(!requested(1));
    EXPECT(vmi__xen_event_unbind(EVENT_IRQ0) == VMI_OK);
    EXPECT(vmi__xen_event_unbind(EVENT_IRQ0) == VMI_EINVAL && !requested(1));
}

static const struct played_check checks[] = {
    CHECK(interrupts_go_to_each_cpu_that_is_named),
    CHECK(a_kick_requests_nothing),
    CHECK(what_is_no_event_is_refused),
    CHECK(a_port_is_bound_once),
    CHECK(a_devices_event_stays_what_it_is),
    CHECK(a_peers_port_is_closed_with_its_event),
    CHECK(line_0_waits_until_it_is_let_in),
    CHECK(requests_wait_until_they_are_let_in),
    CHECK(the_balloons_event_has_no_port),
};

PLAY(checks)
