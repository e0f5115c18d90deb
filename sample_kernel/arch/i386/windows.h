/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The kernel's part of the linear address space on i386; for C and assembly.
 *
 *   0xc0000000  guest-physical memory in order (boot_info.linear_base), at most 256 MiB
 *   0xe0000000  window for demand-zero pages of the kernel
 *   0xe0200000  window for mappings that come and go
 *   boot_info.virtual_end up: the library's and the hypervisor's
 */
#ifndef WINDOWS_H
#define WINDOWS_H

#define DEMAND_WINDOW       0xe0000000
#define DEMAND_WINDOW_PAGES 512
#define MAP_WINDOW          0xe0200000
#define MAP_WINDOW_PAGES    1024
#define WINDOWS_END         0xe0600000

#define KERNEL_BASE  0xc0000000
#define KERNEL_IMAGE 0xc0100000

/* Frames that the linear mapping has at most. */
#define FRAMES_MAX 0x10000

#endif
