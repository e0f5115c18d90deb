/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * SharePage and UnsharePage, and references that front ends keep. No lock: an entry belongs to
 * whoever has marked it as taken, and the mark is the library's own, for Xen writes to the table as
 * well.
 */
#include "grants.h"

#include "routines.h"
#include "runtime.h"

#define WORD_BITS   32u
#define FRAME_WORDS (VMI__XEN_COMMON_FRAME_GRANTS / WORD_BITS)

static struct grant_entry_v1 *grants; /* 0: there is no table */
static volatile uint32_t frames;      /* of it, that are in use */

/* A bit for each reference. The first ones are Xen's. */
#define XENS_OWN ((1u << GNTTAB_NR_RESERVED_ENTRIES) - 1)
static volatile uint32_t taken[VMI__XEN_COMMON_GRANTS / WORD_BITS] = {XENS_OWN};

void vmi__xen_common_grants_use(struct grant_entry_v1 *table, uint32_t count)
{
    grants = table;
    frames = count;
}

/* A reference of so many frames that nobody has; 0 if there is none. */
static grant_ref_t take(uint32_t of_frames)
{
    for (uint32_t i = 0; i < of_frames * FRAME_WORDS; i++) {
        uint32_t word = taken[i];

        while (~word) {
            uint32_t at = (uint32_t)__builtin_ctz(~word);

            word = __atomic_fetch_or(&taken[i], 1u << at, __ATOMIC_ACQUIRE);
            if (!(word & 1u << at))
                return i * WORD_BITS + at;
        }
    }
    return 0;
}

VMI__RUN_ONCE uint32_t vmi__xen_common_grants_forget(void)
{
    uint32_t count = frames;

    frames = 0;
    for (uint32_t i = 0; i < VMI__XEN_COMMON_GRANTS / WORD_BITS; i++)
        taken[i] = i ? 0 : XENS_OWN;
    return count;
}

VMI__ADDRESS_TAKEN bool vmi__xen_common_grant_keep(grant_ref_t *reference)
{
    if (*reference)
        __atomic_fetch_or(&taken[*reference / WORD_BITS], 1u << *reference % WORD_BITS,
                          __ATOMIC_ACQUIRE);
    return true;
}

grant_ref_t vmi__xen_common_grant_reserve(void)
{
    for (;;) {
        uint32_t count = frames;
        grant_ref_t reference = take(count);

        if (reference || !count || count == VMI__XEN_COMMON_GRANT_FRAMES ||
            !vmi__xen_common_grants_more(count))
            return reference;
        /* Another CPU may have had the same frame shared. */
        __sync_bool_compare_and_swap(&frames, count, count + 1);
    }
}

void vmi__xen_common_grant_lend(grant_ref_t reference, uint32_t frame, uint32_t peer,
                                bool read_only)
{
    grants[reference].domid = (domid_t)peer;
    grants[reference].frame = frame;
    __atomic_store_n(&grants[reference].flags, GTF_permit_access | (read_only ? GTF_readonly : 0),
                     __ATOMIC_SEQ_CST);
}

/* Takes back what an entry lends: VMI_EBUSY while it is mapped, VMI_EINVAL if it lends nothing. */
static int32_t take_back(uint32_t reference)
{
    uint16_t flags = __atomic_load_n(&grants[reference].flags, __ATOMIC_SEQ_CST);

    do {
        if (!(flags & GTF_type_mask))
            return VMI_EINVAL;
        if (flags & (GTF_reading | GTF_writing))
            return VMI_EBUSY;
    } while (!__atomic_compare_exchange_n(&grants[reference].flags, &flags, 0, 0, __ATOMIC_SEQ_CST,
                                          __ATOMIC_SEQ_CST));
    return VMI_OK;
}

bool vmi__xen_common_grant_end(grant_ref_t reference)
{
    return take_back(reference) != VMI_EBUSY;
}

void vmi__xen_common_grant_release(grant_ref_t reference)
{
    __atomic_fetch_and(&taken[reference / WORD_BITS], ~(1u << reference % WORD_BITS),
                       __ATOMIC_RELEASE);
}

VMI__ROUTINE int32_t vmi__xen_common_share_page(uintptr_t pfn, uint32_t peer, uint32_t flags)
{
    uint32_t frame = vmi__xen_common_frame(pfn);
    grant_ref_t reference;

    if (frame == VMI__XEN_COMMON_NO_FRAME || peer >= DOMID_FIRST_RESERVED ||
        !(flags & VMI_SHARE_READ) || flags & ~(uint32_t)(VMI_SHARE_READ | VMI_SHARE_WRITE))
        return VMI_EINVAL;
    reference = vmi__xen_common_grant_reserve();
    if (!reference)
        return VMI_ENOMEM;
    vmi__xen_common_grant_lend(reference, frame, peer, !(flags & VMI_SHARE_WRITE));
    return (int32_t)reference;
}

VMI__ROUTINE int32_t vmi__xen_common_unshare_page(uint32_t reference)
{
    int32_t result;

    if (reference < GNTTAB_NR_RESERVED_ENTRIES ||
        reference / VMI__XEN_COMMON_FRAME_GRANTS >= frames)
        return VMI_EINVAL;
    result = take_back(reference);
    if (result == VMI_OK)
        vmi__xen_common_grant_release(reference);
    return result;
}
