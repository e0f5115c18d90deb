/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * SendIPI and SendNMI of the native library as a Linux process: this file plays the local APIC, and
 * keeps the commands that are written to it.
 */
#include "native/native.h"

#include <native/routines.h>

#define vmi__irq_save()                   0u
#define vmi__irq_restore(flags)           ((void)(flags))
#define vmi__native_apic_write(reg, word) apic_written(reg, word)
static void apic_written(uint32_t reg, uint32_t word);

#include "native/apic.c"
#include "native/ipi.c"

#include "cpus.c"   /* runtime/ */
#include "string.c" /* runtime/ */

#include "backends/played.h"

#define CPUS   40 /* more than a word of a set has bits */
#define SELF   33
#define VECTOR 0x41

static struct vmi_cpu listed[CPUS];
struct vmi_boot_info vmi__boot = {.cpu_count = CPUS, .cpus = listed};
struct vmi_cpu vmi__cpus[VMI__CPUS_FEW];
bool vmi__native_cpus_unlisted;

static uint32_t registers[1024];
static bool more[CPUS];
static uint32_t high, commands;
static uint32_t sent[256]; /* commands by destination; by shorthand in place 255 */
static uint32_t last;      /* command */

static void apic_written(uint32_t reg, uint32_t word)
{
    if (reg == VMI_APIC_ICR_HIGH)
        high = word >> 24;
    if (reg != VMI_APIC_ICR_LOW)
        return;
    commands++;
    last = word;
    sent[word & VMI__ICR_ALL_BUT_SELF ? 255 : high]++;
}

uint32_t vmi__native_cpu(void)
{
    return SELF;
}

uint32_t vmi__memory_claim(uint32_t size, uint32_t limit)
{
    (void)size;
    (void)limit;
    return 0;
}

volatile void *vmi__window_map(uint32_t slot, uint64_t address)
{
    (void)slot;
    (void)address;
    return registers;
}

void vmi__fatal(const char *reason)
{
    (void)reason;
    for (;;)
        ;
}

static void begin(void)
{
    vmi__native_apic = (volatile char *)registers;
    vmi__native_cpus_started = CPUS;
    vmi__native_cpus_unlisted = false;
    runs_more = more;
    for (uint32_t i = 0; i < CPUS; i++)
        vmi__native_cpu_set_runs(i, true);
    commands = 0;
    memset(sent, 0, sizeof(sent));
    for (uint32_t i = 0; i < CPUS; i++)
        listed[i].apic_id = 2 * i;
    registers[VMI_APIC_ID / 4] = 2 * SELF << 24;
}

static void all_are_one_command(void)
{
    begin();
    EXPECT(vmi__native_send_ipi(0, VMI_CPUS_ALL, VECTOR) == VMI_OK);
    EXPECT(commands == 1 && last == (0x84000 | VECTOR));
    EXPECT(vmi__native_send_ipi(0, VMI_CPUS_ALL_BUT_SELF, VECTOR) == VMI_OK);
    EXPECT(commands == 2 && last == (0xc4000 | VECTOR));
    EXPECT(vmi__native_send_nmi(0, VMI_CPUS_ALL_BUT_SELF) == VMI_OK);
    EXPECT(commands == 3 && last == 0xc4400);
    /* "All including self" is for vectors only (Intel SDM vol. 3A, table 11-3). */
    EXPECT(vmi__native_send_nmi(0, VMI_CPUS_ALL) == VMI_OK);
    EXPECT(commands == 5 && last == 0x4400 && sent[2 * SELF] == 1 && sent[255] == 4);
}

/* One that waits for its start, or that is not listed, hears of nothing. */
static void all_are_those_that_run(void)
{
    for (uint32_t round = 0; round < 2; round++) {
        begin();
        if (round) {
            vmi__native_cpus_unlisted = true;
        } else {
            vmi__native_cpus_started = CPUS - 1;
            vmi__native_cpu_set_runs(7, false);
        }
        EXPECT(vmi__native_send_ipi(0, VMI_CPUS_ALL_BUT_SELF, VECTOR) == VMI_OK);
        EXPECT(commands == CPUS - 2 + round && !sent[2 * SELF] && sent[14] == round && !sent[255]);
        EXPECT(vmi__native_send_nmi(0, VMI_CPUS_ALL) == VMI_OK && sent[2 * SELF] == 1);
    }
}

static void a_set_is_its_cpus(void)
{
    const uint32_t set[3] = {1u << 31 | 2, 1u << 7, 0};

    begin();
    EXPECT(vmi__native_send_ipi(set, 96, VECTOR) == VMI_OK);
    EXPECT(commands == 3 && sent[2] == 1 && sent[62] == 1 && sent[78] == 1);
    EXPECT(vmi__native_send_ipi(set, 39, VECTOR) == VMI_OK && commands == 5);
    EXPECT(vmi__native_send_ipi(set, 31, VECTOR) == VMI_OK && commands == 6);
    EXPECT(vmi__native_send_ipi(set, 0, VECTOR) == VMI_OK && commands == 6);
}

static void what_is_wrong_sends_nothing(void)
{
    const uint32_t set[3] = {1, 1u << 8, 1};

    begin();
    EXPECT(vmi__native_send_ipi(set, 41, VECTOR) == VMI_EINVAL);
    EXPECT(vmi__native_send_ipi(set, 96, VECTOR) == VMI_EINVAL);
    EXPECT(vmi__native_send_ipi(set, VMI_CPUS_LIMIT + 1, VECTOR) == VMI_EINVAL);
    EXPECT(vmi__native_send_ipi(set, VMI_CPUS_ALL_BUT_SELF - 1, VECTOR) == VMI_EINVAL);
    EXPECT(vmi__native_send_ipi(set, 1, 31) == VMI_EINVAL);
    EXPECT(vmi__native_send_ipi(set, 1, 256) == VMI_EINVAL);
    EXPECT(vmi__native_send_nmi(set, 41) == VMI_EINVAL);
    EXPECT(commands == 0);
    EXPECT(vmi__native_send_ipi(set, 40, VECTOR) == VMI_OK && commands == 1);
}

static const struct played_check checks[] = {
    CHECK(all_are_one_command),
    CHECK(all_are_those_that_run),
    CHECK(a_set_is_its_cpus),
    CHECK(what_is_wrong_sends_nothing),
};

PLAY(checks)
