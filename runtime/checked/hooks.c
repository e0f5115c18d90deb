/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The two functions of the flavour `checked`.
 */
#include "endbr.h"
#include "frames.h"
#include "lock.h"
#include "say.h"
#include "state.h"
#include "watch.h"

/* By which tools know a kernel that is linked with the flavour (ci/flavour.py). */
static const char mark[] __attribute__((used)) = "vmi-flavour checked";

#define CR0_PG 0x80000000u

static uint32_t calls;
static bool started;

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

/*
 * Before the kernel, with its constructors: memory is claimed for tables here and no later. Not in
 * a kernel without page tables, nor in one that the library does not know yet (Attach).
 */
VMI__ADDRESS_TAKEN static void __attribute__((constructor(101))) begin(void)
{
    uintptr_t cr0;

    __asm__("mov %%cr0, %0" : "=r"(cr0));
    if (started || !(cr0 & CR0_PG) || !vmi__boot.linear_pages)
        return;
    vmi__checked_watch_start();
    start();
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
    bool watched = vmi__checked_watched(ordinal);

    if (!checked->rules && !vmi__checked_noting(ordinal) && !watched && !is_end(ordinal))
        return;
    __asm__ volatile("cli" : : : "memory");
    call.cpu = vmi__flavour_cpu() % VMI__CHECKED_CPUS;
    if (vmi__checked_take(call.cpu, !checked->nmi)) {
        if (!started)
            start();
        calls++;
        check(&call, checked);
        vmi__checked_note(&call);
        if (watched || vmi__checked_opened)
            vmi__checked_watch_note(&call);
        if (is_end(ordinal))
            vmi__checked_end(calls);
        vmi__checked_give();
    }
    if (watched)
        vmi__checked_watch_enter(&call, frame);
    if (frame->flags & VMI__FLAG_INTERRUPT)
        __asm__ volatile("sti" : : : "memory");
}

VMI__ROUTINE void vmi__flavour_leave(uint32_t ordinal, struct vmi__flavour_frame *frame)
{
    vmi__checked_noted(ordinal);
    if (vmi__checked_watched(ordinal))
        vmi__checked_watch_leave(frame);
}
