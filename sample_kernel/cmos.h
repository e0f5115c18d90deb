/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The PC's real-time clock by its ports, for checks (Motorola MC146818A data sheet). */
#ifndef CMOS_H
#define CMOS_H

#include <stdbool.h>

#include <vmi/vmi.h>

#include "ktap.h"

#define CMOS_INDEX   0x70
#define CMOS_DATA    0x71
#define CMOS_SECONDS 0x00 /* as BCD or binary */
#define CMOS_STATUS  0x0a
#define CMOS_NOTHING 0xff /* is read where there is none; its status never is that */

/* Does the machine have none? Where ports cannot be read it is taken to be there. */
static inline bool cmos_absent(void)
{
    if (call_unsupported(VMI_ORDINAL_INB) || call_unsupported(VMI_ORDINAL_OUTB))
        return false;
    vmi_outb(CMOS_STATUS, CMOS_INDEX);
    return vmi_inb(CMOS_DATA) == CMOS_NOTHING;
}

#endif
