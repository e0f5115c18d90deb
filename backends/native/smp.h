/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Between smp.c and trampoline.S.
 */
#ifndef VMI_NATIVE_SMP_H
#define VMI_NATIVE_SMP_H

#include "native.h"

/* The trampoline, to be copied to a page below 1 MiB, and its one variable. */
extern const char vmi__native_trampoline[], vmi__native_trampoline_cr3[],
    vmi__native_trampoline_end[];

extern struct vmi_ap_state vmi__native_ap_state;
extern struct vmi_dtr vmi__native_ap_idtr;
extern uint32_t vmi__native_ap_sets_efer;
extern volatile uint32_t vmi__native_ap_up; /* set once the CPU has taken all of the above */

#endif
