/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The FIFO ABI of event ports as a Linux process: this file plays Xen, one that keeps to the ABI
 * (event_channel.h; docs/features, "FIFO event channels") and one that does not.
 */
#include "xen/channels.h"

#include "backends/played.h"

#include "string.c" /* runtime/ */

static uint32_t self; /* the CPU that runs */

/* What a process may not do: it has no descriptor that holds the number of the CPU. */
#define vmi__xen_this() self
#define vmi__xen_self() vmi__xen_cpus[self]

#include "xen/fifo.c"
#include "xen/ports.c"
#include "xen/tests/xen_quiet.h"

#define VECTOR 0x40

#define XEN_REFUSES_OTHERWISE (-12) /* ENOMEM */

/* ---- Xen ---- */

struct queue {
    evtchn_port_t tail;
};

static struct {
    intptr_t init, expand; /* what it answers: 0, or an error */
    bool damaged;          /* does nothing more by itself */
    bool busy;             /* marks each word that it links to, as if it were interrupted there */
    evtchn_port_t next;    /* port that is given out */
    uint32_t calls[EVTCHNOP_set_priority + 1];
    uint32_t pages;
    event_word_t *array[PAGES];
    struct evtchn_fifo_control_block *control[CPUS];
    struct queue queues[CPUS][EVTCHN_FIFO_MAX_QUEUES];
    struct {
        bool open;
        uint8_t cpu, priority, last_cpu, last_priority;
    } ports[VMI__XEN_PORTS];
} xen;

static uint32_t reports;

static event_word_t *word_of(evtchn_port_t port)
{
    return port / PAGE_WORDS < xen.pages ? &xen.array[port / PAGE_WORDS][port % PAGE_WORDS] : 0;
}

/* Marks a port as pending, and links it where it is to be if it may be told. */
static void send(evtchn_port_t port)
{
    event_word_t *word = word_of(port), *tail;
    uint32_t cpu = xen.ports[port].cpu, priority = xen.ports[port].priority;
    struct queue *queue = &xen.queues[cpu][priority],
                 *old = &xen.queues[xen.ports[port].last_cpu][xen.ports[port].last_priority];

    EXPECT(word && xen.control[cpu]);
    *word |= WORD_PENDING;
    if (xen.damaged || *word & (WORD_MASKED | WORD_LINKED))
        return;
    *word |= WORD_LINKED;
    if (old->tail == port)
        old->tail = 0;
    xen.ports[port].last_cpu = (uint8_t)cpu;
    xen.ports[port].last_priority = (uint8_t)priority;
    tail = queue->tail ? word_of(queue->tail) : 0;
    if (tail && *tail & WORD_LINKED) {
        EXPECT(!(*tail & WORD_LINK));
        *tail = (*tail & ~WORD_BUSY) | port;
    } else {
        xen.control[cpu]->head[priority] = port;
        xen.control[cpu]->ready |= 1u << priority;
        vmi__xen_vcpu(cpu)->evtchn_upcall_pending = 1;
    }
    queue->tail = port;
    if (xen.busy)
        *word |= WORD_BUSY;
}

static intptr_t open(evtchn_port_t *port, uint32_t cpu)
{
    *port = xen.next++;
    EXPECT(xen.control[cpu] || vmi__xen_ports_abi() == vmi__xen_two_level.name);
    if (*port < VMI__XEN_PORTS) {
        xen.ports[*port].open = true;
        xen.ports[*port].cpu = (uint8_t)cpu;
        xen.ports[*port].priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
    }
    return 0;
}

static intptr_t init_control(const struct evtchn_init_control *control)
{
    uintptr_t at = (uintptr_t)control->control_gfn << VMI__PAGE_SHIFT | control->offset;

    if (xen.init)
        return xen.init;
    EXPECT(control->vcpu < CPUS && at == (uintptr_t)&records[control->vcpu].control);
    EXPECT(control->offset % 8 == 0 && control->offset <= VMI__PAGE_SIZE - 72);
    if (xen.control[control->vcpu])
        return VMI_EINVAL;
    xen.control[control->vcpu] = (struct evtchn_fifo_control_block *)at;
    for (uint32_t i = 0; i < EVTCHN_FIFO_MAX_QUEUES; i++)
        EXPECT(!xen.control[control->vcpu]->head[i]);
    return 0;
}

static intptr_t expand_array(const struct evtchn_expand_array *array)
{
    event_word_t *page = (event_word_t *)((uintptr_t)array->array_gfn << VMI__PAGE_SHIFT);

    if (xen.expand)
        return xen.expand;
    EXPECT(xen.pages < PAGES);
    /* What is pending already must not be told before somebody knows what it is. */
    for (uint32_t i = 0; i < PAGE_WORDS; i++)
        EXPECT(page[i] == WORD_MASKED);
    xen.array[xen.pages++] = page;
    return 0;
}

HYPERCALL intptr_t vmi__xen_hypercall_event_channel_op(uint32_t command, void *argument)
{
    struct evtchn_unmask *unmasked = argument;
    event_word_t *word;

    if (command <= EVTCHNOP_set_priority)
        xen.calls[command]++;
    switch (command) {
    case EVTCHNOP_init_control:
        return init_control(argument);
    case EVTCHNOP_expand_array:
        return expand_array(argument);
    case EVTCHNOP_bind_virq:
        return open(&((struct evtchn_bind_virq *)argument)->port,
                    ((struct evtchn_bind_virq *)argument)->vcpu);
    case EVTCHNOP_bind_ipi:
        return open(&((struct evtchn_bind_ipi *)argument)->port,
                    ((struct evtchn_bind_ipi *)argument)->vcpu);
    case EVTCHNOP_close:
        return 0;
    case EVTCHNOP_send:
        send(((struct evtchn_send *)argument)->port);
        return 0;
    case EVTCHNOP_unmask:
        word = word_of(unmasked->port);
        if (!word)
            return 0; /* two-level */
        *word &= ~WORD_MASKED;
        if (*word & WORD_PENDING)
            send(unmasked->port);
        return 0;
    default:
        EXPECT(command == ~0u); /* one that is not expected here */
        return VMI_EINVAL;
    }
}

/* ---- the rest of the library ---- */

VMI__ROUTINE void vmi__xen_enable_interrupts(void)
{
}

uint32_t vmi__xen_take(struct vmi__xen_lock *taken)
{
    (void)taken;
    return 1;
}

void vmi__xen_give(struct vmi__xen_lock *taken, uint32_t mask_before)
{
    (void)taken, (void)mask_before;
}

void vmi__xen_report(uint32_t ordinal, uintptr_t entry, uint64_t value, intptr_t error)
{
    (void)ordinal, (void)entry, (void)value, (void)error;
    reports++;
}

/* ---- the kernel ---- */

static uint32_t came_at[CPUS][256]; /* by vector; of the library's own ports 0 */

static void note(struct vmi__xen_cpu *cpu, struct vmi__xen_port port)
{
    EXPECT(cpu == vmi__xen_cpus[self] && port.cpu == self);
    came_at[self][port.kind == VMI__XEN_PORT_BOUND ? port.vector : 0]++;
    if (port.kind != VMI__XEN_PORT_IPI)
        return;
    for (uint32_t i = 0; i < 256; i++)
        if (cpu->ipi[i / 32] & 1u << i % 32)
            came_at[self][i]++;
    memset(cpu->ipi, 0, sizeof(cpu->ipi));
}

/* Xen's upcall on a CPU, if it makes one. */
static void upcall(uint32_t cpu)
{
    self = cpu;
    vmi__xen_ports_collect(vmi__xen_cpus[cpu], cpu, note);
    EXPECT(!vmi__xen_vcpu(cpu)->evtchn_upcall_pending);
    EXPECT(!vmi__xen_ports_more(vmi__xen_cpus[cpu], cpu));
}

static void upcalls(void)
{
    for (uint32_t round = 0; round < 2; round++)
        for (uint32_t cpu = 0; cpu < CPUS; cpu++)
            upcall(cpu);
}

/* ---- checks ---- */

/* A domain whose CPUs have no ports yet. */
static void begin_domain(void)
{
    memset(&xen, 0, sizeof(xen));
    xen.next = 3; /* the toolstack has made those of the console and of xenstore */
    memset(records, 0, sizeof(records));
    memset(ports, 0, sizeof(ports));
    memset(&vmi__xen_shared, 0, sizeof(vmi__xen_shared));
    for (uint32_t cpu = 0; cpu < CPUS; cpu++)
        memset(vmi__xen_vcpu(cpu), 0, sizeof(struct vcpu_info));
    memset(came_at, 0, sizeof(came_at));
    memset(words, 0, sizeof(words));
    abi = &vmi__xen_two_level;
    chosen = keep_two_level = false;
    pages = reports = self = 0;
}

static void prepare_all(void)
{
    for (uint32_t cpu = 0; cpu < CPUS; cpu++)
        EXPECT(vmi__xen_ports_prepare(vmi__xen_cpus[cpu], cpu) >= 0);
}

static void begin_run(void)
{
    begin_domain();
    prepare_all();
    EXPECT(vmi__xen_ports_abi() == vmi__xen_fifo.name);
}

/* A port of the kernel's that is let in. */
static evtchn_port_t bind(uint32_t cpu, uint32_t priority, uint32_t vector)
{
    evtchn_port_t port;

    open(&port, cpu);
    xen.ports[port].priority = (uint8_t)priority;
    vmi__xen_port_set(port, VMI__XEN_PORT_BOUND, vector, cpu);
    EXPECT(vmi__xen_port_unmask(port) == 0);
    return port;
}

static void it_is_used_where_it_is_offered(void)
{
    begin_run();
    EXPECT(xen.calls[EVTCHNOP_init_control] == CPUS && xen.calls[EVTCHNOP_expand_array] == PAGES);
    /* Ports that have nothing pending are let in without Xen. */
    EXPECT(xen.calls[EVTCHNOP_unmask] == 0);
    for (uint32_t cpu = 0; cpu < CPUS; cpu++)
        EXPECT(records[cpu].timer_port && records[cpu].ipi_port);
    prepare_all();
    EXPECT(xen.calls[EVTCHNOP_init_control] == CPUS && xen.calls[EVTCHNOP_bind_ipi] == CPUS);
}

static void two_level_is_used_where_it_is_not(void)
{
    const intptr_t unknown[] = {-XEN_ENOSYS, -XEN_EOPNOTSUPP, -XEN_EPERM};

    for (uint32_t i = 0; i < 3; i++) {
        begin_domain();
        xen.init = unknown[i];
        prepare_all();
        EXPECT(vmi__xen_ports_abi() == vmi__xen_two_level.name);
        EXPECT(xen.calls[EVTCHNOP_init_control] == 1 && !xen.calls[EVTCHNOP_expand_array]);
    }
}

static void two_level_is_used_if_that_is_asked_for(void)
{
    begin_domain();
    vmi__xen_ports_keep_two_level();
    prepare_all();
    EXPECT(vmi__xen_ports_abi() == vmi__xen_two_level.name);
    EXPECT(!xen.calls[EVTCHNOP_init_control] && records[0].ipi_port);
}

/* Which of the two Xen goes by would not be known. */
static void other_refusals_are_errors(void)
{
    begin_domain();
    xen.init = XEN_REFUSES_OTHERWISE;
    EXPECT(vmi__xen_ports_prepare(&records[0], 0) == XEN_REFUSES_OTHERWISE);
    EXPECT(!records[0].timer_port && !xen.calls[EVTCHNOP_bind_virq]);
    begin_domain();
    xen.expand = XEN_REFUSES_OTHERWISE;
    EXPECT(vmi__xen_ports_prepare(&records[0], 0) == XEN_REFUSES_OTHERWISE);
    EXPECT(!records[0].timer_port && !xen.calls[EVTCHNOP_bind_virq]);
    /* A later CPU: those that run go on. */
    begin_domain();
    EXPECT(vmi__xen_ports_prepare(&records[0], 0) >= 0);
    xen.init = -XEN_EPERM;
    EXPECT(vmi__xen_ports_prepare(&records[1], 1) < 0 && !records[1].ipi_port);
    EXPECT(vmi__xen_ports_abi() == vmi__xen_fifo.name);
}

static void ports_of_all_queues_are_told(void)
{
    evtchn_port_t mine[CPUS][EVTCHN_FIFO_MAX_QUEUES][3];

    begin_run();
    for (uint32_t cpu = 0; cpu < CPUS; cpu++)
        for (uint32_t queue = 0; queue < EVTCHN_FIFO_MAX_QUEUES; queue++)
            for (uint32_t i = 0; i < 3; i++)
                mine[cpu][queue][i] = bind(cpu, queue, VECTOR + queue * 4 + i);
    for (uint32_t again = 1; again <= 3; again++) {
        for (uint32_t cpu = 0; cpu < CPUS; cpu++)
            for (uint32_t queue = 0; queue < EVTCHN_FIFO_MAX_QUEUES; queue++)
                for (uint32_t i = 0; i < 3; i++)
                    send(mine[cpu][queue][i]), send(mine[cpu][queue][i]);
        upcalls();
        for (uint32_t cpu = 0; cpu < CPUS; cpu++)
            for (uint32_t queue = 0; queue < EVTCHN_FIFO_MAX_QUEUES; queue++)
                for (uint32_t i = 0; i < 3; i++)
                    EXPECT(came_at[cpu][VECTOR + queue * 4 + i] == again);
    }
    EXPECT(reports == 0);
}

static void last_port_is_told_and_no_more_are_taken(void)
{
    evtchn_port_t port;

    begin_run();
    xen.next = VMI__XEN_PORTS - 1;
    port = bind(1, 0, VECTOR);
    send(port);
    upcalls();
    EXPECT(came_at[1][VECTOR] == 1 && !reports);
    EXPECT(vmi__xen_port_exists(VMI__XEN_PORTS - 1) && !vmi__xen_port_exists(VMI__XEN_PORTS));
    EXPECT(vmi__xen_port_mask(VMI__XEN_PORTS) && !vmi__xen_port_exists(0));
    records[2].timer_port = 0;
    EXPECT(vmi__xen_ports_prepare(&records[2], 2) == VMI_EINVAL && !records[2].timer_port);
    EXPECT(xen.calls[EVTCHNOP_close] == 1);
}

static void masked_ports_wait(void)
{
    evtchn_port_t port;
    uint32_t before;

    begin_run();
    port = bind(0, 4, VECTOR);
    EXPECT(!vmi__xen_port_mask(port) && vmi__xen_port_mask(port));
    send(port);
    upcalls();
    EXPECT(!came_at[0][VECTOR]);
    before = xen.calls[EVTCHNOP_unmask];
    EXPECT(vmi__xen_port_unmask(port) == 0 && xen.calls[EVTCHNOP_unmask] == before + 1);
    upcalls();
    EXPECT(came_at[0][VECTOR] == 1);
    /* Masked when it is in a queue already. */
    send(port);
    vmi__xen_port_mask(port);
    upcalls();
    EXPECT(came_at[0][VECTOR] == 1);
    EXPECT(vmi__xen_port_unmask(port) == 0);
    upcalls();
    EXPECT(came_at[0][VECTOR] == 2 && !reports);
}

/* An upcall that is over is made again for what came meanwhile, of each CPU alone. */
static void there_is_more_until_it_is_told(void)
{
    begin_run();
    send(bind(1, 15, VECTOR));
    EXPECT(vmi__xen_ports_more(&records[1], 1) && !vmi__xen_ports_more(&records[0], 0));
    upcalls();
    EXPECT(!vmi__xen_ports_more(&records[1], 1) && came_at[1][VECTOR] == 1);
}

/* Xen may be about to write a link: then it is Xen that lets the port in. */
static void busy_words_are_left_to_xen(void)
{
    evtchn_port_t port;
    uint32_t before;

    begin_run();
    port = bind(0, 4, VECTOR);
    vmi__xen_port_mask(port);
    *word_of(port) |= WORD_BUSY;
    before = xen.calls[EVTCHNOP_unmask];
    EXPECT(vmi__xen_port_unmask(port) == 0 && xen.calls[EVTCHNOP_unmask] == before + 1);
    *word_of(port) &= ~WORD_BUSY;
    xen.busy = true;
    for (uint32_t i = 0; i < 8; i++)
        bind(0, 4, VECTOR + 1 + i);
    for (uint32_t i = 0; i < 9; i++)
        send(port + i);
    upcalls();
    for (uint32_t i = 0; i < 9; i++)
        EXPECT(came_at[0][VECTOR + i] == 1);
    EXPECT(!reports);
}

/* The console's: masked, and looked at by the library. */
static void polled_ports_are_cleared(void)
{
    evtchn_port_t other;

    begin_run();
    xen.ports[1].priority = 7;
    send(1);
    upcalls();
    EXPECT(*word_of(1) == (WORD_PENDING | WORD_MASKED));
    vmi__xen_port_clear(1);
    EXPECT(*word_of(1) == WORD_MASKED);
    /* One that has been let in, and is nobody's: it stays for whoever will have it. */
    *word_of(1) = 0;
    send(1);
    upcalls();
    EXPECT(*word_of(1) == WORD_PENDING);
    /* The kernel's own is not cleared. */
    vmi__xen_port_set(1, VMI__XEN_PORT_BOUND, VECTOR, 0);
    vmi__xen_port_clear(1);
    EXPECT(*word_of(1) == WORD_PENDING && !reports);
    /* Linked, and no longer pending. */
    begin_run();
    other = bind(0, 4, VECTOR);
    send(other);
    *word_of(other) &= ~WORD_PENDING;
    upcalls();
    EXPECT(!came_at[0][VECTOR] && !reports);
}

static void moved_ports_are_handed_on(void)
{
    evtchn_port_t port, behind;

    begin_run();
    port = bind(0, 4, VECTOR);
    behind = bind(0, 4, VECTOR + 1);
    send(port);
    send(behind);
    /* EventMove, of which Xen does not say that the port is in the old CPU's queue. */
    xen.ports[port].cpu = 2;
    vmi__xen_port_set(port, VMI__XEN_PORT_BOUND, VECTOR, 2);
    send(port);
    upcall(2);
    EXPECT(!came_at[2][VECTOR]);
    upcalls();
    EXPECT(came_at[2][VECTOR] == 1 && !came_at[0][VECTOR] && came_at[0][VECTOR + 1] == 1);
    send(port);
    upcall(2);
    EXPECT(came_at[2][VECTOR] == 2 && !reports);
    /* Another priority: it stays where it is linked, too. */
    send(behind);
    xen.ports[behind].priority = 15;
    send(behind);
    upcalls();
    send(behind);
    upcalls();
    EXPECT(came_at[0][VECTOR + 1] == 3 && !reports);
}

/* ---- what Xen must not write ---- */

static void hostile_links_end_their_queue(void)
{
    const uint32_t wrong[] = {VMI__XEN_PORTS, VMI__XEN_PORTS + 1, WORD_LINK};
    evtchn_port_t first, other;

    for (uint32_t i = 0; i < 3; i++) {
        begin_run();
        first = bind(0, 4, VECTOR);
        other = bind(0, 9, VECTOR + 1);
        send(first);
        send(other);
        *word_of(first) |= wrong[i];
        upcalls();
        EXPECT(reports == 1 && came_at[0][VECTOR] == 1 && came_at[0][VECTOR + 1] == 1);
    }
    /* One whose lower bits are those of a port of another CPU's. */
    begin_run();
    first = bind(0, 4, VECTOR);
    other = bind(1, 9, VECTOR + 1);
    send(first);
    send(other);
    *word_of(first) |= VMI__XEN_PORTS + other;
    upcall(0);
    EXPECT(reports == 1 && came_at[0][VECTOR] == 1);
    upcall(1);
    EXPECT(reports == 1 && came_at[1][VECTOR + 1] == 1);
}

static void hostile_heads_end_their_queue(void)
{
    const uint32_t wrong[] = {VMI__XEN_PORTS, 0x20000, 0x7fffffff, 0xffffffff};
    evtchn_port_t other;

    for (uint32_t i = 0; i < 4; i++) {
        begin_run();
        other = bind(0, 9, VECTOR + 1);
        send(other);
        records[0].control.head[3] = wrong[i];
        records[0].control.ready |= 1u << 3;
        upcalls();
        EXPECT(reports == 1 && came_at[0][VECTOR + 1] == 1);
    }
    /* A queue that is said to be ready and has no head. */
    begin_run();
    records[0].control.ready = 0xffffffff;
    vmi__xen_vcpu(0)->evtchn_upcall_pending = 1;
    upcalls();
    EXPECT(!reports);
}

static void words_that_are_not_linked_end_their_queue(void)
{
    evtchn_port_t first, second, other;

    begin_run();
    first = bind(0, 4, VECTOR);
    second = bind(0, 4, VECTOR + 1);
    other = bind(0, 0, VECTOR + 2);
    send(first);
    send(second);
    send(other);
    *word_of(second) &= ~WORD_LINKED;
    upcalls();
    EXPECT(reports == 1 && came_at[0][VECTOR] == 1 && came_at[0][VECTOR + 2] == 1);
    EXPECT(!came_at[0][VECTOR + 1]);
}

static void queues_that_lead_back_end(void)
{
    evtchn_port_t first, second;

    begin_run();
    first = bind(0, 4, VECTOR);
    second = bind(0, 4, VECTOR + 1);
    send(first);
    send(second);
    *word_of(second) |= first;
    upcalls();
    EXPECT(reports == 1 && came_at[0][VECTOR] == 1 && came_at[0][VECTOR + 1] == 1);
    send(first);
    *word_of(first) |= first;
    upcalls();
    EXPECT(reports == 2 && came_at[0][VECTOR] == 2);
}

/* Any words and heads: it comes to an end, and nothing outside of the words is touched. */
static void any_words(void)
{
    uint32_t state;

    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + 300; seed++) {
        begin_run();
        xen.damaged = true;
        state = seed * 2654435761u;
        for (uint32_t i = 0; i < VMI__XEN_PORTS; i++) {
            state = state * 1664525u + 1013904223u;
            words[i] = state & 1 << 9 ? state | WORD_LINKED : state;
            if (state & 1 << 10)
                words[i] &= ~WORD_LINK | (VMI__XEN_PORTS - 1);
            vmi__xen_port_set(i, state >> 12 & 3, VECTOR + (state & 0x3f), (state >> 20) % CPUS);
        }
        for (uint32_t cpu = 0; cpu < CPUS; cpu++) {
            vmi__xen_port_set(records[cpu].ipi_port, VMI__XEN_PORT_IPI, 0, cpu);
            for (uint32_t i = 0; i < EVTCHN_FIFO_MAX_QUEUES; i++) {
                state = state * 1664525u + 1013904223u;
                records[cpu].control.head[i] = state >> 16 & (VMI__XEN_PORTS - 1);
            }
            records[cpu].control.ready = state;
            vmi__xen_vcpu(cpu)->evtchn_upcall_pending = 1;
        }
        for (uint32_t cpu = 0; cpu < CPUS; cpu++) {
            self = cpu;
            vmi__xen_ports_collect(vmi__xen_cpus[cpu], cpu, note);
        }
        EXPECT(abi == &vmi__xen_fifo && pages == PAGES);
    }
}

/* ---- many at the same time ---- */

#define MANY 40

/*
 * A kernel that binds, masks, lets in and moves ports, and others that send, in any order: what was
 * sent is told after that, once or more often if it was sent more often, and on the CPU that the
 * port is of.
 */
static void any_order(void)
{
    static evtchn_port_t mine[MANY];
    static uint32_t at[MANY], sent[MANY], masked[MANY], told[MANY];
    uint32_t state = 0;

    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + 300; seed++) {
        begin_run();
        for (uint32_t i = 0; i < MANY; i++) {
            at[i] = i % CPUS;
            mine[i] = bind(at[i], i % EVTCHN_FIFO_MAX_QUEUES, VECTOR + i);
            sent[i] = masked[i] = told[i] = 0;
        }
        state = seed * 2654435761u;
        for (uint32_t step = 0; step < 600; step++) {
            uint32_t i;

            state = state * 1664525u + 1013904223u;
            i = (state >> 8) % MANY;
            switch (state >> 24 & 7) {
            case 0:
                vmi__xen_port_mask(mine[i]);
                masked[i] = 1;
                break;
            case 1:
                EXPECT(vmi__xen_port_unmask(mine[i]) == 0);
                masked[i] = 0;
                break;
            case 2: /* as move_port does it */
                vmi__xen_port_mask(mine[i]);
                at[i] = (state >> 16) % CPUS;
                xen.ports[mine[i]].cpu = (uint8_t)at[i];
                vmi__xen_port_set(mine[i], VMI__XEN_PORT_BOUND, VECTOR + i, at[i]);
                if (!masked[i])
                    EXPECT(vmi__xen_port_unmask(mine[i]) == 0);
                break;
            case 3:
                upcall((state >> 16) % CPUS);
                break;
            default:
                send(mine[i]);
                sent[i]++;
            }
            if (step % 100 != 99)
                continue;
            for (i = 0; i < MANY; i++) {
                EXPECT(vmi__xen_port_unmask(mine[i]) == 0);
                masked[i] = 0;
            }
            upcalls();
            for (i = 0; i < MANY; i++) {
                uint32_t all = 0;

                for (uint32_t cpu = 0; cpu < CPUS; cpu++)
                    all += came_at[cpu][VECTOR + i];
                EXPECT((all > told[i]) == (sent[i] > 0) && all - told[i] <= sent[i]);
                told[i] = all;
                sent[i] = 0;
            }
        }
        EXPECT(!reports);
    }
}

/* ---- saved and resumed ---- */

static void it_is_set_up_again(void)
{
    evtchn_port_t port;

    begin_run();
    port = bind(1, 5, VECTOR);
    send(port);
    send(records[0].ipi_port);
    /* Saved with something in its queues; Xen has a new domain, with the two-level ABI. */
    memset(&xen, 0, sizeof(xen));
    xen.next = 3;
    for (uint32_t cpu = 0; cpu < CPUS; cpu++) {
        memset(vmi__xen_vcpu(cpu), 0, sizeof(struct vcpu_info));
        vmi__xen_ports_forget(vmi__xen_cpus[cpu]);
    }
    prepare_all();
    EXPECT(vmi__xen_ports_abi() == vmi__xen_fifo.name && xen.pages == PAGES);
    EXPECT(xen.calls[EVTCHNOP_init_control] == CPUS);
    upcalls();
    EXPECT(!came_at[1][VECTOR] && !came_at[0][0]);
    send(records[0].ipi_port);
    send(records[1].timer_port);
    port = bind(1, 5, VECTOR);
    send(port);
    upcalls();
    EXPECT(came_at[1][VECTOR] == 1 && came_at[0][0] == 1 && came_at[1][0] == 1 && !reports);
    /* Onto a host whose Xen has the two-level ABI only. */
    memset(&xen, 0, sizeof(xen));
    xen.next = 3;
    xen.init = -XEN_ENOSYS;
    for (uint32_t cpu = 0; cpu < CPUS; cpu++)
        vmi__xen_ports_forget(vmi__xen_cpus[cpu]);
    prepare_all();
    EXPECT(vmi__xen_ports_abi() == vmi__xen_two_level.name && records[2].ipi_port);
}

static const struct played_check checks[] = {
    CHECK(it_is_used_where_it_is_offered),
    CHECK(two_level_is_used_where_it_is_not),
    CHECK(two_level_is_used_if_that_is_asked_for),
    CHECK(other_refusals_are_errors),
    CHECK(ports_of_all_queues_are_told),
    CHECK(last_port_is_told_and_no_more_are_taken),
    CHECK(masked_ports_wait),
    CHECK(there_is_more_until_it_is_told),
    CHECK(busy_words_are_left_to_xen),
    CHECK(polled_ports_are_cleared),
    CHECK(moved_ports_are_handed_on),
    CHECK(hostile_links_end_their_queue),
    CHECK(hostile_heads_end_their_queue),
    CHECK(words_that_are_not_linked_end_their_queue),
    CHECK(queues_that_lead_back_end),
    CHECK(any_words),
    CHECK(any_order),
    CHECK(it_is_set_up_again),
};

PLAY(checks)
