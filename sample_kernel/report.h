/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What the kernel says about its run after its checks (docs/architecture.md, "Guest output"). */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>
#include <vmi/vmi.h>

#include "ktap.h"

/* Marks for a log of all hypercalls that is kept outside. */
#define SNAPSHOT_MARK 0x43494d56 /* right after the counts were copied ("VMIC", little endian) */
#define WORKLOAD_MARK 0x57494d56 /* around each that is counted by itself (bench.h) */

/*
 * Makes a mark: SetDR(0, number), which is a hypercall where it is one, then CPUID of that leaf,
 * which a hypervisor with hardware virtualization sees.
 */
void mark(uint32_t number);

/* Hypercalls so far, of all CPUs. */
uint64_t hypercalls_made(void);

/*
 * Takes all counts at one instant. Interrupts are masked for good and other CPUs parked, so that
 * nothing moves them.
 */
void report_count(void);

/* Prints what report_count() has taken. exact: all other CPUs were parked before. */
void report(const struct vmi_boot_info *boot, const struct ktap_result *result, bool exact);

#endif
