/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What keeps the kernel itself from pages of processes, where the processor has it: SMEP and SMAP.
 */
#ifndef SUPERVISOR_H
#define SUPERVISOR_H

#include <stdint.h>

/* Those of CR4_SMEP and CR4_SMAP that this kernel turns on: all that an x86-64 processor has. */
uintptr_t supervisor_prevention(void);

/* Turns them on, on this CPU. Further CPUs start with the first one's CR4. */
void supervisor_init_cpu(void);

#endif
