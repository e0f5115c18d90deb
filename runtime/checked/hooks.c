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
 * The calling CPU's place, by the local APIC's first identifier (Intel SDM vol. 2A, CPUID leaf 1),
 * for CurrentCPU may look where GS leads to, and that may be a process's place.
 */
static uint32_t this_cpu(void)
{
    uint32_t eax = 1, ebx, ecx = 0, edx;

    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return (ebx >> 24) % VMI__CHECKED_CPUS;
}

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

static void check(const struct vmi__call *call, const struct vmi__checked_call *checked,
                  bool by_jump)
{
    for (uint32_t rules = checked->rules; rules; rules &= rules - 1) {
        const struct vmi__rule *rule = &vmi__rules[__builtin_ctz(rules)];
        struct vmi__finding finding;

        finding.values[0].name = finding.values[1].name = NULL;
        if (!rule->check(call, &finding))
            vmi__checked_broken(checked, rule, &finding, by_jump ? 0 : call->frame->stack[0]);
    }
}

static void start(void)
{
    started = true;
    vmi__checked_start();
    vmi__frames_start();
}

static bool is_jump(uint32_t ordinal)
{
#ifdef __x86_64__
    return ordinal == VMI_ORDINAL_IRET || ordinal == VMI_ORDINAL_SYSRET;
#else
    return ordinal == VMI_ORDINAL_IRET || ordinal == VMI_ORDINAL_SYSEXIT;
#endif
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
    call.cpu = this_cpu();
    if (take(call.cpu, !checked->nmi)) {
        if (!started)
            start();
        calls++;
        check(&call, checked, is_jump(ordinal));
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
