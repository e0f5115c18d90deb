/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "interrupts.h"

#include <vmi/vmi.h>

volatile uint32_t alarms;

void on_interrupt(void)
{
    alarms++;
    vmi_end_of_interrupt(VECTOR_ALARM);
}
