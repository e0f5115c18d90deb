/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The local APIC of the native library as a Linux process: this file plays it, in either mode, and
 * keeps the commands that are written to it.
 */
#include "native/cpu.h"

static uint64_t read_msr(uint32_t index);
static void write_msr(uint32_t index, uint64_t value);
static struct vmi__cpuid processor(void);
#define vmi__rdmsr(index)         read_msr(index)
#define vmi__wrmsr(index, value)  write_msr(index, value)
#define vmi__cpuid(leaf, subleaf) processor()

#include "native/native.h"

#include <native/routines.h>

#define vmi__irq_save()                   0u
#define vmi__irq_restore(flags)           ((void)(flags))
#define vmi__native_apic_write(reg, word) apic_written(reg, word)
static void apic_written(uint32_t reg, uint32_t word);

#include "native/apic.c"
#include "native/apic_calls.c"
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
static uint32_t more_halves[CPUS];
static uint32_t high, commands;
static uint32_t sent[256]; /* commands by destination; by shorthand in place 255 */
static uint32_t last;      /* command */

static uint64_t msrs[0x840]; /* by number */
static uint32_t msrs_written, features_ecx;
static bool faulted; /* by an access to a register of the mode that is off, or that is none */
static bool gave_up;
static uint32_t mapped;

static uint64_t read_msr(uint32_t index)
{
    faulted |=
        index != VMI__MSR_APIC_BASE &&
        (index < VMI__MSR_X2APIC || index >= sizeof(msrs) / sizeof(msrs[0]) ||
         !(msrs[VMI__MSR_APIC_BASE] & VMI__APIC_BASE_X2APIC) || index == 0x831 || index == 0x80e);
    return index < sizeof(msrs) / sizeof(msrs[0]) ? msrs[index] : 0;
}

static void write_msr(uint32_t index, uint64_t value)
{
    uint64_t base = msrs[VMI__MSR_APIC_BASE];

    if (index == VMI__MSR_APIC_BASE) {
        /* From one mode to the next (Intel SDM vol. 3A, 11.12.5.1). */
        faulted |= value & VMI__APIC_BASE_X2APIC && !(base & VMI__APIC_BASE_ENABLE);
        faulted |= base & VMI__APIC_BASE_X2APIC && !(value & VMI__APIC_BASE_X2APIC);
    } else {
        read_msr(index);
        faulted |= index == VMI__MSR_X2APIC_ID || (index == 0x80b && value) ||
                   (index == 0x828 && value) || (index == 0x832 && value & ~0x700ffull) ||
                   (index == 0x808 && value & ~0xffull) || (index == 0x830 && value & 0xfff33000u);
        msrs_written++;
        if (index == VMI__MSR_X2APIC_ICR) {
            commands++;
            high = (uint32_t)(value >> 32);
            last = (uint32_t)value;
            sent[value & VMI__ICR_ALL_BUT_SELF ? 255 : high & 0xff]++;
        }
    }
    if (index < sizeof(msrs) / sizeof(msrs[0]))
        msrs[index] = value;
}

static struct vmi__cpuid processor(void)
{
    return (struct vmi__cpuid){.edx = CPUID_1_EDX_APIC, .ecx = features_ecx};
}

static void apic_written(uint32_t reg, uint32_t word)
{
    if (vmi__native_x2apic) {
        write_msr(VMI__MSR_X2APIC + (reg >> 4), word);
        return;
    }
    registers[reg / 4] = word;
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

/* The timer's part (alarm.c), and in which order it is called. */
static uint32_t lvtt_written, left, looked_at;

void vmi__native_alarm_write_lvtt(uint32_t value)
{
    lvtt_written = value;
}

void vmi__native_alarm_leave_timer(void)
{
    left = 1 + msrs_written;
}

void vmi__native_alarm_look_at_lvtt(void)
{
    looked_at = 1 + msrs_written;
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
    mapped++;
    return registers;
}

/* Goes on with what is checked, which it ends. */
static void *back[5];

void vmi__fatal(const char *reason)
{
    (void)reason;
    gave_up = true;
    __builtin_longjmp(back, 1);
}

static void begin(void)
{
    vmi__native_x2apic = false;
    memset(msrs, 0, sizeof(msrs));
    faulted = gave_up = false;
    features_ecx = msrs_written = mapped = 0;
    halves_more = more_halves;
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

/* ---- modes ---- */

#define X2APIC     VMI__CPUID_1_ECX_X2APIC
#define HYPERVISOR VMI__CPUID_1_ECX_HYPERVISOR
#define ENABLED    VMI__APIC_BASE_ENABLE
#define ON         (VMI__APIC_BASE_ENABLE | VMI__APIC_BASE_X2APIC)

/* Starts the APIC of a processor with features, as firmware has left it. */
static void start(uint32_t features, uint64_t left)
{
    begin();
    features_ecx = features;
    msrs[VMI__MSR_APIC_BASE] = 0xfee00100 | left;
    if (!__builtin_setjmp(back))
        vmi__native_apic_init();
}

static void the_mode_is_chosen(void)
{
    static const struct {
        uint32_t features, left;
        bool x2apic, refused;
    } cases[] = {
        {0, ENABLED, false, false},
        {HYPERVISOR, ENABLED, false, false},
        {X2APIC, ENABLED, false, false}, /* hardware: nothing remaps interrupts */
        {X2APIC, 0, false, false},
        {X2APIC, ON, true, false}, /* as firmware has left it */
        {X2APIC | HYPERVISOR, ENABLED, true, false},
        {X2APIC | HYPERVISOR, 0, true, false},
        {X2APIC | HYPERVISOR, ON, true, false},
        {HYPERVISOR, ON, false, true},
        {0, ON, false, true},
    };

    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        start(cases[i].features, cases[i].left);
        EXPECT(gave_up == cases[i].refused);
        if (gave_up)
            continue;
        EXPECT(vmi__native_x2apic == cases[i].x2apic && !faulted);
        EXPECT(msrs[VMI__MSR_APIC_BASE] == (0xfee00100 | (cases[i].x2apic ? ON : ENABLED)));
        EXPECT(mapped == !cases[i].x2apic);
        /* All goes one way. */
        EXPECT((msrs_written == 0) == !cases[i].x2apic);
        EXPECT((registers[VMI_APIC_SVR / 4] == 0x1ff) == !cases[i].x2apic);
        EXPECT(!cases[i].x2apic || (msrs[0x80f] == 0x1ff && msrs[0x832] == 0x10000 &&
                                    msrs[0x836] == 0x400 && msrs[0x837] == 0x10000));
        registers[VMI_APIC_SVR / 4] = 0;
    }
}

static void commands_by_msr(void)
{
    start(X2APIC | HYPERVISOR, ENABLED);
    listed[7].apic_id = 0x12345;
    EXPECT(vmi__native_send_ipi((const uint32_t[]){1u << 7}, 8, VECTOR) == VMI_OK);
    EXPECT(commands == 1 && high == 0x12345 && last == (VMI__ICR_FIXED | VECTOR));
    EXPECT(vmi__native_send_ipi(0, VMI_CPUS_ALL, VECTOR) == VMI_OK);
    EXPECT(commands == 2 && last == (0x84000 | VECTOR));
    msrs[VMI__MSR_X2APIC_ID] = 0xabcde;
    EXPECT(vmi__native_apic_id() == 0xabcde);
    EXPECT(vmi__native_send_nmi(0, VMI_CPUS_ALL) == VMI_OK);
    EXPECT(commands == 4 && last == VMI__ICR_NMI && high == 0xabcde && !faulted);
}

/* The calls: registers are what the page has. */
static void calls_in_x2apic_mode(void)
{
    start(X2APIC | HYPERVISOR, ENABLED);
    msrs[VMI__MSR_X2APIC_ID] = 0x42;
    EXPECT(vmi__native_apic_read_any(VMI_APIC_ID) == 0x42000000);
    EXPECT(vmi__native_apic_read_any(0xfee00000 + VMI_APIC_ID) == 0x42000000);
    msrs[VMI__MSR_X2APIC_ID] = 0x142;
    EXPECT(vmi__native_apic_read_any(VMI_APIC_ID) == 0xff000000);
    msrs[0x803] = 0x50014;
    EXPECT(vmi__native_apic_read_any(VMI_APIC_VERSION) == 0x50014);
    vmi__native_apic_write_any(VMI__APIC_LVT_ERROR, VECTOR | 1u << 12);
    EXPECT(msrs[0x837] == VECTOR && vmi__native_apic_read_any(VMI__APIC_LVT_ERROR) == VECTOR);
    vmi__native_apic_write_any(0xffc00000 + VMI_APIC_TPR, 0xabcd20);
    EXPECT(msrs[0x808] == 0x20);
    msrs[0x80b] = 1;
    vmi__native_apic_write_any(VMI_APIC_EOI, ~0u);
    EXPECT(msrs[0x80b] == 0);
    vmi__native_apic_write_any(0x280, ~0u);

    /* A command of two halves, by each CPU for itself; the second half sends it. */
    commands = 0;
    vmi__native_apic_write_any(VMI_APIC_ICR_HIGH, 0x07123456);
    EXPECT(!commands && vmi__native_apic_read_any(VMI_APIC_ICR_HIGH) == 0x07123456);
    EXPECT(more_halves[SELF - VMI__CPUS_FEW] == 0x07123456);
    vmi__native_apic_write_any(VMI_APIC_ICR_LOW, VMI__ICR_FIXED | VECTOR | 1u << 12);
    EXPECT(commands == 1 && high == 7 && last == (VMI__ICR_FIXED | VECTOR));
    EXPECT(vmi__native_apic_read_any(VMI_APIC_ICR_LOW) == (VMI__ICR_FIXED | VECTOR));
    vmi__native_apic_write_any(VMI_APIC_ICR_HIGH, 0xff000000);
    vmi__native_apic_write_any(VMI_APIC_ICR_LOW, VMI__ICR_FIXED | VECTOR);
    EXPECT(high == ~0u && !faulted);

    /* The ways of no register: each offset of the page. */
    for (uint32_t reg = 0; reg < 0x1000; reg += 4) {
        if (reg != VMI_APIC_ICR_LOW)
            vmi__native_apic_write_any(reg, ~0u);
        vmi__native_apic_read_any(reg);
        msrs[VMI__MSR_X2APIC_ID] = 0x142;
    }
    EXPECT(!faulted && commands == 2);
}

static void calls_by_the_page(void)
{
    start(X2APIC, ENABLED);
    vmi__native_apic_write_any(0xffc00000 + VMI__APIC_LVT_LINT0, VECTOR | 1u << 12);
    EXPECT(registers[VMI__APIC_LVT_LINT0 / 4] == (VECTOR | 1u << 12) && !msrs_written);
    EXPECT(vmi__native_apic_read_any(0xffc00000 + VMI__APIC_LVT_LINT0) == (VECTOR | 1u << 12));
    EXPECT(!faulted);
}

/* The timer is the library's too: its entry goes by alarm.c, which hears of a count before that is
 * there, and of the APIC's state behind it. */
static void the_timer_is_shared(void)
{
    start(X2APIC | HYPERVISOR, ENABLED);
    msrs_written = 0;
    vmi__native_apic_write_any(0xffc00000 + VMI_APIC_LVTT, VECTOR | 1u << 12);
    EXPECT(lvtt_written == (VECTOR | 1u << 12) && !msrs_written);
    vmi__native_apic_write_any(VMI__APIC_TIMER_INITIAL, 1000);
    EXPECT(left == 1 && msrs_written == 1 && msrs[0x838] == 1000);
    vmi__native_apic_write_any(VMI_APIC_SVR, VMI__APIC_SVR_ON);
    EXPECT(looked_at == 3 && msrs_written == 2);
    looked_at = left = 0;
    vmi__native_apic_write_any(VMI_APIC_TPR, 0);
    EXPECT(!looked_at && !left);
}

/* The mode is not left, and the processor must go on offering it. */
static void another_processor(void)
{
    start(X2APIC | HYPERVISOR, ENABLED);
    EXPECT(vmi__native_x2apic && vmi__native_rebind(0) == VMI_OK);
    EXPECT(vmi__native_rebind(~VMI_FEATURE_X2APIC) == VMI_OK);
    EXPECT(vmi__native_rebind(VMI_FEATURE_X2APIC) == VMI_EBUSY);
    features_ecx = HYPERVISOR;
    EXPECT(vmi__native_rebind(0) == VMI_ENODEV);
    start(X2APIC, ENABLED);
    EXPECT(!vmi__native_x2apic && vmi__native_rebind(VMI_FEATURE_X2APIC) == VMI_OK);
    features_ecx = 0;
    EXPECT(vmi__native_rebind(0) == VMI_OK && !msrs_written);
}

static const struct played_check checks[] = {
    CHECK(another_processor),      CHECK(the_mode_is_chosen), CHECK(commands_by_msr),
    CHECK(calls_in_x2apic_mode),   CHECK(calls_by_the_page),  CHECK(all_are_one_command),
    CHECK(all_are_those_that_run), CHECK(a_set_is_its_cpus),  CHECK(what_is_wrong_sends_nothing),
    CHECK(the_timer_is_shared),
};

PLAY(checks)
