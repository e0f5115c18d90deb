/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The CPUs that run, and interrupts between them; further ones are started by cpu_start.h. */
#ifndef SMP_H
#define SMP_H

#include <stdbool.h>
#include <stdint.h>
#include <vmi/vmi.h>

/*
 * Remembers the CPUs of the boot information and sets the handler of VECTOR_TLB. Starts none.
 */
void smp_init(const struct vmi_boot_info *boot);

/*
 * Has a CPU begin in a state and waits until it has called smp_is_online(). 0, a VMI error, or
 * VMI_EIO if it stays silent.
 */
int32_t smp_launch(uint32_t cpu, const struct vmi_ap_state *state);
void smp_is_online(uint32_t cpu);

/*
 * On a further CPU that is about to stop, with interrupts let in: from the return on nobody waits
 * for it, and nothing is asked of it.
 */
void smp_is_offline(uint32_t cpu);

/* Waits until a CPU that is not online has stopped: its stack is free then. 0 or VMI_EIO. */
int32_t smp_await_stop(uint32_t cpu);

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
