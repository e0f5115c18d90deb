/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * SendIPI, SharePage and FlushRemoteTLB of the KVM library as a Linux process: this file plays KVM
 * and the native library below. For what no rig shows: APIC identifiers far apart, memory that is
 * not there, and stale translations, which an emulated processor drops at every exit.
 */
#include <kvm/hypercalls.h>
#include "kvm/kvm.h"

#include <kvm/routines.h>
#include <native/routines.h>

#define vmi__irq_save()          0u
#define vmi__irq_restore(flags)  ((void)(flags))
#define vmi__lock(lock)          ((void)(lock), 0u)
#define vmi__unlock(lock, flags) ((void)(lock), (void)(flags))

#include "kvm/interrupts.c"
#include "kvm/share.c"
#include "kvm/tlb.c"

#include "cpus.c" /* runtime/ */

#include "backends/played.h"

#define CPUS     40 /* more than a word of a set has bits */
#define VECTOR   0x41
#define WORD     (8 * (uint32_t)sizeof(uintptr_t))
#define APIC_MAX 256

/* ---- what is below and beside ---------------------------------------------------------------- */

static struct vmi_cpu listed[CPUS];
struct vmi_boot_info vmi__boot = {.cpu_count = CPUS, .cpus = listed};
struct vmi_cpu vmi__cpus[VMI__CPUS_FEW];
static struct vmi__kvm_cpu more[CPUS - VMI__CPUS_FEW];
struct vmi__kvm_cpu vmi__kvm_cpus[VMI__CPUS_FEW], *vmi__kvm_cpus_more = more;
uint32_t vmi__kvm_used = 1u << KVM__FEATURE_PV_SEND_IPI | 1u << KVM__FEATURE_HC_MAP_GPA_RANGE;
bool vmi__kvm_present = true;
volatile char *vmi__native_apic;
bool vmi__native_x2apic;
bool vmi__native_ended_vectors[256];

static uint8_t interrupted[APIC_MAX]; /* how often, by APIC identifier */
static uint32_t hypercalls;
static uint64_t mapped; /* address of the last map_gpa_range */
static bool refuses;
static uint32_t natively; /* commands */
static uint32_t resting;  /* a CPU that does not run */
static uint32_t command;  /* of the hypercalls that count */

/* A CPU that KVM runs again after it has been looked at this often: nobody if 0. */
static uint32_t comes_back, looks;

uint32_t vmi__memory_claim(uint32_t size, uint32_t limit)
{
    (void)size;
    (void)limit;
    return 0;
}

uint32_t vmi__native_cpu(void)
{
    return 2;
}

bool vmi__native_cpu_runs(uint32_t cpu)
{
    if (comes_back && cpu == comes_back && --looks == 0)
        vmi__kvm_cpu(cpu)->steal.preempted = 0;
    return cpu != resting;
}

bool vmi__native_apic_command(uint32_t apic_id, uint32_t what)
{
    natively++;
    interrupted[apic_id] += what == command;
    return true;
}

VMI__ROUTINE void vmi__native_apic_write_any(uint32_t reg, uint32_t value)
{
    vmi__native_apic_write(reg, value);
}

struct vmi__kvm_cpu *vmi__kvm_this_cpu(void)
{
    return vmi__kvm_cpus;
}

bool vmi__native_pic_end(uint32_t vector)
{
    (void)vector;
    return false;
}

void vmi__native_vector_ended(uint32_t vector)
{
    (void)vector;
}

bool vmi__memory_is(uint64_t base, uint64_t size, uint32_t kind)
{
    (void)base;
    (void)size;
    return kind == VMI_MEMORY_USABLE;
}

int32_t vmi__native_interrupt(const uint32_t *set, uint32_t bits, uint32_t what)
{
    (void)set;
    (void)bits;
    (void)what;
    return VMI_ENOENT; /* not without the feature */
}

/* As Linux's kvm_pv_send_ipi (arch/x86/kvm/lapic.c): two words of the guest's width. */
HYPERCALL intptr_t vmi__kvm_hypercall_send_ipi(uintptr_t mask_low, uintptr_t mask_high,
                                               uint32_t base, uint32_t what)
{
    const uintptr_t masks[2] = {mask_low, mask_high};

    hypercalls++;
    if (refuses)
        return -KVM__ENOSYS;
    for (uint32_t i = 0; i < 2 * WORD; i++) {
        if (masks[i / WORD] >> i % WORD & 1 && base + i < APIC_MAX && what == command)
            interrupted[base + i]++;
    }
    return 1;
}

HYPERCALL intptr_t vmi__kvm_hypercall_map_gpa_range(uintptr_t address, uintptr_t pages,
                                                    uint32_t attributes)
{
    (void)attributes;
    mapped = pages == 1 ? address : 0;
    return 0;
}

HYPERCALL intptr_t vmi__kvm_hypercall_kick_cpu(uint32_t flags, uint32_t apic_id)
{
    (void)flags;
    (void)apic_id;
    return 0;
}

HYPERCALL intptr_t vmi__kvm_hypercall_sched_yield(uint32_t apic_id)
{
    (void)apic_id;
    return 0;
}

/* ---- checks ---------------------------------------------------------------------------------- */

/* CPUs with these identifiers; those behind them have the ones from 100 on. */
static void begin(const uint32_t *apic_id, uint32_t count)
{
    for (uint32_t i = 0; i < CPUS; i++)
        listed[i].apic_id = i < count ? apic_id[i] : 100 + i;
    for (uint32_t i = 0; i < APIC_MAX; i++)
        interrupted[i] = 0;
    hypercalls = natively = 0;
    refuses = false;
    resting = CPUS;
    command = VMI__ICR_FIXED | VECTOR;
}

/* Each of the set once, and nobody else. */
static bool just(uint64_t mask)
{
    uint32_t wanted = 0, all = 0;

    for (uint32_t i = 0; i < CPUS; i++) {
        if (!(mask >> i & 1))
            continue;
        if (interrupted[listed[i].apic_id] != 1)
            return false;
        wanted++;
    }
    for (uint32_t i = 0; i < APIC_MAX; i++)
        all += interrupted[i];
    return all == wanted;
}

static bool sends(uint64_t mask, uint32_t rows)
{
    const uint32_t set[2] = {(uint32_t)mask, (uint32_t)(mask >> 32)};

    return vmi__kvm_send_ipi(set, CPUS, VECTOR) == VMI_OK && just(mask) && hypercalls == rows;
}

static void a_row_is_two_words(void)
{
    const uint32_t last = 2 * WORD - 1;
    const uint32_t apic_id[8] = {last, 0, WORD - 1, WORD, WORD + 1, 5, last - 1, last + 1};

    begin(apic_id, 8);
    EXPECT(sends(0x7f, 1));
    begin(apic_id, 8);
    EXPECT(sends(0xff, 2));
    begin(apic_id, 8);
    EXPECT(sends(0x8c, 1));
}

static void a_row_begins_at_its_lowest(void)
{
    const uint32_t apic_id[8] = {200, 256 - 2 * WORD, 201, 255, 0, 1, 2, 3};

    begin(apic_id, 8);
    EXPECT(sends(0x0f, 1));
}

static void a_set_has_as_many_words_as_it_needs(void)
{
    const uint64_t all = (1ull << CPUS) - 1;

    begin(0, 0);
    EXPECT(sends(1ull << 39 | 1ull << 32 | 1ull << 31 | 1, 1));
    begin(0, 0);
    EXPECT(vmi__kvm_send_ipi(0, VMI_CPUS_ALL, VECTOR) == VMI_OK && just(all) && hypercalls == 1);
    begin(0, 0);
    resting = 7;
    EXPECT(vmi__kvm_send_ipi(0, VMI_CPUS_ALL_BUT_SELF, VECTOR) == VMI_OK &&
           just(all & ~(1ull << 2) & ~(1ull << 7)));
    begin(0, 0);
    command = VMI__ICR_NMI;
    EXPECT(vmi__kvm_send_nmi(0, VMI_CPUS_ALL) == VMI_OK && just(all));
}

static void a_cpu_that_is_not_there_is_none(void)
{
    const uint32_t set[3] = {0, 1u << (CPUS - 32), 1};

    begin(0, 0);
    EXPECT(vmi__kvm_send_ipi(set, CPUS, VECTOR) == VMI_OK);
    EXPECT(vmi__kvm_send_ipi(set, CPUS + 1, VECTOR) == VMI_EINVAL);
    EXPECT(vmi__kvm_send_ipi(set + 1, 64, VECTOR) == VMI_OK);
    EXPECT(vmi__kvm_send_ipi(set, VMI_CPUS_LIMIT + 1, VECTOR) == VMI_EINVAL);
    EXPECT(vmi__kvm_send_ipi(0, VMI_CPUS_ALL, 31) == VMI_EINVAL);
    EXPECT(vmi__kvm_send_nmi(set, 96) == VMI_EINVAL);
    EXPECT(hypercalls == 1 && natively == 0);
}

static void what_is_refused_goes_natively(void)
{
    const uint32_t apic_id[8] = {0, 1, 2, 3, 4, 5, 6, 255};

    begin(apic_id, 8);
    refuses = true;
    EXPECT(sends(0x81, 2) && natively == 2);
}

/* A page is told of by its whole address; what the hypercall or a reference cannot say is refused.
 */
static void a_page_has_its_whole_address(void)
{
    const uintptr_t last = UINTPTR_MAX >> 12 < INT32_MAX ? UINTPTR_MAX >> 12 : INT32_MAX;

    EXPECT(vmi__kvm_share_page(last, 0, VMI_SHARE_READ) == (int32_t)last);
    EXPECT(mapped == (uint64_t)last << 12);
    mapped = 0;
    EXPECT(vmi__kvm_unshare_page((uint32_t)last) == VMI_OK && mapped == (uint64_t)last << 12);
    EXPECT(vmi__kvm_share_page(last + 1, 0, VMI_SHARE_READ) ==
           (WORD == 32 ? VMI_EINVAL : VMI_ENOMEM));
    EXPECT(vmi__kvm_unshare_page((uint32_t)last) == VMI_EINVAL);
}

#define FLUSHED_LATER (KVM__PREEMPTED | KVM__FLUSH_TLB)

/* CPUs 4 and 39, in so many words. */
static const uint32_t two[2] = {1u << 4, 1u << 7};

/* Whether they are preempted, or what else KVM says of them; all others run. */
static int32_t flush(uint8_t one, uint8_t other)
{
    begin(0, 0);
    for (uint32_t i = 0; i < CPUS; i++)
        vmi__kvm_cpu(i)->steal.preempted = 0;
    vmi__kvm_cpu(4)->steal.preempted = one;
    vmi__kvm_cpu(39)->steal.preempted = other;
    return vmi__kvm_flush_remote_tlb(two, CPUS, 0, 0);
}

static bool told(uint8_t one, uint8_t other)
{
    return vmi__kvm_cpu(4)->steal.preempted == one && vmi__kvm_cpu(39)->steal.preempted == other;
}

/* Done is said of a flush that KVM has been asked for, on every CPU of the set and on no other. */
static void a_preempted_cpu_is_flushed_later(void)
{
    vmi__kvm_used |= 1u << KVM__FEATURE_PV_TLB_FLUSH;
    EXPECT(flush(KVM__PREEMPTED, KVM__PREEMPTED) == VMI_OK);
    EXPECT(told(FLUSHED_LATER, FLUSHED_LATER));
    EXPECT(flush(FLUSHED_LATER, KVM__PREEMPTED) == VMI_OK);
    EXPECT(told(FLUSHED_LATER, FLUSHED_LATER));
    for (uint32_t i = 0; i < CPUS; i++)
        EXPECT(i == 4 || i == 39 || vmi__kvm_cpu(i)->steal.preempted == 0);
}

/* Where one runs the kernel interrupts them all: KVM is asked for nothing. */
static void a_running_cpu_is_the_kernels(void)
{
    vmi__kvm_used |= 1u << KVM__FEATURE_PV_TLB_FLUSH;
    EXPECT(flush(KVM__PREEMPTED, 0) == VMI_ENOSYS && told(KVM__PREEMPTED, 0));
    EXPECT(flush(0, KVM__PREEMPTED) == VMI_ENOSYS && told(0, KVM__PREEMPTED));
    EXPECT(flush(0, 0) == VMI_ENOSYS && told(0, 0));
}

/* One that is there again when it is asked for has not been flushed, and is left as KVM has it. */
static void a_cpu_that_comes_back_is_running(void)
{
    vmi__kvm_used |= 1u << KVM__FEATURE_PV_TLB_FLUSH;
    comes_back = 39;
    looks = 2;
    EXPECT(flush(KVM__PREEMPTED, KVM__PREEMPTED) == VMI_ENOSYS);
    EXPECT(looks == 0 && told(FLUSHED_LATER, 0));
    comes_back = 0;
}

/* Without the feature the bits mean nothing. */
static void nothing_is_flushed_without_the_feature(void)
{
    vmi__kvm_used &= ~(1u << KVM__FEATURE_PV_TLB_FLUSH);
    EXPECT(flush(KVM__PREEMPTED, KVM__PREEMPTED) == VMI_ENOSYS);
    EXPECT(told(KVM__PREEMPTED, KVM__PREEMPTED));
    resting = 4;
    EXPECT(vmi__kvm_flush_remote_tlb(two, 32, 0, 0) == VMI_OK);
}

/* ---- main ------------------------------------------------------------------------------------ */

static const struct played_check checks[] = {
    CHECK(a_row_is_two_words),
    CHECK(a_row_begins_at_its_lowest),
    CHECK(a_set_has_as_many_words_as_it_needs),
    CHECK(a_cpu_that_is_not_there_is_none),
    CHECK(what_is_refused_goes_natively),
    CHECK(a_page_has_its_whole_address),
    CHECK(a_preempted_cpu_is_flushed_later),
    CHECK(a_running_cpu_is_the_kernels),
    CHECK(a_cpu_that_comes_back_is_running),
    CHECK(nothing_is_flushed_without_the_feature),
};

PLAY(checks)
