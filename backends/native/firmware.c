/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the firmware tells of the machine: ACPI's tables, or else the MP table.
 */
#include "native.h"

static bool tables_read;

void vmi__native_firmware_init(void)
{
    if (tables_read)
        return;
    tables_read = true;
    if (!vmi__native_acpi_read())
        vmi__native_mp_read();
}
