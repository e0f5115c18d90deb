/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Gates and descriptors as the processor has them on each architecture, for descriptors.c.
 */
#ifndef VMI_XEN_GATES_H
#define VMI_XEN_GATES_H

#ifdef __x86_64__
#include "arch/x86_64/gates.h"
#else
#include "arch/i386/gates.h"
#endif

#endif
