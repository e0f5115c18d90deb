/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Starts further CPUs, and stops them. */
#ifndef CPU_START_H
#define CPU_START_H

#include <stdint.h>

/* Starts a CPU and waits until it runs threads. 0, a VMI error, or VMI_EIO if it stays silent. */
int32_t cpu_start(uint32_t cpu);

/*
 * Stops a further CPU that runs, and waits until it has; the library has the call StopCPU. What is
 * ready to run there alone waits until cpu_start() starts it again. 0, or VMI_EIO if it goes on.
 */
int32_t cpu_stop(uint32_t cpu);

#endif
