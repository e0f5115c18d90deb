/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What keeps the kernel itself from pages of processes, where the processor has it: SMEP and SMAP.
 */
#ifndef SUPERVISOR_H
#define SUPERVISOR_H

#include <stdint.h>

/* Bits of CR4 that this processor has of CR4_SMEP and CR4_SMAP. */
uintptr_t supervisor_prevention(void);

/* Turns them on, on this CPU. Further CPUs start with the first one's CR4. */
void supervisor_init_cpu(void);

#endif
