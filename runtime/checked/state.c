/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "state.h"

#include "frames.h"

#define GATE_WORDS (sizeof(uintptr_t) / 2)

struct vmi__checked_state vmi__checked_state;

/* Of a gate, with a weight for each of its words. */
static uint32_t sum_of(const volatile uint32_t *words)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < GATE_WORDS; i++)
        sum += words[i] * (2 * i + 1);
    return sum;
}

static const volatile uint32_t *gate_of(const struct vmi__idt *idt, uint32_t index)
{
    return (const volatile uint32_t *)idt->base + index * GATE_WORDS;
}

uint32_t vmi__idt_changed(const struct vmi__idt *idt, uint32_t from)
{
    while (from < idt->gates && sum_of(gate_of(idt, from)) == idt->sums[from])
        from++;
    return from < idt->gates ? from : VMI__GATES;
}

void vmi__idt_known(struct vmi__idt *idt)
{
    for (uint32_t i = 0; i < idt->gates; i++)
        idt->sums[i] = sum_of(gate_of(idt, i));
}

static void set_idt(uintptr_t argument)
{
    const struct vmi_dtr *dtr = (const struct vmi_dtr *)argument;
    struct vmi__idt *idt = vmi__checked_state.idts;

    while (idt->base && idt->base != dtr->base && idt < vmi__checked_state.idts + VMI__IDTS - 1)
        idt++;
    idt->base = dtr->base;
    idt->gates = (dtr->limit + 1u) / (GATE_WORDS * 4);
    if (idt->gates > VMI__GATES)
        idt->gates = VMI__GATES;
    vmi__idt_known(idt);
    idt->store = 0;
}

void vmi__idt_gate_changes(uintptr_t base, uint32_t index, const uint32_t *words)
{
    for (uint32_t i = 0; i < VMI__IDTS; i++) {
        struct vmi__idt *idt = &vmi__checked_state.idts[i];

        if (idt->base && idt->base == base && index < idt->gates)
            idt->sums[index] = sum_of(words);
    }
}

void vmi__idt_stored(uintptr_t base, uintptr_t from)
{
    for (uint32_t i = 0; i < VMI__IDTS; i++)
        if (vmi__checked_state.idts[i].base == base)
            vmi__checked_state.idts[i].store = from;
}

static void note_gate(const struct vmi__call *call)
{
    uint32_t words[GATE_WORDS];

#ifdef __x86_64__
    words[0] = (uint32_t)vmi__argument(call, 2);
    words[1] = (uint32_t)(vmi__argument(call, 2) >> 32);
    words[2] = (uint32_t)vmi__argument(call, 3);
    words[3] = (uint32_t)(vmi__argument(call, 3) >> 32);
#else
    words[0] = vmi__argument(call, 2);
    words[1] = vmi__argument(call, 3);
#endif
    vmi__idt_gate_changes(vmi__argument(call, 0), (uint32_t)vmi__argument(call, 1), words);
}

void vmi__checked_note(const struct vmi__call *call)
{
    struct vmi__checked_state *state = &vmi__checked_state;

    switch (call->ordinal) {
#ifdef __x86_64__
    case VMI_ORDINAL_SET_PXE_LONG:
        vmi__frames_entry(vmi__argument(call, 1), 8, vmi__argument(call, 0));
        break;
#else
    case VMI_ORDINAL_SET_PXE:
        vmi__frames_entry(vmi__argument(call, 1), 4, vmi__argument(call, 0));
        break;
    case VMI_ORDINAL_SET_PXE_LONG:
        vmi__frames_entry(vmi__argument(call, 2), 8,
                          (uint64_t)vmi__argument(call, 1) << 32 | vmi__argument(call, 0));
        break;
    case VMI_ORDINAL_UPDATE_PXE:
        vmi__frames_entry_written(vmi__argument(call, 0), 4);
        break;
#endif
    case VMI_ORDINAL_UPDATE_PXE_LONG:
        vmi__frames_entry_written(vmi__argument(call, 0), 8);
        break;
    case VMI_ORDINAL_ALLOCATE_PAGE:
        vmi__frames_allocate(vmi__argument(call, 0), (uint32_t)vmi__argument(call, 1));
        break;
    case VMI_ORDINAL_RELEASE_PAGE:
        vmi__frames_release(vmi__argument(call, 0));
        break;
    case VMI_ORDINAL_SET_LINEAR_MAPPING:
        vmi__frames_linear((uint32_t)vmi__argument(call, 0), vmi__argument(call, 1),
                           vmi__argument(call, 2), vmi__argument(call, 3));
        break;
    case VMI_ORDINAL_SET_GDT:
        state->cpus[call->cpu].stale = true;
        break;
    case VMI_ORDINAL_ENABLE_INTERRUPTS:
    case VMI_ORDINAL_HALT:
        state->cpus[call->cpu].stale = false;
        break;
    case VMI_ORDINAL_SET_IDT:
        set_idt(vmi__argument(call, 0));
        break;
    case VMI_ORDINAL_WRITE_IDT_ENTRY:
        note_gate(call);
        break;
    case VMI_ORDINAL_SET_CR3:
        state->cpus[call->cpu].root = vmi__argument(call, 0) >> VMI__FRAME_SHIFT;
#ifdef __x86_64__
        state->cpus[call->cpu].user_root = vmi__argument(call, 1) >> VMI__FRAME_SHIFT;
#endif
        break;
    case VMI_ORDINAL_SET_LAZY_MODE:
        state->cpus[call->cpu].lazy = (uint32_t)vmi__argument(call, 0);
        break;
    case VMI_ORDINAL_BEGIN_USER_ACCESS:
        state->cpus[call->cpu].user_access = true;
        break;
    case VMI_ORDINAL_END_USER_ACCESS:
        state->cpus[call->cpu].user_access = false;
        break;
    case VMI_ORDINAL_REBIND:
        state->rebinding = call->cpu + 1;
        break;
    default:
        break;
    }
}

bool vmi__checked_noting(uint32_t ordinal)
{
    return ordinal == VMI_ORDINAL_SET_LINEAR_MAPPING || ordinal == VMI_ORDINAL_END_USER_ACCESS;
}

void vmi__checked_noted(uint32_t ordinal)
{
    if (ordinal == VMI_ORDINAL_REBIND)
        vmi__checked_state.rebinding = 0;
}
