/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <stddef.h>

#include "cpus.h"
#include "current.h"
#include "identifiers.h"
#include "layout.h"
#include "lock.h"
#include "patience.h"
#include "smp.h"
#include "traps.h"
#include "x86.h"

/* How long a CPU may take to come up: a nested hypervisor on a busy machine is slow. */
#define START_MILLISECONDS PATIENCE_MILLISECONDS
#define PARK_MILLISECONDS  PATIENCE_MILLISECONDS

static const struct vmi_boot_info *boot_info;
static volatile uint32_t online = 1; /* set of CPUs; the first one runs this */
static volatile uint32_t parking, parked, counted;

/* The present request of smp_flush_tlb(), one at a time. */
static struct {
    struct spinlock lock;
    uintptr_t address;
    uint32_t pages;
    volatile uint32_t pending; /* CPUs that have not answered yet */
} shootdown;

/* Interrupts stay as they are while this waits: another CPU may be waiting for this one. */
static void shootdown_begin(void)
{
    while (__atomic_exchange_n(&shootdown.lock.held, 1, __ATOMIC_ACQUIRE))
        relax();
}

/*
 * InvalPage, and FlushTLB without global translations, are for the identifier in use. What is asked
 * for here is the kernel's part, which all have.
 */
static void flush(uintptr_t address, uint32_t pages)
{
    if (identifiers_on) {
        vmi_flush_tlb(VMI_FLUSH_TLB | VMI_FLUSH_GLOBAL);
        return;
    }
    if (pages == 0)
        vmi_flush_tlb(VMI_FLUSH_TLB);
    for (uint32_t i = 0; i < pages; i++)
        vmi_inval_page(address + ((uintptr_t)i << PAGE_SHIFT));
}

static void flush_requested(struct trap_frame *frame)
{
    flush(shootdown.address, shootdown.pages);
    __atomic_and_fetch(&shootdown.pending, ~(1u << cpu_current()), __ATOMIC_RELEASE);
    vmi_end_of_interrupt(frame->vector);
}

void smp_init(const struct vmi_boot_info *boot)
{
    boot_info = boot;
    trap_handler_set(VECTOR_TLB, flush_requested);
}

uint32_t smp_cpu_count(void)
{
    return cpus_known(boot_info);
}

uint32_t smp_online(void)
{
    return online;
}

uint32_t smp_set_size(uint32_t cpus)
{
    uint32_t size = 0;
    for (; cpus != 0; cpus &= cpus - 1)
        size++;
    return size;
}

void smp_is_online(uint32_t cpu)
{
    __atomic_or_fetch(&online, 1u << cpu, __ATOMIC_RELEASE);
}

/*
 * Who holds the lock waits for CPUs that were online when it took it: so it is held here, and
 * interrupts come meanwhile.
 */
void smp_is_offline(uint32_t cpu)
{
    shootdown_begin();
    __atomic_and_fetch(&online, ~(1u << cpu), __ATOMIC_RELEASE);
    lock_release_masked(&shootdown.lock);
}

int32_t smp_await_stop(uint32_t cpu)
{
    struct patience patience;
    int32_t state;

    patience_begin(&patience, START_MILLISECONDS);
    while ((state = vmi_cpu_state(cpu)) >= 0 && state & VMI_CPU_RUNS && patience_left(&patience))
        relax();
    return state >= 0 && !(state & VMI_CPU_RUNS) ? VMI_OK : VMI_EIO;
}

int32_t smp_launch(uint32_t cpu, const struct vmi_ap_state *state)
{
    int32_t result = vmi_set_initial_ap_state(state, boot_info->cpus[cpu].apic_id);
    if (result != VMI_OK)
        return result;
    struct patience patience;
    patience_begin(&patience, START_MILLISECONDS);
    while (!(online & 1u << cpu)) {
        if (!patience_left(&patience))
            return VMI_EIO;
        relax();
    }
    return VMI_OK;
}

void smp_reschedule(uint32_t cpus)
{
    cpus &= online;
    if (cpus != 0)
        cpus_interrupt(cpus, VECTOR_RESCHEDULE);
}

int32_t smp_kick(uint32_t cpu)
{
    int32_t result = vmi_kick(cpu);
    return result == VMI_ENOSYS ? cpus_interrupt(1u << cpu, VECTOR_RESCHEDULE) : result;
}

void smp_flush_tlb(uint32_t cpus, uintptr_t address, uint32_t pages)
{
    cpus &= online & ~(1u << cpu_current());
    if (cpus == 0 || cpus_flush_tlb(cpus, address, pages) == VMI_OK)
        return;

    shootdown_begin();
    cpus &= online; /* one may have stopped since */
    shootdown.address = address;
    shootdown.pages = pages;
    __atomic_store_n(&shootdown.pending, cpus, __ATOMIC_RELEASE);
    cpus_interrupt(cpus, VECTOR_TLB);
    while (__atomic_load_n(&shootdown.pending, __ATOMIC_ACQUIRE) != 0)
        relax();
    lock_release_masked(&shootdown.lock);
}

void smp_park_if_asked(void)
{
    if (!parking)
        return;
    __atomic_add_fetch(&parked, 1, __ATOMIC_RELEASE);
    while (!counted)
        __asm__ volatile("pause"); /* not vmi_yield(), which would count itself */
    /* CPUID leaves a guest of virtualized hardware, which holds its processor up to nobody so. */
    for (;;) {
        uint32_t eax, ebx, ecx, edx;
        vmi_cpuid(0, 0, &eax, &ebx, &ecx, &edx);
    }
}

void smp_parked_may_call(void)
{
    counted = 1;
}

bool smp_park_others(void)
{
    uint32_t others = online & ~(1u << cpu_current());
    uint32_t wanted = smp_set_size(others);

    vmi_disable_interrupts();
    if (others == 0)
        return true;
    parking = 1;
    cpus_interrupt(others, VECTOR_RESCHEDULE);
    struct patience patience;
    patience_begin(&patience, PARK_MILLISECONDS);
    while (parked < wanted && patience_left(&patience))
        relax();
    return parked == wanted;
}
