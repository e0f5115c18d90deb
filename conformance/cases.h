/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What checks of behaviour share with the arguments of the register contracts. */
#ifndef CASES_H
#define CASES_H

#include <stdint.h>

/* Binds the console's event. */
void cases_bind_console(void);
/* The event, or the error that binding it gave. */
int32_t cases_console_event(void);

#endif
