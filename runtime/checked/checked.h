/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The flavour `checked` of a library for the plain machine: what its parts know of each other.
 * Before each call the rules of its `requires` are checked (rules.yaml); what is broken is said on
 * the console, and the call is made all the same.
 */
#ifndef VMI_RUNTIME_CHECKED_H
#define VMI_RUNTIME_CHECKED_H

#include "flavour.h"

/* A call of the kernel's that is about to be made. */
struct vmi__call {
    uint32_t ordinal;
    const struct vmi__flavour_frame *frame;
    uint32_t cpu; /* that makes it: its place in vmi__checked_state.cpus (state.h) */
};

/* What a check has found: in words, and up to two values with their names. */
struct vmi__finding {
    const char *what;
    struct {
        const char *name;
        uint64_t value;
    } values[2];
    uintptr_t store; /* the instruction that did it, if that is known and does not make the call */
};

/* Whether the call keeps a rule; if not, *finding says what was found. */
typedef bool vmi__check(const struct vmi__call *call, struct vmi__finding *finding);

/* A term of the specification. */
struct vmi__rule {
    const char *name, *words, *mend;
    vmi__check *check;
};

/* A call: its page of the reference, a bit for each rule by its place in vmi__rules, and whether an
 * NMI handler may make it. */
struct vmi__checked_call {
    const char *name, *reference;
    uint32_t rules;
    bool nmi;
};

/* A term that a store breaks, not a call: no check of it is made at calls. */
struct vmi__store {
    struct vmi__rule rule;
    const char *reference; /* of the call that asks for it */
};

/* Generated (generate.py). */
extern const struct vmi__store vmi__checked_store_descriptors_by_calls,
    vmi__checked_store_entries_by_calls;
extern const struct vmi__rule vmi__rules[];
extern const struct vmi__checked_call vmi__checked_calls[VMI_ORDINALS];

/* checks_memory.c */
vmi__check vmi__check_apic_by_calls, vmi__check_entry_in_table, vmi__check_frame_not_mapped,
    vmi__check_page_not_mapped_writable, vmi__check_released_top_down,
    vmi__check_tables_allocated_first, vmi__check_top_directory_not_shared,
    vmi__check_tree_not_loaded, vmi__check_user_half_in_both_roots;

/* checks_processor.c */
vmi__check vmi__check_area_begins_with_library, vmi__check_descriptors_dpl,
    vmi__check_direction_clear, vmi__check_frame_on_stack, vmi__check_gates_announced,
    vmi__check_interrupts_masked, vmi__check_lazy_not_preempted, vmi__check_one_cpu_runs,
    vmi__check_pcid_exists, vmi__check_register_exists, vmi__check_selectors_reloaded,
    vmi__check_table_has_own_pages, vmi__check_user_access_ends, vmi__check_xsave_on;

/* An argument of a call of convention c, by its number among the registers and stack words. */
static inline uintptr_t vmi__argument(const struct vmi__call *call, uint32_t number)
{
    const struct vmi__flavour_frame *frame = call->frame;

#ifdef __x86_64__
    const uintptr_t values[] = {frame->rdi, frame->rsi, frame->rdx,
                                frame->rcx, frame->r8,  frame->r9};

    return values[number];
#else
    const uintptr_t values[] = {frame->eax, frame->edx, frame->ecx};

    return number < 3 ? values[number] : frame->stack[1 + number - 3];
#endif
}

/* Fills *finding with words and one value or two; false, for the rule is broken. */
static inline bool vmi__found(struct vmi__finding *finding, const char *what, const char *name,
                              uint64_t value, const char *second, uint64_t other)
{
    finding->what = what;
    finding->values[0].name = name;
    finding->values[0].value = value;
    finding->values[1].name = second;
    finding->values[1].value = other;
    finding->store = 0;
    return false;
}

#define VMI__FRAME_SHIFT    12
#define VMI__FLAG_DIRECTION 0x400u

#endif
