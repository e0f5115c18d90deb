/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What the kernel says about its run after its checks (docs/architecture.md, "Guest output"). */
#ifndef REPORT_H
#define REPORT_H

#include <vmi/vmi.h>

#include "ktap.h"

/*
 * Takes all counts at one instant and prints them. Parks the other CPUs and leaves interrupts
 * masked, for nothing is to follow but the end.
 */
void report(const struct vmi_boot_info *boot, const struct ktap_result *result);

#endif
