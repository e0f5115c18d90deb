/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Being fitted to another processor: forms of calls are left and taken up again. These run before
 * there is another CPU. */
#include <stddef.h>

#include "attempt.h"
#include "checks.h"
#include "cpus.h"
#include "current.h"
#include "lock.h"
#include "options.h"
#include "print.h"
#include "threads.h"
#include "timer.h"
#include "traps.h"
#include "x86.h"

extern const uint32_t vmi_image_start[], vmi_text_end[];

/* Of all code, the library's included: a sum that the order of words matters to. */
static uint32_t code_sum(void)
{
    uint32_t sum = 0;

    for (const volatile uint32_t *word = vmi_image_start; word < vmi_text_end; word++)
        sum = sum * 31 + *word;
    return sum;
}

static volatile bool access_flag;

static void note_access(struct trap_frame *frame)
{
    access_flag = frame->flags & EFLAGS_AC;
    frame->ip += 2; /* over UD2 */
}

/* Does BeginUserAccess set EFLAGS.AC, by STAC? */
static bool sets_access(void)
{
    trap_handler *previous = trap_handler_set(TRAP_INVALID_OPCODE, note_access);

    vmi_begin_user_access();
    __asm__ volatile("ud2" : : : "memory");
    vmi_end_user_access();
    trap_handler_set(TRAP_INVALID_OPCODE, previous);
    return access_flag;
}

static void forms_are_left(void)
{
    NEEDS(REBIND);
    uint32_t flags = interrupts_mask();
    uint32_t sum = code_sum();
    bool access = sets_access();
    int32_t result = vmi_rebind(0);
    uint32_t same_sum = code_sum();
    int32_t left_result = vmi_rebind(~VMI_FEATURE_X2APIC);
    uint32_t left_sum = code_sum();
    bool left_access = sets_access();
    int32_t back_result = vmi_rebind(0);
    uint32_t back_sum = code_sum();
    bool back_access = sets_access();

    interrupts_restore(flags);
    EXPECT_EQUAL(result, VMI_OK);
    EXPECT_EQUAL(same_sum, sum);
    EXPECT_EQUAL(left_result, VMI_OK);
    EXPECT(!left_access);
    EXPECT(left_sum != sum || !access);
    EXPECT_EQUAL(back_result, VMI_OK);
    EXPECT_EQUAL(back_access, access);
    EXPECT_EQUAL(back_sum, sum);
}

/* The local APIC's registers are the same by either form; x2APIC mode is not left. */
static void apic_form_is_left(void)
{
    NEEDS(REBIND);
    NEEDS(APIC_READ);
    uint32_t flags = interrupts_mask();
    uint32_t sum = code_sum();
    uint32_t timer = vmi_apic_read(VMI_APIC_LVTT);
    int32_t result = vmi_rebind(VMI_FEATURE_X2APIC);
    uint32_t left_sum = code_sum();
    uint32_t left_timer = vmi_apic_read(VMI_APIC_LVTT);
    int32_t back_result = vmi_rebind(0);
    uint32_t back_sum = code_sum();

    interrupts_restore(flags);
    EXPECT(result == VMI_OK || result == VMI_EBUSY);
    EXPECT(result == VMI_OK || left_sum == sum);
    EXPECT_EQUAL(left_timer, timer);
    EXPECT_EQUAL(back_result, VMI_OK);
    EXPECT_EQUAL(back_sum, sum);
}

const struct check checks_rebind[] = {
    {"processor.rebind", forms_are_left},
    {"processor.rebind_apic", apic_form_is_left},
    {NULL, NULL},
};

/* ---- option test=processor ---- */

#define ALARM_MICROSECONDS 1000
#define ALARM_WAITS        2000 /* of a millisecond */

/* What tells processors apart: the vendor and the features that forms are for. */
struct processor {
    uint32_t vendor, features, more;
};

static struct processor processor_now(void)
{
    struct processor now = {0};
    uint32_t highest, ignored;

    vmi_cpuid(0, 0, &highest, &now.vendor, &ignored, &ignored);
    vmi_cpuid(1, 0, &ignored, &ignored, &now.features, &ignored);
    if (highest >= 7)
        vmi_cpuid(7, 0, &ignored, &now.more, &ignored, &ignored);
    return now;
}

static void FROM_ASSEMBLY use_forms(void *argument)
{
    (void)argument;
    vmi_begin_user_access();
    vmi_end_user_access();
}

static void FROM_ASSEMBLY wake_self(void *argument)
{
    *(int32_t *)argument = vmi_kick(vmi_current_cpu());
}

/* Does an alarm go off that is set now? Whatever is known of the timer was moved too. */
static bool alarm_goes_off(void)
{
    const volatile uint32_t *alarms = timer_alarms(cpu_current());
    bool periodic = timer_is_periodic(cpu_current());
    uint32_t before = *alarms, waits = 0;

    timer_one_shot(ALARM_MICROSECONDS);
    while (*alarms == before && waits++ < ALARM_WAITS)
        spin_milliseconds(1);
    bool gone_off = *alarms != before;
    if (periodic)
        timer_init_cpu();
    return gone_off;
}

/*
 * Waits with interrupts masked until the guest has been moved to another processor, has itself
 * bound again, unless `rebind=no`, and makes calls whose forms the first one had. Whoever moves it
 * ends it, if need be.
 */
static void other_processor(void)
{
    struct processor before = processor_now(), now;
    struct fault fault = {0};
    int32_t result = VMI_OK, woken = VMI_ENOSYS;
    char word[4] = "";

    option_value(checks_boot_info->command_line, "rebind", word, sizeof(word));
    /* What the first processor has and the kernel has turned on: the kernel's own business. */
    if (vmi_get_cr4() & CR4_SMAP)
        vmi_set_cr4(vmi_get_cr4() & ~(uintptr_t)CR4_SMAP);
    print("# test=processor: vendor=0x%x access=%u\n", before.vendor, sets_access());
    uint32_t flags = interrupts_mask();
    do
        now = processor_now();
    while (now.vendor == before.vendor && now.features == before.features &&
           now.more == before.more);
    if (word[0] != 'n')
        result = vmi_rebind(0);
    bool access = sets_access();
    bool done = attempt(use_forms, NULL, &fault) && attempt(wake_self, &woken, &fault);
    interrupts_restore(flags);
    bool alarm = alarm_goes_off();
    print("# test=processor: moved to vendor=0x%x rebind=%d access=%u kick=%d exception=%u "
          "alarm=%u\n",
          now.vendor, (int)result, access, (int)woken, done ? 0 : fault.vector, alarm);
    EXPECT(alarm);
    EXPECT_EQUAL(result, VMI_OK);
    EXPECT(done);
    EXPECT_EQUAL(access, (now.more & CPUID_7_EBX_SMAP) != 0);
    EXPECT(woken == VMI_OK || woken == VMI_ENOSYS);
}

const struct check checks_other_processor[] = {
    {"test.processor", other_processor},
    {NULL, NULL},
};
