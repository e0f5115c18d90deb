/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Between the entry points of arch/ARCH/events.S and events.c.
 */
#ifndef VMI_XEN_FRAMES_H
#define VMI_XEN_FRAMES_H

#ifdef __x86_64__
#include "arch/x86_64/frames.h"
#else
#include "arch/i386/frames.h"
#endif

#endif
