/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Translations on other CPUs (TLFS, HvCallFlushVirtualAddressSpace). The hypervisor drops those of
 * running virtual processors at once and those of others before they run again; the hypercall
 * returns when that is so.
 */
#include <hyperv/hypercalls.h>
#include "hyperv.h"
#include <hyperv/routines.h>

VMI__ROUTINE int32_t vmi__hyperv_flush_remote_tlb(uint32_t mask, uint32_t base, uintptr_t address,
                                                  uint32_t pages)
{
    uint32_t known = mask, interrupts, result;
    struct hyperv__flush *flush;
    uint64_t processors, input;

    if (!vmi__hyperv_exist(mask, base))
        return VMI_EINVAL;
    if (!mask)
        return VMI_OK;
    if (!vmi__hyperv_uses(HYPERV__REMOTE_FLUSH))
        return VMI_ENOSYS;
    processors = vmi__hyperv_processors(&known, base);
    if (known != mask)
        return VMI_ENOSYS;

    /* The input is this CPU's own, and one hypercall's at a time. */
    interrupts = vmi__irq_save();
    flush = &vmi__hyperv_this_cpu()->flush;
    input = vmi__physical(flush);
    flush->flags = HYPERV__FLUSH_ALL_SPACES | (pages ? 0 : HYPERV__FLUSH_NON_GLOBAL);
    flush->processors = processors;
    if (pages && pages <= HYPERV__FLUSH_RANGE_PAGES) {
        flush->range = (address & ~(uintptr_t)0xfff) | (pages - 1);
        result = (uint32_t)vmi__hyperv_hypercall_flush_virtual_address_list(1, input, 0);
    } else {
        result = (uint32_t)vmi__hyperv_hypercall_flush_virtual_address_space(0, input, 0);
    }
    vmi__irq_restore(interrupts);
    return (result & HYPERV__STATUS_MASK) == HYPERV__STATUS_SUCCESS ? VMI_OK : VMI_ENOSYS;
}
