/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The flavour `traced` in ring 0 of a plain machine (runtime/traced/machine.h), for libraries that
 * inherit as well: none of their hypercalls has a list.
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

void vmi__trace_list(uint32_t number, const uint64_t *arguments,
                     const struct vmi__flavour_frame *frame)
{
    (void)number;
    (void)arguments;
    (void)frame;
}

void vmi__trace_list_made(const struct vmi__flavour_frame *frame)
{
    (void)frame;
}

uint64_t vmi__trace_frequency(void)
{
    return vmi__native_tsc_hz;
}
