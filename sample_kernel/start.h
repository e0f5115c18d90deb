/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef START_H
#define START_H

#include <vmi/vmi.h>

/*
 * Brings all parts up and lets interrupts in. The caller is the first thread (threads_start()): it
 * has a thread's stack, so that traps find a thread from here on.
 */
void start(const struct vmi_boot_info *boot);

#endif
