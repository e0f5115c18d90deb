/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The lists of checks of x86-64 alone, to stand among the others. */
#ifndef CHECKS_ARCH_H
#define CHECKS_ARCH_H

#include "ktap.h"

extern const struct check checks_segments[], checks_entries[], checks_identifiers[];

#define CHECKS_ARCH checks_segments, checks_entries, checks_identifiers

#endif
