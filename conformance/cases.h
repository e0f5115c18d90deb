/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What the arguments of the register contracts share with each other and with checks of behaviour.
 */
#ifndef CASES_H
#define CASES_H

#include <stdint.h>

#include "contract.h"

#define VECTOR_UNUSED 0xf0

/* Binds the console's event. */
void cases_bind_console(void);
/* The event, or the error that binding it gave. */
int32_t cases_console_event(void);

/* In arguments_…(): a zeroed frame; FRAME_NONE, and the check is skipped, if memory is short. */
uint32_t cases_take_frame(void);

/* arch/ARCH/cases.c: arguments of SetPxELong. */
void cases_give_entry(struct contract_registers *in, uint64_t value, uint64_t *entry);

#endif
