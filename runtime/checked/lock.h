/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The lock of what the flavour `checked` remembers, and of what it says.
 */
#ifndef VMI_RUNTIME_CHECKED_LOCK_H
#define VMI_RUNTIME_CHECKED_LOCK_H

#include "checked.h"

/* Turns of waiting for the lock that a call makes which may have interrupted its holder. */
#define VMI__CHECKED_PATIENCE 100000u

/* Number of the CPU that holds the lock, plus 1. */
extern uint32_t vmi__checked_holder;

/*
 * Interrupts are masked. Whether the lock is had; not where this CPU holds it already, for an
 * exception may come in the middle of a check, also of a kernel that is stepped through. Who may
 * have interrupted its holder waits for a while only (`for_good` is false).
 */
static inline bool vmi__checked_take(uint32_t cpu, bool for_good)
{
    uint32_t self = cpu + 1, holder;

    for (uint32_t turns = 0; for_good || turns < VMI__CHECKED_PATIENCE; turns++) {
        holder = 0;
        if (__atomic_compare_exchange_n(&vmi__checked_holder, &holder, self, false,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return true;
        if (holder == self)
            return false;
        __asm__ volatile("pause");
    }
    return false;
}

static inline void vmi__checked_give(void)
{
    __atomic_store_n(&vmi__checked_holder, 0, __ATOMIC_RELEASE);
}

#endif
