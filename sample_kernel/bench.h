/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Measurements instead of checks, asked for by bench=calls, bench=workloads, bench=interrupts or
 * bench=map. Ends the machine.
 */
#ifndef BENCH_H
#define BENCH_H

void bench(const char *word) __attribute__((noreturn));

#endif
