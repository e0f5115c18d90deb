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
 * Page tables of the boot tables for where the image's protections change inside of 2 MiB: where it
 * begins, and at the ends of code and of constants.
 */
#define VMI__IMAGE_TABLES 3

/*
 * What MapDevice maps: 64 MiB below that. A top directory is one address space's alone, so all page
 * tables are there from the start.
 */
#define VMI__DEVICE_BASE 0xfbc00000
#define VMI__DEVICE_SIZE 0x04000000

/*
 * The PC libraries' device window: the last two directory entries, the first of which has a page
 * table.
 */
#define VMI__WINDOW_BASE 0xffc00000

/* Sizes of what vmi/vmi.h declares. */
#define VMI__CALL_INFO_SIZE      16
#define VMI__HYPERCALL_INFO_SIZE 12

#endif
