/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The host's time, and the time that the host has taken.
 */
#include <vmware/hypercalls.h>
#include "vmware.h"
#include <vmware/routines.h>
#include <native/routines.h>

#define NANOSECONDS                 1000000000u /* per second */
#define NANOSECONDS_PER_MICROSECOND 1000

/* Nanoseconds are cycles times a multiplier, shifted right by this: for a TSC of 16 MHz and more.
 */
#define SHIFT 26

static uint32_t multiplier;

static struct cpu {
    struct vmware__steal_time time;
    bool asked, counted;
} cpus[VMI__CPUS_FEW], *cpus_more;

static struct cpu *cpu_of(uint32_t number)
{
    return VMI__CPU_ROW(cpus, cpus_more, number);
}

VMI__ROUTINE uint64_t vmi__vmware_get_wallclock_time(void)
{
    struct vmi__vmware_answer answer;

    if (!vmi__vmware_tells_time)
        return vmi__native_get_wallclock_time();
    vmi__vmware_get_time_full(&answer);
    return ((uint64_t)answer.esi << 32 | answer.edx) * NANOSECONDS +
           answer.ebx * NANOSECONDS_PER_MICROSECOND;
}

/* Each CPU asks once; a later one only if the first was answered. */
static bool ask_steal_clock(uint32_t number)
{
    struct cpu *cpu = cpu_of(number);
    uint64_t address = vmi__physical(&cpu->time);

    cpu->asked = true;
    cpu->counted = (uint32_t)vmi__vmware_hypercall_steal_clock(0, (uint32_t)(address >> 32),
                                                               (uint32_t)address) ==
                   VMWARE__STEAL_CLOCK_ENABLED;
    return cpu->counted;
}

void vmi__native_cpu_identified(uint32_t number)
{
    if (vmi__vmware_counts_stolen_time && !cpu_of(number)->asked)
        ask_steal_clock(number);
}

void vmi__native_cpu_forgotten(uint32_t number)
{
    cpu_of(number)->asked = cpu_of(number)->counted = false;
}

void vmi__vmware_time_init(void)
{
    struct vmi__vmware_answer answer;
    uint32_t khz = (uint32_t)vmi__div64(vmi__native_tsc_hz, 1000);

    cpus_more = vmi__cpu_rows(sizeof(*cpus_more));
    if (!vmi__vmware_present)
        return;
    multiplier = (uint32_t)vmi__div64(1000000ull << SHIFT, khz);
    vmi__vmware_get_time_full(&answer);
    vmi__vmware_tells_time = answer.eax == VMWARE__MAGIC;
    vmi__vmware_counts_stolen_time = ask_steal_clock(0);
}

VMI__ROUTINE uint64_t vmi__vmware_steal_time(void)
{
    struct cpu *cpu;
    uint32_t interrupts;
    uint64_t cycles = 0;

    if (!vmi__vmware_counts_stolen_time)
        return 0;
    interrupts = vmi__irq_save();
    cpu = cpu_of(vmi__native_cpu());
    if (cpu->counted)
        /* Read whole, as it is written: a comparison with 0 that replaces it by 0. */
        cycles = __sync_val_compare_and_swap(&cpu->time.cycles, 0, 0);
    vmi__irq_restore(interrupts);
    return vmi__scale(cycles, multiplier, SHIFT);
}
