/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * In place of the report on timers and interrupt controllers, for libraries whose images have no
 * room for it.
 */
#include "native.h"

void vmi__native_report(void)
{
}
