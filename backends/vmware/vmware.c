/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The backdoor: whether there is one, how it is entered, and what it says of the machine.
 */
#include "vmware.h"

#define DIGITS_MAX 10 /* of 32 bits */

#define HZ_LEAST                                                                                   \
    16000000 /* slower than any processor with these instructions; see SHIFT in time.c */

bool vmi__vmware_present, vmi__vmware_tells_time, vmi__vmware_counts_stolen_time;

static uint32_t version, product, bus_hz;
static uint64_t tsc_hz;

static bool has_hypervisor(void)
{
    return vmi__cpuid(1, 0).ecx & VMI__CPUID_1_ECX_HYPERVISOR;
}

/* The last of VMware's CPUID leaves; 0 if there are none. */
static uint32_t last_leaf(void)
{
    struct vmi__cpuid id = vmi__cpuid(VMWARE__CPUID_FIRST, 0);
    uint32_t text[3] = {id.ebx, id.ecx, id.edx};

    return memcmp(VMWARE__SIGNATURE, text, sizeof(text)) == 0 ? id.eax : 0;
}

static uint8_t find_form(void)
{
    uint32_t features;

    /* An emulator's backdoor has no leaves of VMware's, and is entered by its port. */
    if (last_leaf() < VMWARE__CPUID_FEATURES)
        return VMWARE__BY_PORT;
    features = vmi__cpuid(VMWARE__CPUID_FEATURES, 0).ecx;
    if (features & VMWARE__FEATURE_VMCALL)
        return VMWARE__BY_VMCALL;
    return features & VMWARE__FEATURE_VMMCALL ? VMWARE__BY_VMMCALL : VMWARE__BY_PORT;
}

static bool ask_version(struct vmi__vmware_answer *answer)
{
    /* On a bare machine any device may have the port, so it is let alone. */
    if (!has_hypervisor())
        return false;
    vmi__vmware_form = find_form();
    vmi__vmware_get_version(answer);
    return answer->eax != VMWARE__NONE && answer->ebx == VMWARE__MAGIC;
}

bool vmi__vmware_here(void)
{
    struct vmi__vmware_answer answer;

    return has_hypervisor() && last_leaf() && ask_version(&answer);
}

uint64_t vmi__vmware_detect(void)
{
    struct vmi__vmware_answer answer;

    vmi__vmware_present = ask_version(&answer);
    if (!vmi__vmware_present)
        return 0;
    version = answer.eax;
    product = answer.ecx;
    vmi__vmware_get_hz(&answer);
    if (answer.ebx != VMWARE__NONE) {
        tsc_hz = (uint64_t)answer.ebx << 32 | answer.eax;
        bus_hz = answer.ecx;
    }
    /* Nonsense is measured instead, as no answer is. */
    if (tsc_hz < HZ_LEAST)
        tsc_hz = 0;
    vmi__native_apic_timer_hz = tsc_hz ? bus_hz : 0;
    return tsc_hz;
}

void vmi__vmware_form_again(void)
{
    if (vmi__vmware_present)
        vmi__vmware_form = find_form();
}

static void put(const char *name, uint32_t value)
{
    char digits[DIGITS_MAX + 1], *first = digits + DIGITS_MAX;

    *first = '\0';
    do {
        *--first = (char)('0' + value % 10);
    } while (value /= 10);
    vmi__print(name);
    vmi__print(first);
}

void vmi__vmware_describe(void)
{
    static const char *const forms[] = {" by=port", " by=vmcall", " by=vmmcall"};

    if (!vmi__vmware_present) {
        vmi__print("# vmware absent=1\r\n");
        return;
    }
    put("# vmware version=", version);
    put(" product=", product);
    vmi__print(forms[vmi__vmware_form]);
    put(" tsc_khz=", (uint32_t)vmi__div64(tsc_hz, 1000));
    put(" bus_khz=", bus_hz / 1000);
    vmi__print(vmi__vmware_tells_time ? " time=yes" : " time=no");
    vmi__print(vmi__vmware_counts_stolen_time ? " steal=yes\r\n" : " steal=no\r\n");
}
