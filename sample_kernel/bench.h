/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Measurements instead of checks, asked for by bench=calls, bench=workloads, bench=interrupts or
 * bench=map. Ends the machine.
 */
#ifndef BENCH_H
#define BENCH_H

/*
 * bench=one op=NAME rounds=N: one operation by itself, for measuring from outside (bench_one.c).
 */
void bench_one(void);

/* bench=workloads: what kernels do, whole (bench_workloads.c). */
void bench_workloads(void);

/*
 * Without an option: hypercalls of some of these, over few rounds. Counted while no other CPU is
 * up, and with no alarm but those that are counted; said later, among the checks' lines.
 */
void workloads_count(void);
void workloads_report(void);

/* Starts the other CPUs and silences every alarm. */
void bench_start_cpus(void);

void bench(const char *word) __attribute__((noreturn));

#endif
