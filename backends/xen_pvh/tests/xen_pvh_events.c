/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The console's event of a PVH domain as a Linux process: this file plays Xen, the other side of
 * the ring, the local APIC and a kernel that halts until the event comes. Xen and the other side do
 * each of their steps at every point of the library's and the kernel's at which they could: before
 * each access to shared memory and each hypercall. A kernel that halts while input is left, and
 * nothing is to come, has lost an event.
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

#include "backends/played.h"

#define VECTOR      0x51
#define PORT        2
#define CONSOLE_PFN 5

static struct vmi_cpu cpus[1];
struct vmi_boot_info vmi__boot = {.cpu_count = 1, .cpus = cpus};
struct shared_info vmi__xen_pvh_shared;
uint64_t vmi__native_tsc_hz;
bool vmi__native_ended_vectors[256];

/* ---- Xen and the other side of the ring ---- */

/* What they do one after the other. The last four are one event (event_channel.h, two-level ABI):
 * one that finds its bit set is done with it. */
enum action { TYPE, PENDING, SELECTOR, UPCALL, RAISE, SEND };

#define ACTIONS_MAX 8

static struct {
    struct xencons_interface ring;
    uint8_t vector; /* that is raised for an upcall; 0: none */
    bool requested, in_service, interrupts;
    enum action actions[ACTIONS_MAX];
    uint32_t at[ACTIONS_MAX]; /* the step before which each is done; none is before the last one */
    uint32_t count, done, now;
    bool over; /* the event that is under way needs no more */
} xen;

static struct {
    bool told;
    uint32_t received;
} kernel;

/* Whether the kernel reads in its handler, before it ends the interrupt; else after that. */
static bool reads_at_once;

static uint32_t runs;

static void raise(void)
{
    if (xen.vector)
        xen.requested = true;
}

static bool set(xen_ulong_t *word, xen_ulong_t bit)
{
    return __atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST) & bit;
}

static void act(enum action action)
{
    struct vcpu_info *info = &vmi__xen_pvh_shared.vcpu_info[0];

    switch (action) {
    case TYPE:
        xen.ring.in[MASK_XENCONS_IDX(xen.ring.in_prod, xen.ring.in)] = 'a';
        xen.ring.in_prod++;
        break;
    case PENDING:
        xen.over = set(&vmi__xen_pvh_shared.evtchn_pending[0], 1u << PORT);
        break;
    case SELECTOR:
        xen.over = xen.over || vmi__xen_pvh_shared.evtchn_mask[0] & 1u << PORT ||
                   set(&info->evtchn_pending_sel, 1);
        break;
    case UPCALL:
        if (!xen.over) {
            xen.over = info->evtchn_upcall_pending;
            info->evtchn_upcall_pending = 1;
        }
        break;
    case RAISE:
        if (!xen.over)
            raise();
        break;
    case SEND:
        for (action = PENDING; action <= RAISE; action++)
            act(action);
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

static void unmask(void)
{
    struct vcpu_info *info = &vmi__xen_pvh_shared.vcpu_info[0];
    xen_ulong_t masked = vmi__xen_pvh_shared.evtchn_mask[0];

    vmi__xen_pvh_shared.evtchn_mask[0] = masked & ~(xen_ulong_t)(1u << PORT);
    if (masked & vmi__xen_pvh_shared.evtchn_pending[0] & 1u << PORT &&
        !set(&info->evtchn_pending_sel, 1) && !info->evtchn_upcall_pending) {
        info->evtchn_upcall_pending = 1;
        raise();
    }
}

HYPERCALL intptr_t vmi__xen_pvh_hypercall_event_channel_op(uint32_t command, void *argument)
{
    (void)argument;
    step();
    if (command == EVTCHNOP_unmask)
        unmask();
    else
        EXPECT(command == EVTCHNOP_send || command == EVTCHNOP_bind_vcpu);
    step();
    return 0;
}

HYPERCALL intptr_t vmi__xen_pvh_hypercall_hvm_op(uint32_t command, void *argument)
{
    struct xen_hvm_param *param = argument;

    step();
    if (command == HVMOP_set_evtchn_upcall_vector) {
        xen.vector = ((struct xen_hvm_evtchn_upcall_vector *)argument)->vector;
        raise(); /* Xen 4.17 does, whether something is pending or not */
    } else {
        EXPECT(command == HVMOP_get_param);
        param->value = param->index == HVM_PARAM_CONSOLE_PFN ? CONSOLE_PFN : PORT;
    }
    step();
    return 0;
}

/* ---- the processor ---- */

/* Reads a byte if there is one. */
static bool receive(void)
{
    char byte;
    int32_t count = vmi__xen_pvh_console_read(&byte, 1);

    EXPECT(count >= 0);
    kernel.received += (uint32_t)count;
    step();
    return count;
}

static void take_interrupt(void)
{
    if (!xen.interrupts || !xen.requested || xen.in_service)
        return;
    xen.requested = false;
    xen.in_service = true;
    xen.interrupts = false;
    kernel.told = true;
    step();
    while (reads_at_once && receive())
        ;
    vmi__xen_pvh_end_of_interrupt(VECTOR);
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
    EXPECT(apic_id == 0 && command == (VMI__ICR_FIXED | VECTOR));
    step();
    xen.requested = true;
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

bool vmi__xen_pvh_paged(void)
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

volatile void *vmi__window_map(uint32_t slot, uint64_t physical)
{
    EXPECT(slot == VMI__XEN_PVH_CONSOLE_SLOT && physical == CONSOLE_PFN << 12);
    return &xen.ring;
}

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
    return cpu == 0;
}

static uint32_t ended;

void vmi__native_vector_ended(uint32_t vector)
{
    ended = vector;
}

void *memset(void *to, int byte, size_t size)
{
    for (volatile uint8_t *at = to; size; size--)
        *at++ = (uint8_t)byte;
    return to;
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
    ring = 0;
    looked_for = false;
    noted = 0;
    console_vector = 0;
    xen.ring.in_prod = xen.ring.in_cons = 0;
    xen.vector = 0;
    xen.requested = xen.in_service = xen.over = false;
    xen.interrupts = true;
    xen.done = xen.now = 0;
}

/* One run; how many steps it had. It reads what was typed to the end, or has lost an event. */
static uint32_t run(void)
{
    uint32_t typed = 0;

    begin();
    runs++;
    for (uint32_t i = 0; i < xen.count; i++)
        typed += xen.actions[i] == TYPE;

    EXPECT(vmi__xen_pvh_event_bind(VMI_EVENT_CONSOLE, 0, VECTOR) == PORT);
    EXPECT(vmi__xen_pvh_event_unmask(PORT) == VMI_OK);
    while (kernel.received < typed)
        if ((reads_at_once || !receive()) && !wait())
            break;
    EXPECT(kernel.received == typed);
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

    reads_at_once = at_once;
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

static void what_is_no_event_is_refused(void)
{
    xen.count = 0;
    begin();
    xen.interrupts = false;
    EXPECT(vmi__xen_pvh_event_unmask(PORT) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_notify(PORT) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_bind(VMI_EVENT_CONSOLE, 1, VECTOR) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_bind(VMI_EVENT_MSI + 1, 0, VECTOR) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_bind(VMI_EVENT_CONSOLE, 0, 31) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_bind(VMI_EVENT_CONSOLE, 0, 256) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_bind(VMI_EVENT_CONSOLE, 0, VMI__APIC_SPURIOUS) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_bind(VMI_EVENT_CONSOLE, 0, VECTOR) == PORT);
    EXPECT(vmi__xen_pvh_event_bind(VMI_EVENT_CONSOLE, 0, VECTOR) == VMI_EBUSY);
    EXPECT(vmi__xen_pvh_event_unmask(PORT + 1) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_mask(PORT + 1) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_notify(PORT + 1) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_move(PORT + 1, 0) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_move(PORT, 1) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_unbind(PORT + 1) == VMI_EINVAL);
    EXPECT(vmi__xen_pvh_event_notify(PORT) == VMI_OK);
    EXPECT(vmi__xen_pvh_event_unbind(PORT) == VMI_OK);
    EXPECT(vmi__xen_pvh_event_unbind(PORT) == VMI_EINVAL);
}

/* The alarm's own, which sets the next one, and a line's, which lets it in again. */
static void an_end_of_interrupt_is_told_to_what_waits_for_it(void)
{
    xen.count = 0;
    begin();
    xen.interrupts = false;
    ended = 0;
    vmi__xen_pvh_end_of_interrupt(VECTOR + 1);
    EXPECT(ended == 0);
    vmi__native_ended_vectors[VECTOR + 1] = true;
    vmi__xen_pvh_end_of_interrupt(VECTOR + 1);
    EXPECT(ended == VECTOR + 1);
    vmi__native_ended_vectors[VECTOR + 1] = false;
}

static const struct played_check checks[] = {
    CHECK(an_end_of_interrupt_is_told_to_what_waits_for_it),
    CHECK(what_is_no_event_is_refused),
    CHECK(an_event_comes_wherever_it_is_sent),
    CHECK(an_event_without_input_hides_none),
    CHECK(an_event_comes_in_parts),
};

PLAY(checks)
