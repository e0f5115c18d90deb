/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What a processor has and the kernel turns on by CR4: what keeps the kernel itself from pages of
 * processes (SMEP, SMAP), processes from the kernel's addresses (UMIP), the kernel's translations
 * where they are (PGE), those of address spaces that are not in use (PCID), the wide registers of
 * processes (XSAVE), and instructions by which they set their bases of FS and GS (FSGSBASE).
 */
#ifndef SUPERVISOR_H
#define SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>
#include <vmi/vmi.h>

struct supervisor_feature {
    const char *name;
    uint32_t leaf;       /* of CPUID, 1 or 7 */
    uint32_t part;       /* of its answer: 1 is ebx, 2 ecx, 3 edx */
    uint32_t mask;       /* in that */
    uintptr_t bit;       /* of CR4 */
    const char *why_off; /* why this kernel leaves it off; null if it turns it on */
};

/* The last one has no name. */
extern const struct supervisor_feature supervisor_features[];

/* Bits of CR4 of all features above that this processor has. */
uintptr_t supervisor_there(void);

/*
 * Those of them that this kernel turns on; none where CR4 is a hypervisor's, which is so where the
 * kernel is not in ring 0.
 */
uintptr_t supervisor_wanted(void);

/*
 * Whether option leave_off=NAME,NAME… or leave_off=all says that a feature is to be left off, for a
 * test that this is noticed.
 */
bool supervisor_left_off(const struct vmi_boot_info *boot, const char *name);

/* Bits of CR4 of the features that are in use: wanted, and not left off. 0 until they are. */
extern uintptr_t supervisor_used;

/* Turns them on, on the first CPU; further ones start with its CR4. */
void supervisor_init(const struct vmi_boot_info *boot);

#endif
