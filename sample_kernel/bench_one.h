/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef BENCH_ONE_H
#define BENCH_ONE_H

/*
 * bench=one op=NAME,… rounds=N: operations by themselves, for measuring from outside.
 */
void bench_one(void);

/* Starts the other CPUs and silences every alarm. */
void bench_start_cpus(void);

#endif
