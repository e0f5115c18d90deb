/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef ALARMS_H
#define ALARMS_H

#include "ktap.h"

/* Alarms by expiries and periods from all of 64 bits. */
extern const struct check checks_alarms[];

#endif
