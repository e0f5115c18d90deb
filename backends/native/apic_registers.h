/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The local APIC's model-specific registers, for C and assembly. Source: Intel SDM vol. 3A, 11.4.4
 * and 11.12.1.
 */
#ifndef VMI_NATIVE_APIC_REGISTERS_H
#define VMI_NATIVE_APIC_REGISTERS_H

#define VMI__MSR_APIC_BASE     0x1b
#define VMI__APIC_BASE_X2APIC  0x400
#define VMI__APIC_BASE_ENABLE  0x800
#define VMI__APIC_BASE_ADDRESS 0x000ffffffffff000 /* bits, of 64 */

/* In x2APIC mode the register at a byte offset of the page is this MSR and offset / 16. */
#define VMI__MSR_X2APIC     0x800
#define VMI__MSR_X2APIC_ID  0x802
#define VMI__MSR_X2APIC_TPR 0x808
#define VMI__MSR_X2APIC_SVR 0x80f
#define VMI__MSR_X2APIC_ICR 0x830 /* command in bits 0-31, destination in 32-63 */

#define VMI__APIC_SVR_ENABLE 0x100
#define VMI__APIC_SVR_ON     (VMI__APIC_SVR_ENABLE | 0xff) /* VMI__APIC_SPURIOUS */

#endif
