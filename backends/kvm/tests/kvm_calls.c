/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * SendIPI and SharePage of the KVM library as a Linux process: this file plays KVM and the native
 * library below. For what no rig shows: APIC identifiers far apart, and memory that is not there.
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

#include "backends/played.h"

#define CPUS     8
#define VECTOR   0x41
#define WORD     (8 * (uint32_t)sizeof(uintptr_t))
#define APIC_MAX 256

/* ---- what is below and beside ---------------------------------------------------------------- */

struct vmi_boot_info vmi__boot = {.cpu_count = CPUS};
struct vmi__kvm_cpu vmi__kvm_cpus[VMI_BOOT_INFO_MAX_CPUS];
uint32_t vmi__kvm_used = 1u << KVM__FEATURE_PV_SEND_IPI | 1u << KVM__FEATURE_HC_MAP_GPA_RANGE;
bool vmi__kvm_present = true;
volatile char *vmi__native_apic;
bool vmi__native_ended_vectors[256];

static uint8_t interrupted[APIC_MAX]; /* how often, by APIC identifier */
static uint32_t hypercalls;
static uint64_t mapped; /* address of the last map_gpa_range */
static bool refuses;
static uint32_t native_mask;

uint32_t vmi__native_cpu(void)
{
    return 0;
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

VMI__ROUTINE int32_t vmi__native_send_ipi(uint32_t mask, uint32_t base, uint32_t vector)
{
    (void)base;
    (void)vector;
    native_mask |= mask;
    return VMI_OK;
}

/* As Linux's kvm_pv_send_ipi (arch/x86/kvm/lapic.c): two words of the guest's width. */
HYPERCALL intptr_t vmi__kvm_hypercall_send_ipi(uintptr_t mask_low, uintptr_t mask_high,
                                               uint32_t base, uint32_t command)
{
    const uintptr_t masks[2] = {mask_low, mask_high};

    hypercalls++;
    if (refuses)
        return -KVM__ENOSYS;
    for (uint32_t i = 0; i < 2 * WORD; i++) {
        if (masks[i / WORD] >> i % WORD & 1 && base + i < APIC_MAX && command == VECTOR)
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

static void begin(const uint32_t *apic_id)
{
    for (uint32_t i = 0; i < CPUS; i++)
        vmi__boot.apic_id[i] = apic_id[i];
    for (uint32_t i = 0; i < APIC_MAX; i++)
        interrupted[i] = 0;
    hypercalls = native_mask = 0;
    refuses = false;
}

/* Each of the set once, and nobody else. */
static bool just(uint32_t mask)
{
    uint32_t wanted = 0, all = 0;

    for (uint32_t i = 0; i < CPUS; i++) {
        if (!(mask & 1u << i))
            continue;
        if (interrupted[vmi__boot.apic_id[i]] != 1)
            return false;
        wanted++;
    }
    for (uint32_t i = 0; i < APIC_MAX; i++)
        all += interrupted[i];
    return all == wanted;
}

static void a_row_is_two_words(void)
{
    const uint32_t last = 2 * WORD - 1;
    const uint32_t apic_id[CPUS] = {last, 0, WORD - 1, WORD, WORD + 1, 5, last - 1, last + 1};

    begin(apic_id);
    EXPECT(vmi__kvm_send_ipi(0x7f, 0, VECTOR) == VMI_OK && just(0x7f) && hypercalls == 1);
    begin(apic_id);
    EXPECT(vmi__kvm_send_ipi(0xff, 0, VECTOR) == VMI_OK && just(0xff) && hypercalls == 2);
    begin(apic_id);
    EXPECT(vmi__kvm_send_ipi(0x23, 2, VECTOR) == VMI_OK && just(0x8c) && hypercalls == 1);
}

static void a_row_begins_at_its_lowest(void)
{
    const uint32_t apic_id[CPUS] = {200, 256 - 2 * WORD, 201, 255, 0, 1, 2, 3};

    begin(apic_id);
    EXPECT(vmi__kvm_send_ipi(0x0f, 0, VECTOR) == VMI_OK && just(0x0f) && hypercalls == 1);
}

static void what_is_refused_goes_natively(void)
{
    const uint32_t apic_id[CPUS] = {0, 1, 2, 3, 4, 5, 6, 255};

    begin(apic_id);
    refuses = true;
    EXPECT(vmi__kvm_send_ipi(0x81, 0, VECTOR) == VMI_OK && native_mask == 0x81);
    EXPECT(hypercalls == 2);
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

/* ---- main ------------------------------------------------------------------------------------ */

static const struct played_check checks[] = {
    CHECK(a_row_is_two_words),
    CHECK(a_row_begins_at_its_lowest),
    CHECK(what_is_refused_goes_natively),
    CHECK(a_page_has_its_whole_address),
};

PLAY(checks)
