/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Where things lie in linear space (docs/architecture.md, "Boot contract"); for C, assembly and
 * the linker script's reader.
 */
#ifndef VMI_RUNTIME_LAYOUT_H
#define VMI_RUNTIME_LAYOUT_H

#ifdef __x86_64__
#include "arch/x86_64/layout.h"
#else
#include "arch/i386/layout.h"
#endif

/* Pages of the device window; those from SCRATCH on are borrowed for a while. */
#define VMI__WINDOW_SLOTS   512
#define VMI__WINDOW_SCRATCH 16

#define VMI__STACK_SIZE 16384

/* Room in a kernel that is bound when it starts: for a provider's parts, for splitting the boot
 * tables' large pages of 2 MiB, and for its hypercalls. */
#define VMI__PROVIDER_TEXT_SIZE 0x1f000
#define VMI__PROVIDER_DATA_SIZE 0x58000
#define VMI__TEXT_TABLES        2
#define VMI__HYPERCALLS_MAX     128

#endif
