/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The two functions of the flavour `checked`.
 */
#include "frames.h"
#include "say.h"
#include "state.h"

/* By which tools know a kernel that is linked with the flavour (ci/flavour.py). */
static const char mark[] __attribute__((used)) = "vmi-flavour checked";

/* Turns of waiting for the lock that a call makes which may have interrupted its holder. */
#define PATIENCE 100000u

/* Number of the CPU that holds the lock, plus 1. */
static uint32_t lock_holder;
static uint32_t calls;
static bool started;

/*
 * Interrupts are masked. Whether the lock is had; not where this CPU holds it already, for an
 * exception may come in the middle of a check, also of a kernel that is stepped through.
 */
static bool take(uint32_t cpu, bool for_good)
{
    uint32_t self = cpu + 1, holder;

    for (uint32_t turns = 0; for_good || turns < PATIENCE; turns++) {
        holder = 0;
        if (__atomic_compare_exchange_n(&lock_holder, &holder, self, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return true;
        if (holder == self)
            return false;
        __asm__ volatile("pause");
    }
    return false;
}

static void check(const struct vmi__call *call, const struct vmi__checked_call *checked)
{
    for (uint32_t rules = checked->rules; rules; rules &= rules - 1) {
        const struct vmi__rule *rule = &vmi__rules[__builtin_ctz(rules)];
        struct vmi__finding finding;

        finding.values[0].name = finding.values[1].name = NULL;
        if (!rule->check(call, &finding))
            vmi__checked_broken(checked, rule, &finding,
                                vmi__flavour_caller(call->ordinal, call->frame));
    }
}

static void start(void)
{
    started = true;
    vmi__checked_start();
    vmi__frames_start();
}

static bool is_end(uint32_t ordinal)
{
    return ordinal == VMI_ORDINAL_SHUTDOWN_REASON || ordinal == VMI_ORDINAL_SHUTDOWN ||
           ordinal == VMI_ORDINAL_REBOOT;
}

VMI__ROUTINE void vmi__flavour_enter(uint32_t ordinal, struct vmi__flavour_frame *frame)
{
    const struct vmi__checked_call *checked = &vmi__checked_calls[ordinal];
    struct vmi__call call = {.ordinal = ordinal, .frame = frame};

    if (!checked->rules && !vmi__checked_noting(ordinal) && !is_end(ordinal))
        return;
    __asm__ volatile("cli" : : : "memory");
    call.cpu = vmi__flavour_cpu() % VMI__CHECKED_CPUS;
    if (take(call.cpu, !checked->nmi)) {
        if (!started)
            start();
        calls++;
        check(&call, checked);
        vmi__checked_note(&call);
        if (is_end(ordinal))
            vmi__checked_end(calls);
        __atomic_store_n(&lock_holder, 0, __ATOMIC_RELEASE);
    }
    if (frame->flags & VMI__FLAG_INTERRUPT)
        __asm__ volatile("sti" : : : "memory");
}

VMI__ROUTINE void vmi__flavour_leave(uint32_t ordinal, struct vmi__flavour_frame *frame)
{
    (void)frame;
    vmi__checked_noted(ordinal);
}
