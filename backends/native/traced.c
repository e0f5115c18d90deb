/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The flavour `traced` in ring 0 of a plain machine (runtime/traced/machine.h), for libraries that
 * inherit as well.
 */
#include "flavour.h"
#include "native.h"
#include "traced/machine.h"

uintptr_t vmi__trace_mask(void)
{
    return vmi__irq_save();
}

void vmi__trace_unmask(uintptr_t mask)
{
    vmi__irq_restore((uint32_t)mask);
}

uint32_t vmi__trace_cpu(void)
{
    return vmi__flavour_cpu();
}

uint64_t vmi__trace_frequency(void)
{
    return vmi__native_tsc_hz;
}
