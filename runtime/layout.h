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

/* Room in a kernel that is bound when it starts: for a provider's parts, for splitting the boot
 * tables' large pages of 2 MiB, and for its hypercalls. */
#define VMI__PROVIDER_TEXT_SIZE 0x10000
#define VMI__PROVIDER_DATA_SIZE 0x40000
#define VMI__TEXT_TABLES        2
#define VMI__HYPERCALLS_MAX     128

/* Sizes of what vmi/vmi.h declares. */
#define VMI__CALL_INFO_SIZE      16
#define VMI__HYPERCALL_INFO_SIZE 12

#endif
