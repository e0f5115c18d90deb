/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The KVM library on a host, and then on another one, as a Linux process: this file plays the
 * processor's CPUID.
 */
#include "kvm/kvm.h"

#include <kvm/routines.h>

static struct vmi__cpuid leaf_of(uint32_t number);
#define vmi__cpuid(leaf, subleaf) leaf_of(leaf)

#define put put_words
#include "kvm/features.c"
#undef put

#include "string.c" /* runtime/ */

#include "backends/played.h"

#define AT CPUID_HYPERVISOR_FIRST

/* A host: vendor, and what its KVM offers; 0 is none. */
static struct {
    const char *vendor;
    uint32_t leaf, offers;
} host;
static const char *off;

static struct vmi__cpuid text(uint32_t eax, const char *ebx, const char *ecx, const char *edx)
{
    struct vmi__cpuid id = {.eax = eax};

    memcpy(&id.ebx, ebx, 4);
    memcpy(&id.ecx, ecx, 4);
    memcpy(&id.edx, edx, 4);
    return id;
}

static struct vmi__cpuid leaf_of(uint32_t number)
{
    static const char kvm[] = KVM__SIGNATURE;

    if (number == 0)
        return text(7, host.vendor, host.vendor + 8, host.vendor + 4);
    if (number == 1)
        return (struct vmi__cpuid){.ecx = VMI__CPUID_1_ECX_HYPERVISOR};
    if (host.leaf && number == host.leaf)
        return text(host.leaf + 1, kvm, kvm + 4, kvm + 8);
    if (host.leaf && number == host.leaf + 1)
        return (struct vmi__cpuid){.eax = host.offers};
    return (struct vmi__cpuid){0};
}

bool vmi__option(const char *name, const char **value, uint32_t *length)
{
    if (!off || name[4] != 'o')
        return false;
    *value = off;
    for (*length = 0; off[*length]; ++*length)
        ;
    return true;
}

void vmi__print(const char *line_of_text)
{
    (void)line_of_text;
}

#define BIT(feature) (1u << KVM__FEATURE_##feature)
#define CALLS        (BIT(PV_UNHALT) | BIT(PV_SEND_IPI) | BIT(PV_SCHED_YIELD) | BIT(PV_TLB_FLUSH))
#define KEPT         (BIT(CLOCKSOURCE2) | BIT(CLOCKSOURCE_STABLE) | BIT(STEAL_TIME) | BIT(PV_EOI))

static void start(const char *vendor_id, uint32_t offers)
{
    vmi__kvm_used = 0;
    vmi__kvm_present = false;
    host.vendor = vendor_id;
    host.leaf = offers ? AT : 0;
    host.offers = offers;
    EXPECT(!vmi__kvm_detect());
}

static void hypercalls_by_vendor(void)
{
    static const struct {
        const char *id;
        uint8_t vmcall;
    } each[] = {{"AuthenticAMD", 0}, {"GenuineIntel", 1}, {"HygonGenuine", 0}, {"CentaurHauls", 1}};

    for (uint32_t i = 0; i < 4; i++)
        for (uint32_t j = 0; j < 4; j++) {
            start(each[i].id, KEPT);
            EXPECT(vmi__kvm_vmcall == each[i].vmcall);
            host.vendor = each[j].id;
            EXPECT(vmi__kvm_detect_again() && vmi__kvm_vmcall == each[j].vmcall);
        }
}

/* What is asked for at each call comes and goes; the structures are part of what was moved. */
static void features_of_the_host(void)
{
    start("AuthenticAMD", KEPT | CALLS);
    EXPECT(vmi__kvm_used == (KEPT | CALLS));
    host.offers = BIT(PV_SEND_IPI) | BIT(MSI_EXT_DEST_ID);
    EXPECT(vmi__kvm_detect_again() && vmi__kvm_used == (KEPT | BIT(PV_SEND_IPI)));
    host.offers = KEPT | CALLS;
    EXPECT(vmi__kvm_detect_again() && vmi__kvm_used == (KEPT | CALLS));
    host.leaf = AT + CPUID_HYPERVISOR_STEP;
    EXPECT(vmi__kvm_detect_again() && vmi__kvm_used == (KEPT | CALLS));
}

static void what_was_not_used_stays_so(void)
{
    start("AuthenticAMD", KEPT);
    host.offers = KEPT | CALLS;
    EXPECT(vmi__kvm_detect_again() && vmi__kvm_used == KEPT);
    off = "pv_send_ipi";
    start("AuthenticAMD", KEPT | CALLS);
    EXPECT(vmi__kvm_detect_again() && vmi__kvm_used == ((KEPT | CALLS) & ~BIT(PV_SEND_IPI)));
    off = 0;
}

static void no_kvm_any_more(void)
{
    start("AuthenticAMD", KEPT);
    host.leaf = 0;
    EXPECT(!vmi__kvm_detect_again());
    start("AuthenticAMD", 0);
    EXPECT(!vmi__kvm_present && vmi__kvm_detect_again() && !vmi__kvm_used);
}

static const struct played_check checks[] = {
    CHECK(hypercalls_by_vendor),
    CHECK(features_of_the_host),
    CHECK(what_was_not_used_stays_so),
    CHECK(no_kvm_any_more),
};

PLAY(checks)
