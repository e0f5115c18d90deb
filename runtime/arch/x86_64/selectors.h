/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Selectors that SYSCALL and SYSRET imply (Intel SDM vol. 3A, 5.8.8): a kernel has these
 * descriptors at these places of its GDT (boot_info says so). Shared by C and assembly.
 */
#ifndef VMI_RUNTIME_ARCH_SELECTORS_H
#define VMI_RUNTIME_ARCH_SELECTORS_H

#define VMI__KERNEL_CS 0x08 /* SYSCALL takes the next for SS */
#define VMI__KERNEL_SS 0x10
#define VMI__USER_BASE 0x18 /* SYSRET counts from here: SS is the next, CS the one behind */
#define VMI__USER_SS   0x23
#define VMI__USER_CS   0x2b

#endif
