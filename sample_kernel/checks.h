/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The lists of checks, one per file checks_*.c, each ended by a null name. */
#ifndef CHECKS_H
#define CHECKS_H

#include <stdbool.h>
#include <vmi/vmi.h>

#include "checks_arch.h"
#include "ktap.h"

extern const struct check checks_boot[], checks_descriptors[], checks_processor[], checks_traps[],
    checks_interrupts[], checks_clocks[], checks_time[], checks_paging[], checks_threads[],
    checks_processes[], checks_cpus[], checks_devices[], checks_supervisor[], checks_events[],
    checks_no_execute[], checks_device_memory[], checks_disks[], checks_networks[],
    checks_entropy[], checks_rebind[], checks_other_processor[], checks_request_key[],
    checks_request_power_off[], checks_request_reboot[], checks_request_nobody[], checks_life[],
    checks_suspend[], checks_balloon[], checks_liars[];

/* arch/ARCH: those that need the other CPUs, which checks_cpus[0] has started. */
extern const struct check checks_entries_cpus[];

/* For the checks that compare with it; set before any check runs. */
extern const struct vmi_boot_info *checks_boot_info;

/*
 * For checks_life.c and checks_liars.c: the first disk is written to and read, the first network
 * answers an echo, the round's. Why not, or null; null where there is none.
 */
const char *disk_goes_on(uint32_t round);
const char *network_goes_on(uint32_t round);

/*
 * For checks_life.c, of checks_suspend.c: has this CPU, the first, and a set of others make the
 * call Suspend; its result here. The others have answered then (cpus_wait_for_answers), or will.
 */
int32_t suspend_on_all(uint32_t others);

/*
 * For checks_suspend.c: the first disk, if there is one that can be written to, is given writes and
 * reads, and its event is bound; later all of these have ended, *ended in number, each once and
 * well. Why not, or null.
 */
const char *disk_is_busy(void);
const char *disk_was_busy(uint32_t *ended);

/*
 * For checks_suspend.c and checks_life.c, of checks_cpus.c: the set of CPUs that have answered
 * since it was made 0, by the handler of an interrupt or by a thread; and waiting for a set of them
 * and no others, false if that does not come about.
 */
struct trap_frame;
extern volatile uint32_t cpus_answered;
void cpus_answer_interrupt(struct trap_frame *frame);
void cpus_answer(void *argument);
bool cpus_wait_for_answers(uint32_t cpus);

/*
 * For checks_suspend.c and checks_life.c, of checks_requests.c: has requests from outside tell that
 * they came, once and for all. False, and said, where nobody can ask for anything.
 */
bool requests_bind(void);
/*
 * For arch/ARCH, of checks_processes.c: runs a program twice at a time, in turns on this CPU; both
 * must end with status 0.
 */
struct program;
void run_two(const struct program *program);

/*
 * For checks_requests.c, of checks_balloon.c: gives memory and takes it, as somebody outside has it
 * do.
 */
void memory_by_target(void);
extern volatile uint32_t requests_came;

/*
 * The checks that option test=WORD asks for: one that fails, never returns, faults, panics, waits
 * for another processor or a request from outside (key, poweroff, reboot, suspend; nobody: for
 * which nothing is bound; life: all events of option life=), wants networks that lie (liars) or
 * moves memory to a balloon and back (balloon), for tests of whatever watches this kernel. An empty
 * list for the empty word, null for an unknown one.
 */
const struct check *checks_on_purpose(const char *word);

#endif
