/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The two functions of the flavour `traced`, and those that transfer.inc calls.
 */
#include "machine.h"
#include "ring.h"

/* By which tools know a kernel that is linked with the flavour (ci/flavour.py). */
static const char mark[] __attribute__((used)) = VMI__TRACE_MAGIC;

static struct vmi__trace_ring vmi__trace __attribute__((used, aligned(4096)));

/* CPUs that start it at once write the same. */
static void start(void)
{
    vmi__trace.version = VMI__TRACE_VERSION;
    vmi__trace.header_bytes = offsetof(struct vmi__trace_ring, entries);
    vmi__trace.record_bytes = sizeof(struct vmi__trace_record);
    vmi__trace.records = VMI__TRACE_RECORDS;
    vmi__trace.word_bits = 8 * sizeof(uintptr_t);
    vmi__trace.ordinals = VMI_ORDINALS;
    memcpy(vmi__trace.magic, mark, sizeof(mark));
}

static uint64_t cycles(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/*
 * Notes one record. Interrupts are masked meanwhile, so that none is left half written while others
 * go round the ring; an NMI has one of its own. `kind` is written last.
 */
static void note(uint32_t kind, uint32_t number, uintptr_t caller,
                 const struct vmi__flavour_frame *frame, const uint8_t *places, uint32_t words)
{
    const uintptr_t *found = (const uintptr_t *)frame;
    struct vmi__trace_record *record;
    uintptr_t mask = vmi__trace_mask();
    uint32_t next;

    if (!vmi__trace.magic[0])
        start();
    if (!vmi__trace.frequency)
        vmi__trace.frequency = vmi__trace_frequency();
    next = __atomic_fetch_add(&vmi__trace.next, 1, __ATOMIC_RELAXED);
    if (next == UINT32_MAX)
        __atomic_fetch_add(&vmi__trace.wraps, 1, __ATOMIC_RELAXED);
    record = &vmi__trace.entries[next % VMI__TRACE_RECORDS];
    __atomic_store_n(&record->kind, VMI__TRACE_NONE, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST); /* the processor keeps the order of stores */
    record->sequence = next;
    record->number = number;
    record->cpu = (uint16_t)vmi__trace_cpu();
    record->words = (uint16_t)words;
    record->frame = (uintptr_t)frame;
    record->caller = caller;
    for (uint32_t i = 0; i < words; i++)
        record->values[i] = found[places[i]];
    record->time = cycles();
    __atomic_store_n(&record->kind, kind, __ATOMIC_RELEASE);
    vmi__trace_unmask(mask);
}

VMI__ROUTINE void vmi__flavour_enter(uint32_t ordinal, struct vmi__flavour_frame *frame)
{
    const struct vmi__traced_call *call = &vmi__traced_calls[ordinal];

    __atomic_fetch_add(&vmi__trace.counts[ordinal], 1, __ATOMIC_RELAXED);
    note(VMI__TRACE_ENTER, ordinal, vmi__flavour_caller(ordinal, frame), frame, call->arguments,
         call->argument_words);
}

VMI__ROUTINE void vmi__flavour_leave(uint32_t ordinal, struct vmi__flavour_frame *frame)
{
    const struct vmi__traced_call *call = &vmi__traced_calls[ordinal];

    note(VMI__TRACE_LEAVE, ordinal, vmi__flavour_caller(ordinal, frame), frame, call->results,
         call->result_words);
}

VMI__ROUTINE void vmi__trace_hypercall(const uint8_t *places,
                                       const struct vmi__flavour_frame *frame)
{
    uint32_t words = 0;

    while (words < VMI__TRACE_WORDS && places[1 + words] != VMI__TRACE_PLACES_END)
        words++;
    note(VMI__TRACE_HYPERCALL, (uint32_t)((const uintptr_t *)frame)[places[0]], 0, frame,
         places + 1, words);
}

VMI__ROUTINE void vmi__trace_answer(uint32_t place, const struct vmi__flavour_frame *frame)
{
    const uint8_t places[] = {(uint8_t)place};

    note(VMI__TRACE_ANSWER, 0, 0, frame, places, 1);
}
