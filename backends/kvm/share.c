/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Pages for the host. Where a guest's memory is encrypted, or kept from the host otherwise, KVM
 * offers a hypercall that tells whose a page is; elsewhere the host sees all of it, and lending a
 * page is keeping account of it. A reference is the number of the page, which the host knows as
 * well.
 */
#include <kvm/hypercalls.h>
#include "kvm.h"
#include <kvm/routines.h>

#define PAGE_SHIFT 12

/* Pages on loan at a time. */
#define SHARED_MAX 256

static struct {
    struct vmi__lock lock;
    uint32_t count;
    uint32_t pages[SHARED_MAX];
} shared;

/* Where the page stands in the table, or the table's end. The lock is held. */
static uint32_t find(uintptr_t pfn)
{
    uint32_t i;

    for (i = 0; i < shared.count && shared.pages[i] != pfn; i++)
        ;
    return i;
}

static int32_t set_owner(uintptr_t pfn, uint32_t attributes)
{
    int32_t result;

    if (!vmi__kvm_uses(KVM__FEATURE_HC_MAP_GPA_RANGE))
        return VMI_OK;
    result = vmi__kvm_hypercall_map_gpa_range(pfn << PAGE_SHIFT, 1, attributes);
    if (result == -KVM__ENOSYS)
        return VMI_ENOSYS;
    return result == 0 ? VMI_OK : VMI_EIO;
}

VMI__ROUTINE int32_t vmi__kvm_share_page(uintptr_t pfn, uint32_t peer, uint32_t flags)
{
    const uint32_t access = VMI_SHARE_READ | VMI_SHARE_WRITE;
    int32_t result = VMI_OK;
    uint32_t interrupts, place;

    if (!vmi__kvm_present)
        return VMI_ENOSYS;
    /* There is no other guest to lend to; and the host may always write what it may read. */
    if (peer != 0 || !flags || flags & ~access || pfn > UINTPTR_MAX >> PAGE_SHIFT ||
        !(vmi__memory_is((uint64_t)pfn << PAGE_SHIFT, 1u << PAGE_SHIFT, VMI_MEMORY_USABLE) ||
          vmi__memory_is((uint64_t)pfn << PAGE_SHIFT, 1u << PAGE_SHIFT, VMI_MEMORY_IMAGE)))
        return VMI_EINVAL;
    /* A reference is the page's number, and not negative. */
    if (pfn > INT32_MAX)
        return VMI_ENOMEM;
    interrupts = vmi__lock(&shared.lock);
    place = find(pfn);
    if (place == SHARED_MAX)
        result = VMI_ENOMEM;
    else if (place == shared.count)
        result = set_owner(pfn, KVM__MAP_SHARED);
    if (result == VMI_OK && place == shared.count)
        shared.pages[shared.count++] = (uint32_t)pfn;
    vmi__unlock(&shared.lock, interrupts);
    return result == VMI_OK ? (int32_t)pfn : result;
}

VMI__ROUTINE int32_t vmi__kvm_unshare_page(uint32_t reference)
{
    uint32_t interrupts, place;
    int32_t result;

    if (!vmi__kvm_present)
        return VMI_ENOSYS;
    interrupts = vmi__lock(&shared.lock);
    place = find(reference);
    result = place == shared.count ? VMI_EINVAL : set_owner(reference, KVM__MAP_PRIVATE);
    if (result == VMI_OK)
        shared.pages[place] = shared.pages[--shared.count];
    vmi__unlock(&shared.lock, interrupts);
    return result;
}
