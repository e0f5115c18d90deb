/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What entry.S finds in a kernel that is bound when it starts: the way to the provider image.
 */
#include "bind/bind.h"

#include "start.h"

VMI__ROUTINE void vmi__xen_start(const struct start_info *info)
{
    vmi__bind_paravirtual("xen", info);
}
