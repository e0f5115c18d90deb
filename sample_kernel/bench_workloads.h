/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef BENCH_WORKLOADS_H
#define BENCH_WORKLOADS_H

/* bench=workloads: what kernels do, whole. */
void bench_workloads(void);

/*
 * Without an option: hypercalls of some of these, over few rounds. Counted while no other CPU is
 * up, and with no alarm but those that are counted; said later, among the checks' lines.
 */
void workloads_count(void);
void workloads_report(void);

#endif
