/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The lists of checks of i386 alone, to stand among the others. */
#ifndef CHECKS_ARCH_H
#define CHECKS_ARCH_H

#include "ktap.h"

extern const struct check checks_segments[];

#define CHECKS_ARCH checks_segments

#endif
