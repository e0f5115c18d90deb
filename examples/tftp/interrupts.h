/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Interrupts, time and waiting. Interrupts come while the kernel waits, and at no other time. */
#ifndef INTERRUPTS_H
#define INTERRUPTS_H

#include <stdint.h>
#include <vmi/vmi.h>

#define NEVER UINT64_MAX

void interrupts_begin(const struct vmi_boot_info *boot);

/* Has the event of a device's queue end a wait. Ends the kernel if that cannot be. */
void interrupts_bind(uint32_t device, uint32_t queue);

/* The time now, in a unit of which a second has clock_second(). */
uint64_t clock_now(void);
uint64_t clock_second(void);

/* How many interrupts have come. */
uint32_t interrupts_seen(void);

/*
 * Waits until more interrupts have come than `seen`, or until that time. Whoever waits has asked
 * for the number before it has looked for what an interrupt would tell: one may have come while
 * something else was waited for.
 */
void interrupts_wait(uint32_t seen, uint64_t until);

#endif
