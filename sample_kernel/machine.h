/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What there is of the machine, in lines that help whoever has not got it (docs/machines.md). */
#ifndef MACHINE_H
#define MACHINE_H

#include <vmi/vmi.h>

/* Prints them. Before other CPUs are started: what is mapped meanwhile is seen by this one alone.
 */
void machine_report(const struct vmi_boot_info *boot);

/* With the option end=key: waits for a key, so that a screen is not switched off before it is read.
 */
void machine_wait_for_key(const struct vmi_boot_info *boot);

#endif
