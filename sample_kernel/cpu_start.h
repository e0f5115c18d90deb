/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Starts further CPUs. */
#ifndef CPU_START_H
#define CPU_START_H

#include <stdint.h>

/* Starts a CPU and waits until it runs threads. 0, a VMI error, or VMI_EIO if it stays silent. */
int32_t cpu_start(uint32_t cpu);

#endif
