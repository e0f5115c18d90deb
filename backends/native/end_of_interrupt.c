/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * EndOfInterrupt: tells the interrupt's controller, then whoever waits for the end: lines first,
 * then alarms, which set their next shot.
 */
#include "native.h"
#include <native/routines.h>

void vmi__native_vector_ended(uint32_t vector)
{
    vmi__native_event_again(vector);
    vmi__native_alarm_again(vector);
}

VMI__ROUTINE void vmi__native_end_of_interrupt(uint32_t vector)
{
    if (!vmi__native_event_end(vector))
        vmi__native_apic_write(VMI_APIC_EOI, 0);
    vmi__native_interrupt_ended(vector);
}
