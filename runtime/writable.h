/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Writing code: the one place where what is mapped read-only is written all the same, for libraries
 * and the binder. Nothing but the processor keeps the kernel from it where this is used: forms are
 * for libraries whose page tables are the kernel's own.
 */
#ifndef VMI_RUNTIME_WRITABLE_H
#define VMI_RUNTIME_WRITABLE_H

#include <stdint.h>

#include <vmi/vmi.h>

#define VMI__CR0_WP  0x10000u
#define VMI__CR4_CET 0x800000u

/* Control registers as they were. */
struct vmi__writing {
    uintptr_t cr0, cr4;
};

/*
 * Lets the kernel write pages that are mapped read-only, on this CPU, until vmi__writing_ends.
 * Interrupts are masked. CR4.CET goes first, for the processor keeps CR0.WP on while that is on
 * (Intel SDM vol. 3A, 2.5); CR4 is not asked where WP is off, which processors without CR4 have it.
 */
static inline void vmi__writing_begins(struct vmi__writing *writing)
{
    writing->cr4 = 0;
    writing->cr0 = vmi_get_cr0();
    if (!(writing->cr0 & VMI__CR0_WP))
        return;
    writing->cr4 = vmi_get_cr4();
    if (writing->cr4 & VMI__CR4_CET)
        vmi_set_cr4(writing->cr4 & ~(uintptr_t)VMI__CR4_CET);
    vmi_set_cr0(writing->cr0 & ~(uintptr_t)VMI__CR0_WP);
}

/*
 * A processor carries out code that it has just changed after a serializing instruction only (Intel
 * SDM vol. 3A, 9.1.3; AMD APM vol. 2, 7.6.1).
 */
static inline void vmi__writing_ends(const struct vmi__writing *writing)
{
    uint32_t ignored;

    if (writing->cr0 & VMI__CR0_WP)
        vmi_set_cr0(writing->cr0);
    if (writing->cr4 & VMI__CR4_CET)
        vmi_set_cr4(writing->cr4);
    vmi_cpuid(0, 0, &ignored, &ignored, &ignored, &ignored);
}

#endif
