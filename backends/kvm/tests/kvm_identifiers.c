/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * FlushRemoteTLB of the KVM library on the CPU that makes the call, as a 64-bit process: the
 * processor is played, which keeps translations by process-context identifiers as long as it may.
 */
#include <kvm/hypercalls.h>
#include "kvm/kvm.h"

#include <kvm/routines.h>

#include "backends/played_translations.h"

#define vmi__irq_save()         0u
#define vmi__irq_restore(flags) ((void)(flags))

#include "kvm/tlb.c"

#define PAGE    0x7000000ull
#define GLOBAL  0x8000000ull
#define SELF    2
#define WITHOUT (uint64_t) CPU_CR4_PGE
#define WITH    (WITHOUT | CPU_CR4_PCIDE)

static struct vmi_cpu listed[4];
struct vmi_boot_info vmi__boot = {.cpu_count = 4, .cpus = listed};
uint32_t vmi__kvm_used;
static struct cpu_played played;
/* The frame of PAGE below each of two roots, and of GLOBAL below both. */
static uint64_t frames[2], global_frame;

uint32_t vmi__native_cpu(void)
{
    return SELF;
}

bool vmi__native_cpu_runs(uint32_t cpu)
{
    return cpu == SELF;
}

static uint64_t translate(uint64_t root, uint64_t page, bool *global)
{
    *global = page == GLOBAL;
    return *global ? global_frame : frames[(root >> 12) - 1];
}

/* Below the first root by the first identifier, or the second by the second. */
static void use(uint64_t number, bool keep)
{
    here->cr3 = (number + 1) << 12;
    if (here->cr4 & CPU_CR4_PCIDE)
        here->cr3 |= number + 1;
    if (!keep)
        drop(ALL_PAGES, context_in_use(), false);
}

/* Both have been in use, then all was changed; now this CPU flushes. */
static void flushed(uint64_t cr4, uintptr_t address, uint32_t pages)
{
    static const uint32_t self[1] = {1u << SELF};

    play_processors();
    here = &played;
    *here = (struct cpu_played){.cr4 = cr4};
    frames[0] = frames[1] = global_frame = 1;
    for (uint32_t i = 0; i < 2; i++) {
        use(i, false);
        accessed(PAGE);
        accessed(GLOBAL);
    }
    frames[0] = frames[1] = global_frame = 2;
    EXPECT(vmi__kvm_flush_remote_tlb(self, 32, address, pages) == VMI_OK);
    EXPECT(here->cr4 == cr4 && refused == 0);
}

static uint64_t found(uint64_t number)
{
    use(number, true);
    return accessed(PAGE);
}

static void all_identifiers_are_flushed(void)
{
    for (uint32_t pages = 0; pages < 50; pages++) {
        flushed(WITH, PAGE, pages);
        EXPECT(found(1) == 2 && found(0) == 2);
        flushed(WITH & ~(uint64_t)CPU_CR4_PGE, PAGE, pages);
        EXPECT(found(1) == 2 && found(0) == 2);
    }
}

/* Pages one by one, many together with global ones, 0 without these. */
static void without_identifiers_no_more_than_asked(void)
{
    flushed(WITHOUT, PAGE, 1);
    EXPECT(accessed(PAGE) == 2 && accessed(GLOBAL) == 1 && here->dropped == 0);
    flushed(WITHOUT, GLOBAL, 1);
    EXPECT(accessed(PAGE) == 1 && accessed(GLOBAL) == 2 && here->dropped == 0);
    flushed(WITHOUT, 0, 50);
    EXPECT(accessed(PAGE) == 2 && accessed(GLOBAL) == 2);
    flushed(WITHOUT, 0, 0);
    EXPECT(accessed(PAGE) == 2 && accessed(GLOBAL) == 1 && here->dropped == 0);
}

static const struct played_check checks[] = {
    CHECK(all_identifiers_are_flushed),
    CHECK(without_identifiers_no_more_than_asked),
};

PLAY(checks)
