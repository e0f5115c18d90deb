/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The FIFO ABI (event_channel.h, EVTCHN_FIFO_*): a word for each port, in pages of the domain's,
 * and for each CPU a control block with the heads of 16 queues by priority. What is pending and not
 * masked is linked into a queue of its CPU, at the end; a queue that was empty becomes ready.
 *
 * All queues are emptied at each upcall, for here a vector says what goes before what. So no head
 * is kept from one upcall to the next: Xen writes a new one for a queue that has become empty. A
 * port that has moved stays in the queue that it was in.
 *
 * Nothing that Xen writes leads outside of the words: a link or a word that cannot be is reported,
 * and that queue is left. A queue that leads back into itself ends where it was already: each word
 * says that it is linked only until it was looked at.
 */
#include "channels.h"

#define WORD_PENDING (1u << EVTCHN_FIFO_PENDING)
#define WORD_MASKED  (1u << EVTCHN_FIFO_MASKED)
#define WORD_LINKED  (1u << EVTCHN_FIFO_LINKED)
#define WORD_BUSY    (1u << EVTCHN_FIFO_BUSY) /* Xen is about to write the link */
#define WORD_LINK    ((1u << EVTCHN_FIFO_LINK_BITS) - 1)

#define QUEUES ((1u << EVTCHN_FIFO_MAX_QUEUES) - 1)

#define PAGE_WORDS (VMI__PAGE_SIZE / (uint32_t)sizeof(event_word_t))
#define PAGES      (VMI__XEN_PORTS / PAGE_WORDS)

_Static_assert(VMI__XEN_PORTS % PAGE_WORDS == 0 && VMI__XEN_PORTS <= EVTCHN_FIFO_NR_CHANNELS,
               "words fill pages");
_Static_assert(sizeof(struct evtchn_fifo_control_block) <= 128, "domain.h aligns it");

static event_word_t words[VMI__XEN_PORTS] __attribute__((aligned(VMI__PAGE_SIZE)));
static uint32_t pages; /* that Xen has */

/* Gives Xen the words, of which none lets anything in. */
static intptr_t give_words(void)
{
    intptr_t result = 0;

    while (result >= 0 && pages < PAGES) {
        event_word_t *page = &words[pages * PAGE_WORDS];
        struct evtchn_expand_array array = {.array_gfn = vmi__xen_machine(page) >> VMI__PAGE_SHIFT};

        for (uint32_t i = 0; i < PAGE_WORDS; i++)
            page[i] = WORD_MASKED;
        result = vmi__xen_hypercall_event_channel_op(EVTCHNOP_expand_array, &array);
        pages += result >= 0;
    }
    return result;
}

static VMI__ADDRESS_TAKEN intptr_t begin(struct vmi__xen_cpu *cpu, uint32_t number)
{
    struct evtchn_init_control control = {
        .control_gfn = vmi__xen_machine(&cpu->control) >> VMI__PAGE_SHIFT,
        .offset = (uintptr_t)&cpu->control & (VMI__PAGE_SIZE - 1),
        .vcpu = number,
    };
    intptr_t result = 0;

    if (!cpu->controlled) {
        result = vmi__xen_hypercall_event_channel_op(EVTCHNOP_init_control, &control);
        cpu->controlled = result >= 0;
    }
    return result < 0 ? result : give_words();
}

static VMI__ADDRESS_TAKEN void forget(struct vmi__xen_cpu *cpu)
{
    cpu->control = (struct evtchn_fifo_control_block){0};
    cpu->controlled = 0;
    pages = 0;
}

static VMI__ADDRESS_TAKEN bool mask(evtchn_port_t port)
{
    return __atomic_fetch_or(&words[port], WORD_MASKED, __ATOMIC_SEQ_CST) & WORD_MASKED;
}

/* Xen has to link what is pending, and it wants no word changed so that it is about to link. */
static VMI__ADDRESS_TAKEN bool unmask(evtchn_port_t port)
{
    event_word_t word = __atomic_load_n(&words[port], __ATOMIC_SEQ_CST);

    while (!(word & (WORD_PENDING | WORD_BUSY)))
        if (__atomic_compare_exchange_n(&words[port], &word, word & ~WORD_MASKED, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            return true;
    return false;
}

static VMI__ADDRESS_TAKEN void clear(evtchn_port_t port)
{
    __atomic_fetch_and(&words[port], ~WORD_PENDING, __ATOMIC_SEQ_CST);
}

static VMI__ADDRESS_TAKEN void pend(evtchn_port_t port)
{
    __atomic_fetch_or(&words[port], WORD_PENDING, __ATOMIC_SEQ_CST);
}

/* Takes a port out of the queue that it is the first of. Returns its word as it was; one that is
 * not linked is left as it is. */
static event_word_t unlink(evtchn_port_t port)
{
    event_word_t word = __atomic_load_n(&words[port], __ATOMIC_SEQ_CST);

    while (word & WORD_LINKED)
        if (__atomic_compare_exchange_n(&words[port], &word, word & ~(WORD_LINKED | WORD_LINK),
                                        false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            break;
    return word;
}

static void empty(struct vmi__xen_cpu *cpu, uint32_t number, uint32_t queue, vmi__xen_pending *tell,
                  vmi__xen_came *came)
{
    evtchn_port_t port = __atomic_load_n(&cpu->control.head[queue], __ATOMIC_SEQ_CST);
    event_word_t word = 0;

    while (port) {
        if (port < VMI__XEN_PORTS)
            word = unlink(port);
        if (port >= VMI__XEN_PORTS || !(word & WORD_LINKED)) {
            vmi__xen_report(VMI_ORDINAL_EVENT_BIND, port, word, VMI_EIO);
            return;
        }
        if ((word & (WORD_PENDING | WORD_MASKED)) == WORD_PENDING)
            tell(cpu, number, port, came);
        port = word & WORD_LINK;
    }
}

static VMI__ADDRESS_TAKEN void collect(struct vmi__xen_cpu *cpu, uint32_t number,
                                       vmi__xen_pending *tell, vmi__xen_came *came)
{
    uint32_t ready;

    while ((ready = __atomic_exchange_n(&cpu->control.ready, 0, __ATOMIC_SEQ_CST) & QUEUES))
        for (; ready; ready &= ready - 1)
            empty(cpu, number, (uint32_t)__builtin_ctz(ready), tell, came);
}

static VMI__ADDRESS_TAKEN bool more(const struct vmi__xen_cpu *cpu, uint32_t number)
{
    (void)number;
    return __atomic_load_n(&cpu->control.ready, __ATOMIC_SEQ_CST);
}

const struct vmi__xen_port_abi vmi__xen_fifo = {
    .name = "fifo",
    .ports = VMI__XEN_PORTS,
    .stays = true,
    .begin = begin,
    .forget = forget,
    .mask = mask,
    .unmask = unmask,
    .clear = clear,
    .pend = pend,
    .collect = collect,
    .more = more,
};
