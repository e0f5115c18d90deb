/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef START_H
#define START_H

/*
 * The first thread of a kernel that is made of these parts: all of them are up, interrupts are let
 * in. Defined by each such kernel.
 */
void kernel_start(void);

#endif
