/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The call Rebind, for all libraries.
 */
#include "forms.h"
#include "runtime.h"

volatile uint32_t vmi__rebinds;

VMI__ROUTINE int32_t vmi__rebind(uint32_t without)
{
    int32_t status = vmi__backend_rebind(without);

    /* The kernel's call sites first: the binder may refuse, and then the entry points stay as well.
     */
    if (status == VMI_OK && vmi__kernel.bind_again)
        status = vmi__kernel.bind_again(without);
    if (status != VMI_OK)
        return status;
    vmi__rebinds++;
    vmi__forms_choose(without);
    return VMI_OK;
}
