/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Says which timers and interrupt controllers were chosen, and what each choice was made by, if the
 * option vmi.report is given: for machines that nobody else has seen (docs/machines.md).
 */
#include "native.h"

#define OPTION "vmi.report"

#define LEAF_EXTENDED     0x80000000u
#define LEAF_POWER        0x80000007u
#define EDX_INVARIANT_TSC (1u << 8)

static char text[256];
static uint32_t length;

static void say(const char *words)
{
    while (*words && length < sizeof(text) - 1)
        text[length++] = *words++;
}

static void say_number(const char *words, uint64_t number)
{
    char digits[21];
    uint32_t at = sizeof(digits) - 1;

    digits[at] = 0;
    do {
        uint64_t rest = vmi__div64(number, 10);

        digits[--at] = (char)('0' + (number - rest * 10));
        number = rest;
    } while (number);
    say(words);
    say(digits + at);
}

static void say_yes(const char *words, bool yes)
{
    say(words);
    say(yes ? "yes" : "no");
}

static void end_line(void)
{
    text[length] = 0;
    vmi__print(text);
    vmi__print("\r\n");
    length = 0;
}

/* The counter runs on, and as fast, in all states of power (Intel SDM vol. 3B, 18.17.1). */
static bool invariant(void)
{
    return vmi__cpuid(LEAF_EXTENDED, 0).eax >= LEAF_POWER &&
           vmi__cpuid(LEAF_POWER, 0).edx & EDX_INVARIANT_TSC;
}

/* In the middle of what is measured; 0 if the counter stands still. */
static uint64_t measured(vmi__native_counter *read, uint32_t mask, uint32_t hz)
{
    struct vmi__native_bounds bounds = vmi__native_measure(read, mask, hz);

    return bounds.least + (bounds.most - bounds.least) / 2;
}

/* By each source that there is, in the order in which the first that is believed counts (tsc.c). */
static void report_tsc(void)
{
    static const char *const sources[] = {
        [VMI__TSC_BY_CPUID] = "cpuid",
        [VMI__TSC_BY_PIT] = "pit",
        [VMI__TSC_BY_ACPI_TIMER] = "acpi_timer",
    };
    struct vmi__native_told told = vmi__native_told();
    uint64_t pit = measured(vmi__native_pit_counter, 0xffff, VMI__PIT_HZ), acpi = 0;

    if (vmi__native_acpi.pm_timer)
        acpi = measured(vmi__native_pm_counter, vmi__native_pm_mask(), VMI__PM_TIMER_HZ);
    say_number("# timers tsc_hz=", vmi__native_tsc_hz);
    say(" by=");
    say(sources[vmi__native_tsc_source]);
    say_number(" cpuid_hz=", told.tsc_hz);
    say_yes(" believed=", told.trusted);
    say_yes(" invariant=", invariant());
    say_number(" pit_hz=", pit);
    say_number(" acpi_timer_hz=", acpi);
    end_line();
}

static void report_interrupts(void)
{
    uint32_t features = vmi__cpuid(1, 0).ecx;

    say("# interrupts alarms=");
    say(features & VMI__CPUID_1_ECX_DEADLINE ? "tsc_deadline" : "apic_timer");
    say_number(" apic_timer_hz=", vmi__native_apic_timer_hz);
    say_yes(" x2apic=", vmi__native_x2apic);
    say_yes(" offered=", features & VMI__CPUID_1_ECX_X2APIC);
    say_yes(" hypervisor=", features & VMI__CPUID_1_ECX_HYPERVISOR);
    say_number(" io_apics=", vmi__native_acpi.ioapics_count);
    end_line();
}

void vmi__native_report(void)
{
    const char *value;
    uint32_t size;

    if (!vmi__option(OPTION, &value, &size))
        return;
    report_tsc();
    report_interrupts();
}
