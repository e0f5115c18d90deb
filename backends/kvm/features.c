/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What KVM offers, and what of it is used.
 */
#include "kvm.h"

/*
 * Hypervisors have leaves from here, each at the next multiple (Linux
 * Documentation/virt/kvm/x86/cpuid.rst).
 */
#define CPUID_HYPERVISOR_FIRST 0x40000000u
#define CPUID_HYPERVISOR_END   0x40010000u
#define CPUID_HYPERVISOR_STEP  0x100u

struct feature {
    uint8_t bit;
    bool known; /* this library can use it */
    const char *name;
};

/*
 * Names as in Linux's documentation. Those that the library does not use are here to be told by
 * their names.
 */
static const struct feature features[] = {
    {KVM__FEATURE_CLOCKSOURCE, true, "clocksource"},
    {KVM__FEATURE_NOP_IO_DELAY, true, "nop_io_delay"},
    {KVM__FEATURE_MMU_OP, false, "mmu_op"},
    {KVM__FEATURE_CLOCKSOURCE2, true, "clocksource2"},
    {KVM__FEATURE_ASYNC_PF, false, "async_pf"},
    {KVM__FEATURE_STEAL_TIME, true, "steal_time"},
    {KVM__FEATURE_PV_EOI, true, "pv_eoi"},
    {KVM__FEATURE_PV_UNHALT, true, "pv_unhalt"},
    {KVM__FEATURE_PV_TLB_FLUSH, true, "pv_tlb_flush"},
    {KVM__FEATURE_ASYNC_PF_VMEXIT, false, "async_pf_vmexit"},
    {KVM__FEATURE_PV_SEND_IPI, true, "pv_send_ipi"},
    {KVM__FEATURE_POLL_CONTROL, true, "poll_control"},
    {KVM__FEATURE_PV_SCHED_YIELD, true, "pv_sched_yield"},
    {KVM__FEATURE_ASYNC_PF_INT, false, "async_pf_int"},
    {KVM__FEATURE_MSI_EXT_DEST_ID, false, "msi_ext_dest_id"},
    {KVM__FEATURE_HC_MAP_GPA_RANGE, true, "hc_map_gpa_range"},
    {KVM__FEATURE_MIGRATION_CONTROL, false, "migration_control"},
    {KVM__FEATURE_CLOCKSOURCE_STABLE, true, "clocksource_stable"},
};

#define FEATURES (sizeof(features) / sizeof(features[0]))

struct vendor {
    const char *id; /* ebx, edx, ecx of CPUID leaf 0 */
    const char *name;
    uint8_t vmcall;
};

/*
 * Whose virtualization a processor has. QEMU gives a guest of KVM its host's vendor whatever its
 * model.
 */
static const struct vendor vendors[] = {
    {"AuthenticAMD", "AMD", 0},     {"HygonGenuine", "Hygon", 0},   {"GenuineIntel", "Intel", 1},
    {"CentaurHauls", "Centaur", 1}, {"  Shanghai  ", "Zhaoxin", 1}, {"", "unknown", 1},
};

#define VENDORS (sizeof(vendors) / sizeof(vendors[0]))

uint32_t vmi__kvm_used;
uint8_t vmi__kvm_vmcall;
bool vmi__kvm_present;

static const struct vendor *vendor;
static uint32_t offered, hints;
static uint32_t chosen; /* vmi__kvm_used at the start */

static void find_vendor(void)
{
    struct vmi__cpuid id = vmi__cpuid(0, 0);
    uint32_t text[3] = {id.ebx, id.edx, id.ecx};

    for (vendor = vendors; vendor < vendors + VENDORS - 1; vendor++) {
        if (memcmp(vendor->id, text, sizeof(text)) == 0)
            break;
    }
    vmi__kvm_vmcall = vendor->vmcall;
}

/*
 * First of KVM's leaves, which are behind another interface's where QEMU imitates one too; 0 if
 * there are none.
 */
static uint32_t find_leaves(void)
{
    uint32_t leaf;

    if (!(vmi__cpuid(1, 0).ecx & VMI__CPUID_1_ECX_HYPERVISOR))
        return 0;
    for (leaf = CPUID_HYPERVISOR_FIRST; leaf < CPUID_HYPERVISOR_END;
         leaf += CPUID_HYPERVISOR_STEP) {
        struct vmi__cpuid id = vmi__cpuid(leaf, 0);
        uint32_t text[3] = {id.ebx, id.ecx, id.edx};

        /* Old versions of KVM say 0 for the highest leaf and have two all the same. */
        if (memcmp(KVM__SIGNATURE, text, sizeof(text)) == 0 && (id.eax == 0 || id.eax > leaf))
            return leaf;
    }
    return 0;
}

bool vmi__kvm_here(void)
{
    return find_leaves() != 0;
}

/*
 * Features that the option vmi.off= names, separated by commas; "all" stands for all. False if
 * there is no such feature.
 */
static bool parse_off(uint32_t *off)
{
    const char *text, *word;
    uint32_t length, size;
    size_t i;

    *off = 0;
    if (!vmi__option("vmi.off", &text, &length))
        return true;
    for (;;) {
        for (word = text; length && *text != ','; text++)
            length--;
        size = (uint32_t)(text - word);
        for (i = 0; i < FEATURES; i++) {
            if (vmi__is_word(features[i].name, word, size))
                break;
        }
        if (i < FEATURES)
            *off |= 1u << features[i].bit;
        else if (vmi__is_word("all", word, size))
            *off = ~0u;
        else
            return false;
        if (length == 0)
            return true;
        text++;
        length--;
    }
}

/* Takes a feature out of use, because another one that it builds on is not used. */
static void needs(uint32_t feature, uint32_t other)
{
    if (!vmi__kvm_uses(other))
        vmi__kvm_used &= ~(1u << feature);
}

const char *vmi__kvm_detect(void)
{
    uint32_t leaf, off, length;
    const char *value;
    size_t i;

    if (!parse_off(&off))
        return "option vmi.off= names a feature that is not known";
    find_vendor();
    leaf = find_leaves();
    if (!leaf)
        return 0;
    vmi__kvm_present = true;
    offered = vmi__cpuid(leaf + 1, 0).eax;
    hints = vmi__cpuid(leaf + 1, 0).edx;

    for (i = 0; i < FEATURES; i++) {
        if (features[i].known)
            vmi__kvm_used |= 1u << features[i].bit;
    }
    vmi__kvm_used &= offered & ~off;
    if (vmi__kvm_uses(KVM__FEATURE_CLOCKSOURCE2))
        vmi__kvm_used &= ~(1u << KVM__FEATURE_CLOCKSOURCE); /* the same with other MSRs */
    else
        needs(KVM__FEATURE_CLOCKSOURCE_STABLE, KVM__FEATURE_CLOCKSOURCE);
    /* KVM marks preempted virtual CPUs in their steal time. */
    needs(KVM__FEATURE_PV_TLB_FLUSH, KVM__FEATURE_STEAL_TIME);
    needs(KVM__FEATURE_PV_SCHED_YIELD, KVM__FEATURE_STEAL_TIME);
    if (hints & 1u << KVM__HINT_REALTIME)
        vmi__kvm_used &= ~(1u << KVM__FEATURE_PV_TLB_FLUSH | 1u << KVM__FEATURE_PV_SCHED_YIELD);
    /* The host polls for a halted virtual CPU unless it is told not to. */
    if (!vmi__option("vmi.host_poll", &value, &length))
        vmi__kvm_used &= ~(1u << KVM__FEATURE_POLL_CONTROL);
    else if (!vmi__is_word("off", value, length))
        return "option vmi.host_poll= wants the word off";
    chosen = vmi__kvm_used;
    return 0;
}

bool vmi__kvm_detect_again(void)
{
    static const uint32_t kept = 1u << KVM__FEATURE_CLOCKSOURCE | 1u << KVM__FEATURE_CLOCKSOURCE2 |
                                 1u << KVM__FEATURE_CLOCKSOURCE_STABLE |
                                 1u << KVM__FEATURE_STEAL_TIME | 1u << KVM__FEATURE_PV_EOI |
                                 1u << KVM__FEATURE_POLL_CONTROL;
    uint32_t leaf = find_leaves();

    find_vendor();
    if (!vmi__kvm_present)
        return true;
    if (!leaf)
        return false;
    vmi__kvm_used = chosen & (vmi__cpuid(leaf + 1, 0).eax | kept);
    return true;
}

/* ---- the line on the console ----------------------------------------------------------------- */

#define LINE_MAX 320 /* all features together take 230 */

static char line[LINE_MAX];
static uint32_t line_length;

static void put(const char *text)
{
    while (*text && line_length < LINE_MAX - 1)
        line[line_length++] = *text++;
}

static void put_hex(uint32_t value)
{
    uint32_t shift = 32;
    char digit[2] = "";

    put("0x");
    while (shift) {
        shift -= 4;
        digit[0] = "0123456789abcdef"[value >> shift & 15];
        put(digit);
    }
}

static void put_features(uint32_t set)
{
    const char *comma = "";
    size_t i;

    for (i = 0; i < FEATURES; i++) {
        if (set & 1u << features[i].bit) {
            put(comma);
            put(features[i].name);
            comma = ",";
        }
    }
    if (!*comma)
        put("none");
}

/* Writes what was put together as a line; lines stay short enough for any terminal's buffer. */
static void end_line(void)
{
    put("\r\n");
    line[line_length] = 0;
    vmi__print(line);
    line_length = 0;
}

void vmi__kvm_describe(void)
{
    put("# kvm vendor=");
    put(vendor->name);
    if (!vmi__kvm_present) {
        put(" absent=1");
        end_line();
        return;
    }
    put(vmi__kvm_vmcall ? " transfer=vmcall features=" : " transfer=vmmcall features=");
    put_hex(offered);
    put(" hints=");
    put_hex(hints);
    end_line();
    put("# kvm offered=");
    put_features(offered);
    end_line();
    put("# kvm used=");
    put_features(vmi__kvm_used);
    end_line();
}
