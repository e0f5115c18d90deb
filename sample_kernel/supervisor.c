/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "supervisor.h"

#include "descriptors.h"
#include "identifiers.h"
#include "options.h"
#include "string.h"
#include "x86.h"

enum { EBX = 1, ECX, EDX };

#ifdef __x86_64__
#define ROOT_IS_LOADED NULL
#define NO_ACCESS_BITS NULL
#define SMALL_STATE    NULL
#define NARROW_CODE    NULL
#define NO_LONG_MODE   NULL
#else
/*
 * A change of CR4.SMEP or CR4.PGE makes the processor load the four entries of PAE's root again, in
 * which accessed bits are reserved. QEMU sets them there, and KVM below it then refuses the change.
 */
#define ROOT_IS_LOADED "KVM in QEMU refuses the change with PAE"
#define NO_ACCESS_BITS "entries for i386 do not end an access to pages of processes"
#define SMALL_STATE    "threads for i386 keep what FNSAVE saves"
#define NARROW_CODE    "its instructions are of 64-bit mode"
#define NO_LONG_MODE   "there are identifiers in long mode alone"
#endif

const struct supervisor_feature supervisor_features[] = {
    {"smep", 7, EBX, CPUID_7_EBX_SMEP, CR4_SMEP, ROOT_IS_LOADED},
    {"smap", 7, EBX, CPUID_7_EBX_SMAP, CR4_SMAP, NO_ACCESS_BITS},
    {"umip", 7, ECX, CPUID_7_ECX_UMIP, CR4_UMIP, NULL},
    {"pge", 1, EDX, CPUID_1_EDX_PGE, CR4_PGE, ROOT_IS_LOADED},
    {"pcid", 1, ECX, CPUID_1_ECX_PCID, CR4_PCIDE, NO_LONG_MODE},
    {"fsgsbase", 7, EBX, CPUID_7_EBX_FSGSBASE, CR4_FSGSBASE, NARROW_CODE},
    {"xsave", 1, ECX, CPUID_1_ECX_XSAVE, CR4_OSXSAVE, SMALL_STATE},
    {"la57", 7, ECX, CPUID_7_ECX_LA57, CR4_LA57, "four levels of tables reach all memory"},
    {"cet", 7, ECX, CPUID_7_ECX_SHSTK, CR4_CET, "threads have no shadow stacks"},
    {0},
};

uintptr_t supervisor_used;

/*
 * QEMU takes OSXSAVE for reserved where XSAVE has no extensions (target/i386/cpu.h,
 * cr4_reserved_bits), and stands still at the write of CR4. Bulldozer and Piledriver have none.
 */
static bool xsave_is_extended(void)
{
    uint32_t extensions, ignored;

    vmi_cpuid(CPUID_LEAF_XSAVE, 1, &extensions, &ignored, &ignored, &ignored);
    return extensions != 0;
}

static bool is_there(const struct supervisor_feature *feature)
{
    uint32_t highest, ignored, parts[4];

    vmi_cpuid(0, 0, &highest, &ignored, &ignored, &ignored);
    if (highest < feature->leaf)
        return false;
    vmi_cpuid(feature->leaf, 0, &parts[0], &parts[EBX], &parts[ECX], &parts[EDX]);
    return (parts[feature->part] & feature->mask) &&
           (feature->bit != CR4_OSXSAVE || xsave_is_extended());
}

uintptr_t supervisor_there(void)
{
    uintptr_t bits = 0;

    for (const struct supervisor_feature *each = supervisor_features; each->name != NULL; each++)
        if (is_there(each))
            bits |= each->bit;
    return bits;
}

uintptr_t supervisor_wanted(void)
{
    uintptr_t there = supervisor_there(), bits = 0;

    if (kernel_cs() & 3)
        return 0;
    for (const struct supervisor_feature *each = supervisor_features; each->name != NULL; each++)
        if (each->why_off == NULL)
            bits |= there & each->bit;
    return bits;
}

bool supervisor_left_off(const struct vmi_boot_info *boot, const char *name)
{
    char left_off[32];

    option_value(boot->command_line, "leave_off", left_off, sizeof(left_off));
    return string_contains(left_off, name) || string_contains(left_off, "all");
}

void supervisor_init(const struct vmi_boot_info *boot)
{
    uintptr_t bits = supervisor_wanted();

    for (const struct supervisor_feature *each = supervisor_features; each->name != NULL; each++)
        if (supervisor_left_off(boot, each->name))
            bits &= ~each->bit;
    supervisor_used = bits;
    /* The kernel's tables are loaded, whose identifier is 0: the processor wants it so. */
    if (bits != 0)
        vmi_set_cr4(vmi_get_cr4() | bits);
    identifiers_on = bits & CR4_PCIDE;
    /* The library has turned it on. */
    if (supervisor_left_off(boot, "wp"))
        vmi_set_cr0(vmi_get_cr0() & ~(uintptr_t)CR0_WP);
}
