/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Where things lie in linear space on x86-64; for C, assembly and the linker script's reader.
 */
#ifndef VMI_RUNTIME_ARCH_LAYOUT_H
#define VMI_RUNTIME_ARCH_LAYOUT_H

/* Where the image is linked: 1 MiB above this is what lies at 1 MiB of memory. */
#define VMI__IMAGE_BASE 0xffffffff80000000

/*
 * The direct map of all memory: guest-physical frame 0 lies here. Root slot 272; Xen has 256 to
 * 271 of a PV guest (xen/arch-x86/xen-x86_64.h, HYPERVISOR_VIRT_END).
 */
#define VMI__LINEAR_BASE 0xffff880000000000

/* The boot tables map at most this much there before the memory map has been read ... */
#define VMI__LINEAR_BOOT 0x100000000

/* ... and this much, of what is memory, when the kernel begins: the slots from 272 to 511, less the
 * last two. */
#define VMI__LINEAR_MAX 0x770000000000

/* What MapDevice maps: one root slot, 510. */
#define VMI__DEVICE_BASE 0xffffff0000000000
#define VMI__DEVICE_SIZE 0x8000000000

/* The PC libraries' device window: pages of the last 4 MiB. */
#define VMI__WINDOW_BASE 0xffffffffffc00000

/* Sizes of what vmi/vmi.h declares. */
#define VMI__CALL_INFO_SIZE      32
#define VMI__HYPERCALL_INFO_SIZE 24

#endif
