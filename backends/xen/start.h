/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Between entry.S and the library, which is linked with it or bound to it when the kernel starts.
 */
#ifndef VMI_XEN_START_H
#define VMI_XEN_START_H

struct start_info;

/* Takes the domain over from its builder, in ring 1 on the boot stack, and ends in the kernel. */
void vmi__xen_start(const struct start_info *info) __attribute__((regparm(3), noreturn));

#endif
