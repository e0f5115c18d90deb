/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The kernel's part of the linear address space on x86-64; for C and assembly.
 *
 *   0xffff880000000000  guest-physical memory (boot_info.linear_base); the library's tables
 *   0xffffc00000000000  window for demand-zero pages of the kernel
 *   0xffffc00000200000  window for mappings that come and go
 *   0xffffffff80000000  the image; the library's tables
 */
#ifndef WINDOWS_H
#define WINDOWS_H

#define DEMAND_WINDOW       0xffffc00000000000
#define DEMAND_WINDOW_PAGES 512
#define MAP_WINDOW          0xffffc00000200000
#define MAP_WINDOW_PAGES    1024
#define WINDOWS_END         0xffffc00000600000

#define KERNEL_BASE  0xffffffff80000000
#define KERNEL_IMAGE 0xffffffff80100000

/* Frames of memory that this kernel uses at most: 8 GiB. */
#define FRAMES_MAX 0x200000

#endif
