/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What C sources that are the same on every architecture need of the one that they are compiled
 * for. Each arch/ARCH/arch.h defines the same names.
 */
#ifndef VMI_RUNTIME_ARCH_H
#define VMI_RUNTIME_ARCH_H

#ifdef __x86_64__
#include "arch/x86_64/arch.h"
#else
#include "arch/i386/arch.h"
#endif

#endif
