/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What a starting CPU reads on its way (arch/ARCH/trampoline.S).
 */
#include "trampoline.h"

#define UP_MICROSECONDS 100

struct vmi_ap_state vmi__native_ap_state;
#ifdef __x86_64__
struct vmi_dtr vmi__native_ap_gdtr;
#endif
struct vmi_dtr vmi__native_ap_idtr;
uint32_t vmi__native_ap_sets_efer;
volatile char *vmi__native_ap_apic;
volatile uint32_t vmi__native_ap_up;

bool vmi__native_smp_comes_up(uint32_t polls)
{
    while (!vmi__native_ap_up && polls--)
        vmi__native_delay(UP_MICROSECONDS);
    return vmi__native_ap_up;
}
