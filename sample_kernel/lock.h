/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The interrupt mask, and locks that are held with interrupts masked. */
#ifndef LOCK_H
#define LOCK_H

#include <stdint.h>
#include <vmi/vmi.h>

/* Masks interrupts; returns the mask as it was, for interrupts_restore(). */
static inline uint32_t interrupts_mask(void)
{
    uint32_t flags = (uint32_t)vmi_get_interrupt_mask();
    vmi_disable_interrupts();
    return flags;
}

static inline void interrupts_restore(uint32_t flags)
{
    vmi_set_interrupt_mask(flags);
}

/*
 * For the inside of a loop that waits for another CPU: spins for a moment, then gives this CPU's
 * time away, for under a hypervisor the other one may be a virtual CPU that does not run right now.
 */
static inline void relax(void)
{
    for (int i = 0; i < 64; i++)
        __asm__ volatile("pause");
    vmi_yield();
}

/*
 * A spinlock is held with interrupts masked: a holder is never preempted, and a handler may take
 * any lock.
 */
struct spinlock {
    uint32_t held;
};

static inline uint32_t lock_acquire(struct spinlock *lock)
{
    uint32_t flags = interrupts_mask();
    while (__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE))
        relax();
    return flags;
}

/* Leaves interrupts masked. */
static inline void lock_release_masked(struct spinlock *lock)
{
    __atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
}

static inline void lock_release(struct spinlock *lock, uint32_t flags)
{
    lock_release_masked(lock);
    interrupts_restore(flags);
}

#endif
