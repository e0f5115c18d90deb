/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Requests from outside that no kernel takes: a PC has ACPI's power button, and no other way. A
 * library that is asked in another one replaces this file.
 */
#include "native.h"

void vmi__native_requests_untaken(void)
{
    vmi__native_button_unwatched();
}
