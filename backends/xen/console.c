/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The console ring (xen/io/console.h), shared with whoever serves it: what stands there is checked
 * before it is used. Before the ring is known, and for reports if it fails, the hypervisor's own
 * console.
 */
#include "internal.h"

#include <xen/io/console.h>

#define REPORTS_MAX     32
#define DRAIN_WAITS_MAX 100 /* of 10 ms each */

static struct xencons_interface *ring;
static evtchn_port_t console_port;
static struct vmi__xen_lock lock;
static uint32_t reports;

void vmi__xen_console_start(void *page, evtchn_port_t port)
{
    ring = page;
    console_port = port;
    vmi__xen_port_mask(port);
}

evtchn_port_t vmi__xen_console_port(void)
{
    return console_port;
}

/* Room for output, or more than there can be if the other side's index is wrong. */
static uint32_t room(void)
{
    uint32_t used = ring->out_prod - __atomic_load_n(&ring->out_cons, __ATOMIC_ACQUIRE);

    return (uint32_t)sizeof(ring->out) - used;
}

VMI__ROUTINE int32_t vmi__xen_console_write(const void *from, uint32_t length)
{
    const char *text = from;
    uint32_t mask, free, sent = 0;

    if (!ring)
        return vmi__xen_hypercall_console_io(CONSOLEIO_write, length, from) < 0 ? VMI_EIO
                                                                                : (int32_t)length;
    mask = vmi__xen_take(&lock);
    while (sent < length) {
        free = room();
        if (free > sizeof(ring->out)) {
            vmi__xen_give(&lock, mask);
            return VMI_EIO;
        }
        if (!free) {
            vmi__xen_port_clear(console_port);
            if (!room())
                vmi__xen_port_wait(console_port);
            continue;
        }
        for (; free && sent < length; free--) {
            ring->out[MASK_XENCONS_IDX(ring->out_prod, ring->out)] = text[sent++];
            __atomic_store_n(&ring->out_prod, ring->out_prod + 1, __ATOMIC_RELEASE);
        }
        vmi__xen_port_notify(console_port);
    }
    vmi__xen_give(&lock, mask);
    return (int32_t)length;
}

VMI__ROUTINE int32_t vmi__xen_console_read(void *to, uint32_t length)
{
    char *text = to;
    uint32_t mask, there, count = 0;

    if (!ring)
        return VMI_EIO;
    mask = vmi__xen_take(&lock);
    there = __atomic_load_n(&ring->in_prod, __ATOMIC_ACQUIRE) - ring->in_cons;
    if (there > sizeof(ring->in)) {
        vmi__xen_give(&lock, mask);
        return VMI_EIO;
    }
    for (; count < length && count < there; count++)
        text[count] = ring->in[MASK_XENCONS_IDX(ring->in_cons + count, ring->in)];
    if (count) {
        __atomic_store_n(&ring->in_cons, ring->in_cons + count, __ATOMIC_RELEASE);
        vmi__xen_port_notify(console_port);
    }
    vmi__xen_give(&lock, mask);
    return (int32_t)count;
}

void vmi__xen_console_drain(void)
{
    for (uint32_t waits = 0; ring && waits < DRAIN_WAITS_MAX; waits++) {
        if (room() == sizeof(ring->out) || room() > sizeof(ring->out))
            return;
        vmi__xen_port_clear(console_port);
        if (room() != sizeof(ring->out))
            vmi__xen_port_wait(console_port);
    }
}

/* ---- reports
 * -------------------------------------------------------------------------------------------------
 * ----
 */

static void append(char **to, const char *text)
{
    while (*text)
        *(*to)++ = *text++;
}

static void append_hex(char **to, uint64_t value)
{
    uint32_t shift = 60;

    append(to, "0x");
    while (shift && !(value >> shift & 0xf))
        shift -= 4;
    for (;; shift -= 4) {
        *(*to)++ = "0123456789abcdef"[value >> shift & 0xf];
        if (!shift)
            return;
    }
}

static void append_decimal(char **to, uint32_t value)
{
    if (value >= 10)
        append_decimal(to, value / 10);
    *(*to)++ = (char)('0' + value % 10);
}

static const char *name_of(uint32_t call)
{
    for (uint32_t i = 0; i < vmi_calls_count; i++)
        if (vmi_calls[i].ordinal == call)
            return vmi_calls[i].name;
    return "?";
}

static void print_report(const char *verb, uint32_t call, uint32_t entry, uint64_t value,
                         int32_t error)
{
    char line[128], *end = line;

    append(&end, "vmi: ");
    append(&end, name_of(call));
    append(&end, verb);
    append_hex(&end, entry);
    append(&end, ", value ");
    append_hex(&end, value);
    append(&end, ": error -");
    append_decimal(&end, error < 0 ? 0u - (uint32_t)error : 0);
    append(&end, "\r\n");
    vmi__xen_console_write(line, (uint32_t)(end - line));
}

void vmi__xen_report(uint32_t call, uint32_t entry, uint64_t value, int32_t error)
{
    if (__atomic_fetch_add(&reports, 1, __ATOMIC_RELAXED) < REPORTS_MAX)
        print_report(" refused: entry ", call, entry, value, error);
}

void vmi__xen_crash(uint32_t call, uint32_t entry, uint64_t value, int32_t error)
{
    print_report(" failed, cannot go on: entry ", call, entry, value, error);
    vmi__xen_shutdown_reason(VMI_SHUTDOWN_CRASH, VMI_STATUS_PANIC);
}
