/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The alarm of each CPU: it ends the turns of threads. */
#ifndef TIMER_H
#define TIMER_H

#include <stdbool.h>
#include <stdint.h>

/* Length of a turn. */
#define TICK_MILLISECONDS 10

void timer_init(void);
/* On each CPU: starts its periodic alarm. */
void timer_init_cpu(void);

/*
 * Instead of the periodic alarm of this CPU: one after that many microseconds. timer_init_cpu()
 * undoes it.
 */
void timer_one_shot(uint32_t microseconds);
void timer_cancel(void);

/* Whether the periodic alarm of a CPU is on. */
bool timer_is_periodic(uint32_t cpu);

/* In the handler of VECTOR_ALARM: counts an alarm of this CPU. */
void timer_gone_off(void);
/* How often the alarm of a CPU has gone off. */
const volatile uint32_t *timer_alarms(uint32_t cpu);

/* Cycles of VMI_CYCLES_REAL in a time. */
uint64_t timer_cycles(uint32_t microseconds);

#endif
