/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Where things lie in linear space (docs/architecture.md, "Boot contract"); for C, assembly and
 * runtime/kernel.ld's reader.
 */
#ifndef VMI_RUNTIME_LAYOUT_H
#define VMI_RUNTIME_LAYOUT_H

/* Linear address of guest-physical frame 0; runtime/kernel.ld links at 1 MiB above it. */
#define VMI__LINEAR_BASE 0xc0000000

/* The boot tables map at most this much at the linear base. */
#define VMI__LINEAR_MAX 0x10000000

/*
 * The PC libraries' device window: the last two directory entries, the first of which has a page
 * table.
 */
#define VMI__WINDOW_BASE    0xffc00000
#define VMI__WINDOW_SLOTS   512
#define VMI__WINDOW_SCRATCH 16

#define VMI__STACK_SIZE 16384

#endif
