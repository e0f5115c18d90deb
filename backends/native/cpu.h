/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The processor's instructions, for the library's own routines, and a lock made of them.
 */
#ifndef VMI_NATIVE_CPU_H
#define VMI_NATIVE_CPU_H

#include <stdbool.h>
#include <stdint.h>

#define VMI__EFLAGS_IF 0x200u

#define VMI__CPUID_1_ECX_X2APIC     (1u << 21)
#define VMI__CPUID_1_ECX_DEADLINE   (1u << 24) /* of the local APIC's timer */
#define VMI__CPUID_1_ECX_HYPERVISOR (1u << 31) /* there is one below */

static inline void vmi__outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void vmi__outw(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void vmi__outl(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t vmi__inb(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline uint16_t vmi__inw(uint16_t port)
{
    uint16_t value;

    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline uint32_t vmi__inl(uint16_t port)
{
    uint32_t value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline uint64_t vmi__rdtsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

/*
 * The TSC, not before what stands before it in the program (Intel SDM vol. 2B, RDTSC). For
 * processors with SSE2.
 */
static inline uint64_t vmi__rdtsc_ordered(void)
{
    __asm__ volatile("lfence" : : : "memory");
    return vmi__rdtsc();
}

static inline uint64_t vmi__rdmsr(uint32_t index)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index) : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void vmi__wrmsr(uint32_t index, uint64_t value)
{
    __asm__ volatile("wrmsr"
                     :
                     : "c"((uintptr_t)index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

struct vmi__cpuid {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct vmi__cpuid vmi__cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct vmi__cpuid id;

    __asm__("cpuid"
            : "=a"(id.eax), "=b"(id.ebx), "=c"(id.ecx), "=d"(id.edx)
            : "0"(leaf), "2"(subleaf));
    return id;
}

static inline void vmi__pause(void)
{
    __asm__ volatile("pause" : : : "memory");
}

/* Stops this CPU for good. */
static inline void __attribute__((noreturn)) vmi__stop(void)
{
    for (;;)
        __asm__ volatile("cli; hlt" : : : "memory");
}

/* Masks interrupts; returns the flags for vmi__irq_restore. */
static inline uint32_t vmi__irq_save(void)
{
    uintptr_t flags;

    __asm__ volatile("pushf; pop %0; cli" : "=r"(flags) : : "memory");
    return (uint32_t)flags;
}

static inline void vmi__irq_restore(uint32_t flags)
{
    if (flags & VMI__EFLAGS_IF)
        __asm__ volatile("sti" : : : "memory");
}

/* A lock between CPUs that also keeps interrupts of this CPU out; 0 is free. */
struct vmi__lock {
    volatile uint32_t held;
};

static inline uint32_t vmi__lock(struct vmi__lock *lock)
{
    uint32_t flags = vmi__irq_save();

    while (__sync_lock_test_and_set(&lock->held, 1)) {
        while (lock->held)
            vmi__pause();
    }
    return flags;
}

static inline void vmi__unlock(struct vmi__lock *lock, uint32_t flags)
{
    __sync_lock_release(&lock->held);
    vmi__irq_restore(flags);
}

#endif
