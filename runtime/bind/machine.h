/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Which machine is bound for: the one that this is compiled for, or what a build machine says that
 * binds for another.
 */
#ifndef VMI_RUNTIME_BIND_MACHINE_H
#define VMI_RUNTIME_BIND_MACHINE_H

#if defined(__x86_64__) && !defined(VMI__BIND_I386)
#include "arch/x86_64/machine.h"
#else
#include "arch/i386/machine.h"
#endif

#endif
