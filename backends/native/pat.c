/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The page attribute table: which cache types entries of page tables can choose (Intel SDM vol. 3A,
 * 11.12). Entry n is chosen by PAT (bit 7 of a page's entry, 12 of a large page's), PCD and PWT, in
 * this order:
 *
 *   0 write-back   1 write-through    2 UC-   3 uncached     as after a reset (table 11-12)
 *   4 write-protected   5 write-combining   6 UC-   7 uncached
 *
 * Only entries 4 and 5, which need the PAT bit, are not what they are after a reset, so whoever
 * knows nothing of this maps as ever. Loaders of the Limine protocol leave the same in 0 to 5.
 */
#include "native.h"

#define CPUID_1_EDX_PAT (1u << 16)
#define MSR_PAT         0x277u

#define WRITE_BACK      0x06ull /* table 11-10 */
#define WRITE_THROUGH   0x04ull
#define UNCACHED_MINUS  0x07ull
#define UNCACHED        0x00ull
#define WRITE_PROTECTED 0x05ull
#define WRITE_COMBINING 0x01ull

#define LAYOUT                                                                                     \
    (WRITE_BACK | WRITE_THROUGH << 8 | UNCACHED_MINUS << 16 | UNCACHED << 24 |                     \
     WRITE_PROTECTED << 32 | WRITE_COMBINING << 40 | UNCACHED_MINUS << 48 | UNCACHED << 56)

uint64_t vmi__native_pat;

void vmi__native_pat_init(void)
{
    if (!(vmi__cpuid(1, 0).edx & CPUID_1_EDX_PAT))
        return;
    vmi__native_pat = LAYOUT;
    /*
     * Nothing is mapped by the entries that change, so there is nothing in caches to be written
     * back before, and no translation to drop.
     */
    if (vmi__rdmsr(MSR_PAT) != LAYOUT)
        vmi__wrmsr(MSR_PAT, LAYOUT);
}
