/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What the gates lead to, above all that a handler may be: called by entry.S. */
#ifndef DISPATCH_H
#define DISPATCH_H

#include "frame.h"

/*
 * Calls the handler of the frame's vector. Without one, or if a page fault is not resolved, it ends
 * the attempt, the process or the kernel that raised it.
 */
void trap_dispatch(struct trap_frame *frame) FROM_ASSEMBLY;
#ifdef __x86_64__
/* The same for what came on a stack of its own. */
void trap_dispatch_anywhere(struct trap_frame *frame);
#endif

/* Sets the handler of page faults. */
void dispatch_init(void);

#endif
