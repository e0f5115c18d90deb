/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The two-level ABI (event_channel.h, EVTCHN_2L_NR_CHANNELS): for each port a bit that it is
 * pending and one that it is masked, in as many words as a word has bits; for each CPU a bit for
 * each of the words in which something is new. Every Xen has it.
 */
#include "channels.h"

#define WORD_BITS (8 * (uint32_t)sizeof(xen_ulong_t))

_Static_assert(WORD_BITS *WORD_BITS <= VMI__XEN_PORTS, "ports.c has room for each port");

static xen_ulong_t bit_of(evtchn_port_t port)
{
    return (xen_ulong_t)1 << port % WORD_BITS;
}

static VMI__ADDRESS_TAKEN intptr_t begin(struct vmi__xen_cpu *cpu, uint32_t number)
{
    (void)cpu, (void)number;
    return 0;
}

static VMI__ADDRESS_TAKEN void forget(struct vmi__xen_cpu *cpu)
{
    (void)cpu;
}

static VMI__ADDRESS_TAKEN bool mask(evtchn_port_t port)
{
    return __atomic_fetch_or(&vmi__xen_shared.evtchn_mask[port / WORD_BITS], bit_of(port),
                             __ATOMIC_SEQ_CST) &
           bit_of(port);
}

/* Xen has to set the bit of the word, and the upcall of a CPU that may be another. */
static VMI__ADDRESS_TAKEN bool unmask(evtchn_port_t port)
{
    (void)port;
    return false;
}

static VMI__ADDRESS_TAKEN void clear(evtchn_port_t port)
{
    __atomic_fetch_and(&vmi__xen_shared.evtchn_pending[port / WORD_BITS], ~bit_of(port),
                       __ATOMIC_SEQ_CST);
}

static VMI__ADDRESS_TAKEN void pend(evtchn_port_t port)
{
    __atomic_fetch_or(&vmi__xen_shared.evtchn_pending[port / WORD_BITS], bit_of(port),
                      __ATOMIC_SEQ_CST);
}

static VMI__ADDRESS_TAKEN void collect(struct vmi__xen_cpu *cpu, uint32_t number,
                                       vmi__xen_pending *tell, vmi__xen_came *came)
{
    xen_ulong_t words =
        __atomic_exchange_n(&vmi__xen_vcpu(number)->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);

    for (; words; words &= words - 1) {
        uint32_t word = (uint32_t)__builtin_ctzl(words);
        xen_ulong_t bits =
            __atomic_load_n(&vmi__xen_shared.evtchn_pending[word], __ATOMIC_SEQ_CST) &
            ~__atomic_load_n(&vmi__xen_shared.evtchn_mask[word], __ATOMIC_SEQ_CST);

        for (; bits; bits &= bits - 1)
            tell(cpu, number, word * WORD_BITS + (uint32_t)__builtin_ctzl(bits), came);
    }
}

static VMI__ADDRESS_TAKEN bool more(const struct vmi__xen_cpu *cpu, uint32_t number)
{
    (void)cpu;
    return __atomic_load_n(&vmi__xen_vcpu(number)->evtchn_pending_sel, __ATOMIC_SEQ_CST);
}

const struct vmi__xen_port_abi vmi__xen_two_level = {
    .name = "two_level",
    .ports = WORD_BITS * WORD_BITS,
    .begin = begin,
    .forget = forget,
    .mask = mask,
    .unmask = unmask,
    .clear = clear,
    .pend = pend,
    .collect = collect,
    .more = more,
};
