/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The console: a ring that is shared with whoever serves it (backends/xen_common/console_ring.h).
 * Before the ring is known, the hypervisor's own console.
 */
#include "services.h"
#include "xen_common/console_ring.h"

#define DRAIN_WAITS_MAX 100 /* of 10 ms each */
#define YIELDS_MAX      100000

static struct xencons_interface *ring;
static evtchn_port_t console_port;
static struct vmi__xen_lock lock;

void vmi__xen_console_start(void *page, evtchn_port_t port)
{
    ring = page;
    console_port = port;
}

evtchn_port_t vmi__xen_console_port(void)
{
    return console_port;
}

/*
 * Has this CPU the library's GDT? Until then nothing here may find the CPU's number, so no lock can
 * be taken and no time read; the domain runs on one CPU, with events masked.
 */
static int cpu_ready(void)
{
    return vmi__xen_cpus[0] && vmi__xen_cpus[0]->started;
}

/* Writes as much as there is room for, tells the other side, and returns how much it was. */
static uint32_t put(const char *text, uint32_t length, uint32_t free)
{
    uint32_t sent = vmi__console_ring_put(ring, text, length, free);

    vmi__xen_port_notify(console_port);
    return sent;
}

/* Yields until there is that much room for output, a bounded number of times. */
static uint32_t yield_for_room(uint32_t wanted)
{
    for (uint32_t yields = 0; vmi__console_ring_room(ring) < wanted && yields < YIELDS_MAX;
         yields++)
        vmi__xen_hypercall_sched_op(SCHEDOP_yield, 0);
    return vmi__console_ring_room(ring);
}

/* For a refusal while the library is still taking the domain over. */
static int32_t write_early(const char *text, uint32_t length)
{
    for (uint32_t sent = 0, free; sent < length; sent += put(text + sent, length - sent, free)) {
        free = yield_for_room(1);
        if (!free || vmi__console_ring_is_wrong(free))
            return VMI_EIO;
    }
    return (int32_t)length;
}

VMI__ROUTINE int32_t vmi__xen_console_write(const void *from, uint32_t length)
{
    const char *text = from;
    uint32_t mask, free, sent = 0;

    if (!ring)
        return vmi__xen_hypercall_console_io(CONSOLEIO_write, length, (void *)(uintptr_t)from) < 0
                   ? VMI_EIO
                   : (int32_t)length;
    if (!cpu_ready())
        return write_early(text, length);
    vmi__touch(from, length);
    mask = vmi__xen_take(&lock);
    while (sent < length) {
        free = vmi__console_ring_room(ring);
        if (vmi__console_ring_is_wrong(free)) {
            vmi__xen_give(&lock, mask);
            return VMI_EIO;
        }
        if (!free) {
            vmi__xen_port_clear(console_port);
            if (!vmi__console_ring_room(ring))
                vmi__xen_port_wait(console_port);
            continue;
        }
        sent += put(text + sent, length - sent, free);
    }
    vmi__xen_give(&lock, mask);
    return (int32_t)length;
}

VMI__ROUTINE int32_t vmi__xen_console_read(void *to, uint32_t length)
{
    uint32_t mask;
    int32_t count;

    if (!ring)
        return VMI_EIO;
    vmi__touch(to, length);
    mask = vmi__xen_take(&lock);
    count = vmi__console_ring_take(ring, to, length);
    if (count > 0)
        vmi__xen_port_notify(console_port);
    vmi__xen_give(&lock, mask);
    return count < 0 ? VMI_EIO : count;
}

void vmi__xen_console_drain(void)
{
    if (ring && !cpu_ready()) {
        yield_for_room(sizeof(ring->out));
        return;
    }
    for (uint32_t waits = 0; ring && waits < DRAIN_WAITS_MAX; waits++) {
        if (vmi__console_ring_is_drained(ring))
            return;
        vmi__xen_port_clear(console_port);
        if (!vmi__console_ring_is_drained(ring))
            vmi__xen_port_wait(console_port);
    }
}
