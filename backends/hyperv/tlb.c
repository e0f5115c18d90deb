/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Translations on other CPUs (TLFS, HvCallFlushVirtualAddressSpace). The hypervisor drops those of
 * running virtual processors at once and those of others before they run again; the hypercall
 * returns when that is so.
 */
#include <hyperv/hypercalls.h>
#include "hyperv.h"
#include <hyperv/routines.h>

/* Range 0 is everything. The caller's CPU has its input for itself. */
static uint32_t flush_mask(uint64_t flags, uint64_t processors, uint64_t range)
{
    struct hyperv__flush *flush = &vmi__hyperv_this_cpu()->input.flush;
    uint64_t input = vmi__physical(flush);

    *flush = (struct hyperv__flush){.flags = flags, .processors = processors, .range = range};
    return (uint32_t)(range ? vmi__hyperv_hypercall_flush_virtual_address_list(1, input, 0)
                            : vmi__hyperv_hypercall_flush_virtual_address_space(0, input, 0));
}

static uint32_t flush_set(uint64_t flags, const uint64_t banks[HYPERV__BANKS], uint64_t range)
{
    struct hyperv__flush_set *flush = &vmi__hyperv_this_cpu()->input.flush_set;
    uint64_t input = vmi__physical(flush);

    flush->address_space = 0;
    flush->flags = flags;
    flush->range = range;
    vmi__hyperv_fill_set(&flush->processors, banks);
    return (uint32_t)(range ? vmi__hyperv_hypercall_flush_virtual_address_list_ex(1, input, 0)
                            : vmi__hyperv_hypercall_flush_virtual_address_space_ex(0, input, 0));
}

VMI__ROUTINE int32_t vmi__hyperv_flush_remote_tlb(const uint32_t *set, uint32_t bits,
                                                  uintptr_t address, uint32_t pages)
{
    uint64_t banks[HYPERV__BANKS], flags = HYPERV__FLUSH_ALL_SPACES, range = 0;
    uint32_t interrupts, without, result = HYPERV__STATUS_SUCCESS;

    if (!vmi__cpu_set_exists(set, bits))
        return VMI_EINVAL;
    if (!pages)
        flags |= HYPERV__FLUSH_NON_GLOBAL;
    else if (pages <= HYPERV__FLUSH_RANGE_PAGES)
        range = (address & ~(uintptr_t)0xfff) | (pages - 1);

    /* The input is this CPU's own, and one hypercall's at a time. */
    interrupts = vmi__irq_save();
    without = vmi__hyperv_processors(set, bits, vmi__native_cpu(), banks);
    if (without || !vmi__hyperv_uses(HYPERV__REMOTE_FLUSH))
        result = without || banks[0] || vmi__hyperv_needs_set(banks) ? HYPERV__STATUS_MASK : result;
    else if (vmi__hyperv_needs_set(banks))
        result = flush_set(flags, banks, range);
    else if (banks[0])
        result = flush_mask(flags, banks[0], range);
    vmi__irq_restore(interrupts);
    return (result & HYPERV__STATUS_MASK) == HYPERV__STATUS_SUCCESS ? VMI_OK : VMI_ENOSYS;
}
