/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The second layer: event ports and the vectors that they request, grants, xenstore.
 */
#ifndef VMI_XEN_CHANNELS_H
#define VMI_XEN_CHANNELS_H

#include "domain.h"
#include "xen_common/store.h"

/* ---- how Xen tells of ports (two_level.c, fifo.c) ---- */

/* Ports that the library can have: four pages of the FIFO ABI's words. */
#define VMI__XEN_PORTS 4096u

enum vmi__xen_port_kind {
    VMI__XEN_PORT_NONE,
    VMI__XEN_PORT_TIMER,
    VMI__XEN_PORT_IPI,
    VMI__XEN_PORT_STORE, /* xenstore's: polled while the library waits for an answer */
    VMI__XEN_PORT_BOUND
};

/* A word, so that a CPU that looks while another writes sees one or the other. */
struct vmi__xen_port {
    uint8_t kind;
    uint8_t vector; /* of PORT_BOUND */
    uint8_t cpu;
    uint8_t unused;
} __attribute__((aligned(4)));

/* What a CPU's port that was pending is for. */
typedef void vmi__xen_came(struct vmi__xen_cpu *cpu, struct vmi__xen_port port);

/* Told of each port that is pending and let in, with what is to be told of it. */
typedef void vmi__xen_pending(struct vmi__xen_cpu *cpu, uint32_t number, evtchn_port_t port,
                              vmi__xen_came *came);

/* One of Xen's two ABIs for event ports (event_channel.h). Ports are below `ports`. */
struct vmi__xen_port_abi {
    const char *name;
    uint32_t ports;
    /* Whether a port that has moved may be told to the CPU that it was on, and to no other. */
    bool stays;

    /* Has Xen use this ABI, on one CPU that has no ports yet. Returns 0 or Xen's error. */
    intptr_t (*begin)(struct vmi__xen_cpu *cpu, uint32_t number);
    /* Xen does not use it any more: the domain was saved. */
    void (*forget)(struct vmi__xen_cpu *cpu);

    /* Has a port make no upcalls; says whether it made none already. */
    bool (*mask)(evtchn_port_t port);
    /* Lets a port in, if that takes no hypercall. */
    bool (*unmask)(evtchn_port_t port);
    /* Takes away what a port has pending. */
    void (*clear)(evtchn_port_t port);
    /* Has a port that makes no upcalls pending, which Xen sees when it is let in by it. */
    void (*pend)(evtchn_port_t port);

    /* Tells of what is pending on this CPU, after an upcall; a port stays pending until `clear`. */
    void (*collect)(struct vmi__xen_cpu *cpu, uint32_t number, vmi__xen_pending *tell,
                    vmi__xen_came *came);
    /* Is there more? */
    bool (*more)(const struct vmi__xen_cpu *cpu, uint32_t number);
};
extern const struct vmi__xen_port_abi vmi__xen_two_level, vmi__xen_fifo;

/* ---- ports (ports.c) ---- */

struct vmi__xen_port vmi__xen_port_of(evtchn_port_t number);
void vmi__xen_port_set(evtchn_port_t number, enum vmi__xen_port_kind kind, uint32_t vector,
                       uint32_t cpu);

/* Has the two-level ABI used where Xen offers the other one, too. Before the first CPU's ports. */
void vmi__xen_ports_keep_two_level(void);

/* Registers of the local interrupt controller as they begin, of a CPU that does not run. */
void vmi__xen_vectors_begin(struct vmi__xen_cpu *cpu);

/*
 * Makes the timer and IPI ports of a CPU, if there are none, and lets them in. The first CPU comes
 * first: with it the ABI is chosen, FIFO where Xen offers it. Returns 0 or Xen's error.
 */
intptr_t vmi__xen_ports_prepare(struct vmi__xen_cpu *cpu, uint32_t number);

/* They are not there any more: Xen has none of a domain that was saved, and the two-level ABI. Of
 * all CPUs, before the first one's are made again. */
void vmi__xen_ports_forget(struct vmi__xen_cpu *cpu);
/* The same of xenstore's and of those that the kernel was given. */
void vmi__xen_ports_forget_others(void);

/* Name of the ABI that is used. */
const char *vmi__xen_ports_abi(void);

/*
 * Tells `came` of this CPU's ports that were pending and now are not. A port that is nobody's stays
 * pending: it is polled by the library, or another CPU is about to give it to the kernel, whose
 * EventUnmask then has Xen deliver it. Events are masked.
 */
void vmi__xen_ports_collect(struct vmi__xen_cpu *cpu, uint32_t number, vmi__xen_came *came);

/* Is there more to collect? */
bool vmi__xen_ports_more(const struct vmi__xen_cpu *cpu, uint32_t number);

/* Can there be such a port? */
bool vmi__xen_port_exists(evtchn_port_t port);

/* Lets a port's events in, now also the one that is pending; closes one. */
intptr_t vmi__xen_port_unmask(evtchn_port_t port);
/* Has a masked port pending, as if it had been signalled; vmi__xen_port_unmask tells of that. */
void vmi__xen_port_pend(evtchn_port_t port);
void vmi__xen_port_close(evtchn_port_t port);

intptr_t vmi__xen_port_notify(evtchn_port_t port);
/* Has a port make no upcalls; says whether it made none already. */
bool vmi__xen_port_mask(evtchn_port_t port);
/*
 * Waits until `port`, which is no event of the kernel's, may have been signalled, for 10 ms at
 * most. The caller has called vmi__xen_port_clear and looked again before.
 */
void vmi__xen_port_wait(evtchn_port_t port);
void vmi__xen_port_clear(evtchn_port_t port);

/* Has another CPU look at what it is asked for; 0 or Xen's error. */
intptr_t vmi__xen_prod(uint32_t number);

/* ---- vectors (ports.c): the requests of a CPU's local interrupt controller ---- */

static inline void vmi__xen_set_bit(uint32_t *words, uint32_t bit)
{
    words[bit / 32] |= 1u << bit % 32;
}

static inline void vmi__xen_clear_bit(uint32_t *words, uint32_t bit)
{
    words[bit / 32] &= ~(1u << bit % 32);
}

/* The highest bit that is set, or -1. */
int32_t vmi__xen_highest(const uint32_t words[8]);

/* The vector to deliver now, or -1. */
int32_t vmi__xen_deliverable(const struct vmi__xen_cpu *cpu);

/* Has Xen call in as soon as events are let in, if there is something to deliver. */
void vmi__xen_announce(const struct vmi__xen_cpu *cpu);

/* Requests a vector on this CPU; events are masked. */
void vmi__xen_raise(struct vmi__xen_cpu *cpu, uint32_t vector);

/* Requests a vector on any CPU; 0 or Xen's error. */
intptr_t vmi__xen_raise_on(uint32_t number, uint32_t vector);

/* Of what the kernel has bound, line 0 among it. Taken last: inside a CPU's alarm_lock. */
extern struct vmi__xen_lock vmi__xen_events_lock;

/*
 * An event of the kernel's that no port is: its vector (0: not bound), whether it is let in, and
 * the CPU that it arrives at. Under the lock: between looking whether it is let in and noting that
 * it is pending another CPU could let it in.
 */
struct vmi__xen_line {
    uint8_t vector, unmasked, pending, cpu;
};
/* Interrupt line 0, what tells of requests from outside (VMI_EVENT_REQUEST), and of a new target of
 * the balloon. */
extern struct vmi__xen_line vmi__xen_irq0, vmi__xen_requests, vmi__xen_balloon;

/* Requests the vector of one, on the CPU that calls, with events masked. */
void vmi__xen_raise_line(struct vmi__xen_line *line, struct vmi__xen_cpu *cpu);

/* Requests the vector of line 0, on CPU 0, with events masked. */
void vmi__xen_raise_irq0(struct vmi__xen_cpu *cpu);

/* ---- grants (share.c) ---- */

void vmi__xen_grants_start(void);

/* ---- xenstore (store.c; the rest is ../xen_common/store.h) ---- */

void vmi__xen_store_start(void *ring, evtchn_port_t port);
/* Lets the store's port in, on CPU 0, which looks at vmi__xen_common_store_told after each upcall.
 * Is there such a port? */
bool vmi__xen_store_let_in(void);

#endif
