/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Where things lie in linear space on i386; for C, assembly and the linker script's reader.
 */
#ifndef VMI_RUNTIME_ARCH_LAYOUT_H
#define VMI_RUNTIME_ARCH_LAYOUT_H

/* Linear address of guest-physical frame 0; the linker script links at 1 MiB above it. */
#define VMI__LINEAR_BASE 0xc0000000
#define VMI__IMAGE_BASE  VMI__LINEAR_BASE

/* The boot tables map at most this much at the linear base. */
#define VMI__LINEAR_BOOT 0x10000000
#define VMI__LINEAR_MAX  VMI__LINEAR_BOOT

/*
 * The PC libraries' device window: the last two directory entries, the first of which has a page
 * table.
 */
#define VMI__WINDOW_BASE 0xffc00000

#endif
