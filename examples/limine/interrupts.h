/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef INTERRUPTS_H
#define INTERRUPTS_H

#include <stdint.h>

#define VECTOR_ALARM 0x40

/* How many alarms have gone off. */
extern volatile uint32_t alarms;

/* What entry.S calls. */
void on_interrupt(void);

/* entry.S: where the gate leads. */
void interrupt_entry(void);

#endif
