/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Further CPUs. */
#ifndef SMP_H
#define SMP_H

#include <stdbool.h>
#include <stdint.h>
#include <vmi/vmi.h>

/*
 * Remembers the CPUs of the boot information and the handlers of interrupts between them. Starts
 * none.
 */
void smp_init(const struct vmi_boot_info *boot);

/* The state in which a further CPU begins: in `code`, on `stack`, as the kernel has its own CPUs.
 */
struct vmi_ap_state smp_first_state(uint32_t cpu, void (*code)(void), const void *stack);

/* Starts a CPU and waits until it runs threads. 0, a VMI error, or VMI_EIO if it stays silent. */
int32_t smp_start(uint32_t cpu);

uint32_t smp_cpu_count(void);
/* Set of the CPUs that run threads. */
uint32_t smp_online(void);
/* How many CPUs a set holds. */
uint32_t smp_set_size(uint32_t cpus);

/*
 * Tells CPUs (those of the set that are online) that there may be a thread for them. A hint: their
 * alarm does as much.
 */
void smp_reschedule(uint32_t cpus);

/*
 * Wakes a CPU that waits in vmi_halt(), by an interrupt if the library knows no gentler way. 0 or a
 * VMI error.
 */
int32_t smp_kick(uint32_t cpu);

/*
 * Drops translations on the other CPUs of a set and returns when none of them uses the old ones.
 * The caller is bound to its CPU, holds no lock and lets interrupts in: another CPU may be waiting
 * for it.
 */
void smp_flush_tlb(uint32_t cpus, uintptr_t address, uint32_t pages);

/*
 * Stops all other CPUs for good: they spin with interrupts masked and call nothing. True if all of
 * them have. Leaves interrupts masked, for this CPU's own handlers would stop it as well. For the
 * report, whose numbers must not move while it is written.
 */
bool smp_park_others(void);

/* The counts are taken: what parked CPUs still do is of no account. */
void smp_parked_may_call(void);
/* In the handlers of alarm and reschedule interrupts. */
void smp_park_if_asked(void);

#endif
