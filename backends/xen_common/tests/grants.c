/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * SharePage and UnsharePage by the grant table, as a Linux process: this file plays Xen, which
 * marks entries that another domain maps, and the library below.
 */
#include "xen_common/grants.c"

#include "backends/played.h"

#define FIRST  GNTTAB_NR_RESERVED_ENTRIES
#define FRAME  ((uint32_t)VMI__XEN_COMMON_FRAME_GRANTS)
#define LENT   (FRAME - FIRST)
#define NO_PFN 7u

static struct grant_entry_v1 table[VMI__XEN_COMMON_GRANTS];
static uint32_t most = 1; /* frames that Xen shares */
static uint32_t shared = 1;

bool vmi__xen_common_grants_more(uint32_t frame)
{
    EXPECT(frame == shared && frame < VMI__XEN_COMMON_GRANT_FRAMES);
    if (shared >= most)
        return false;
    shared++;
    return true;
}

/* Frames differ from pages, as a PV guest's do. */
uint32_t vmi__xen_common_frame(uintptr_t pfn)
{
    return pfn == NO_PFN ? VMI__XEN_COMMON_NO_FRAME : (uint32_t)pfn + 0x1000;
}

static int32_t share(uintptr_t pfn, uint32_t peer, uint32_t flags)
{
    return vmi__xen_common_share_page(pfn, peer, flags);
}

static void without_a_table(void)
{
    EXPECT(share(1, 0, VMI_SHARE_READ) == VMI_ENOMEM);
    EXPECT(vmi__xen_common_unshare_page(FIRST) == VMI_EINVAL);
    vmi__xen_common_grants_use(table, 1);
}

static void entry_says_what_was_asked(void)
{
    int32_t reads = share(3, 0, VMI_SHARE_READ);
    int32_t writes = share(4, 5, VMI_SHARE_READ | VMI_SHARE_WRITE);

    EXPECT(reads >= (int32_t)FIRST && writes >= (int32_t)FIRST && reads != writes);
    EXPECT(table[reads].flags == (GTF_permit_access | GTF_readonly));
    EXPECT(table[reads].frame == 0x1003 && table[reads].domid == 0);
    EXPECT(table[writes].flags == GTF_permit_access);
    EXPECT(table[writes].frame == 0x1004 && table[writes].domid == 5);
    EXPECT(vmi__xen_common_unshare_page((uint32_t)reads) == VMI_OK && table[reads].flags == 0);
    EXPECT(vmi__xen_common_unshare_page((uint32_t)writes) == VMI_OK && table[writes].flags == 0);
}

static void wrong_arguments(void)
{
    EXPECT(share(NO_PFN, 0, VMI_SHARE_READ) == VMI_EINVAL);
    EXPECT(share(1, DOMID_FIRST_RESERVED, VMI_SHARE_READ) == VMI_EINVAL);
    EXPECT(share(1, 0, 0) == VMI_EINVAL && share(1, 0, VMI_SHARE_WRITE) == VMI_EINVAL);
    EXPECT(share(1, 0, VMI_SHARE_READ | 0x80) == VMI_EINVAL);
    EXPECT(vmi__xen_common_unshare_page(0) == VMI_EINVAL);
    EXPECT(vmi__xen_common_unshare_page(FIRST) == VMI_EINVAL);
    EXPECT(vmi__xen_common_unshare_page(FRAME) == VMI_EINVAL);
    EXPECT(vmi__xen_common_unshare_page(VMI__XEN_COMMON_GRANTS) == VMI_EINVAL);
    EXPECT(vmi__xen_common_unshare_page(~0u) == VMI_EINVAL);
}

static void mapped_page_stays_lent(void)
{
    int32_t reference = share(9, 0, VMI_SHARE_READ);

    table[reference].flags |= GTF_reading;
    EXPECT(vmi__xen_common_unshare_page((uint32_t)reference) == VMI_EBUSY);
    EXPECT(table[reference].flags == (GTF_permit_access | GTF_readonly | GTF_reading));
    table[reference].flags &= (uint16_t)~GTF_reading;
    EXPECT(vmi__xen_common_unshare_page((uint32_t)reference) == VMI_OK);
    EXPECT(vmi__xen_common_unshare_page((uint32_t)reference) == VMI_EINVAL);
}

/* Every entry once, also where the table's other writer has cleared one that is lent. */
static void all_entries(void)
{
    uint32_t i;

    for (i = 0; i < LENT; i++)
        EXPECT(share(16 + i, 0, VMI_SHARE_READ) == (int32_t)(FIRST + i));
    table[FIRST + 3].flags = 0;
    EXPECT(share(1, 0, VMI_SHARE_READ) == VMI_ENOMEM);
    table[FIRST + 3].flags = GTF_permit_access;
    EXPECT(vmi__xen_common_unshare_page(FIRST + 5) == VMI_OK);
    EXPECT(share(1, 0, VMI_SHARE_READ) == (int32_t)(FIRST + 5));
    for (i = 0; i < LENT; i++)
        EXPECT(vmi__xen_common_unshare_page(FIRST + i) == VMI_OK);
}

/* Frames are asked for when they are needed, until Xen gives no more, or there is no room. */
static void more_frames(void)
{
    static const uint32_t limits[] = {2, 5, VMI__XEN_COMMON_GRANT_FRAMES, ~0u};
    uint32_t given = 0;

    for (uint32_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        uint32_t end = limits[i] < VMI__XEN_COMMON_GRANT_FRAMES ? limits[i] * FRAME
                                                                : (uint32_t)VMI__XEN_COMMON_GRANTS;

        most = limits[i];
        for (; FIRST + given < end; given++) {
            EXPECT(share(16 + given, 0, VMI_SHARE_READ) == (int32_t)(FIRST + given));
            EXPECT(shared == (FIRST + given) / FRAME + 1);
            EXPECT(table[FIRST + given].frame == 0x1010 + given);
        }
        EXPECT(share(1, 0, VMI_SHARE_READ) == VMI_ENOMEM && shared == end / FRAME);
    }
    for (uint32_t i = 0; i < given; i++)
        EXPECT(vmi__xen_common_unshare_page(FIRST + i) == VMI_OK);
    EXPECT(share(1, 0, VMI_SHARE_READ) == (int32_t)FIRST);
    EXPECT(vmi__xen_common_unshare_page(FIRST) == VMI_OK);
}

/* As in a domain that was restored, whose table is another one. */
static void forgotten(void)
{
    grant_ref_t kept = FIRST + 1, none = 0;

    EXPECT(share(16, 0, VMI_SHARE_READ) == (int32_t)FIRST);
    EXPECT(share(17, 0, VMI_SHARE_READ) == (int32_t)FIRST + 1);
    vmi__xen_common_grants_forget();
    table[FIRST].flags = table[FIRST + 1].flags = 0;
    EXPECT(vmi__xen_common_unshare_page(FIRST) == VMI_EINVAL);
    EXPECT(share(1, 0, VMI_SHARE_READ) == VMI_ENOMEM);
    vmi__xen_common_grants_use(table, 1);
    EXPECT(vmi__xen_common_unshare_page(FIRST) == VMI_EINVAL);
    EXPECT(vmi__xen_common_grant_keep(&kept) && vmi__xen_common_grant_keep(&none));
    EXPECT(share(1, 0, VMI_SHARE_READ) == (int32_t)FIRST);
    EXPECT(share(2, 0, VMI_SHARE_READ) == (int32_t)FIRST + 2);
}

static const struct played_check checks[] = {
    CHECK(without_a_table), CHECK(entry_says_what_was_asked),
    CHECK(wrong_arguments), CHECK(mapped_page_stays_lent),
    CHECK(all_entries),     CHECK(more_frames),
    CHECK(forgotten),
};

PLAY(checks)
