/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef BEHAVIOUR_H
#define BEHAVIOUR_H

#include <stdbool.h>
#include <stdint.h>

#include "ktap.h"

/* Before and after the sample kernel's own checks of further CPUs. */
extern const struct check checks_start[], checks_across[];
/* arch/ARCH/ring3.c: ways to ring 3 and back that an architecture has for itself. */
extern const struct check checks_ring3[];

/* Writes so much to the console in a form that the host can check. */
void behaviour_console_data(uint32_t kib);
/*
 * Reads so much of that data from the console, which the host types; whether it came unharmed. Asks
 * for it all the time, or where there was none waits for the console's event first.
 */
bool behaviour_console_input(uint32_t kib, bool by_event);

#endif
