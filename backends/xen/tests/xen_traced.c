/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The flavour `traced` by the conventions of a PV domain, in a Linux process: it has no CLI and no
 * STI, as a domain has none, and its GS base is what tells the CPU and its event mask.
 */
#include "xen/traced.c"

#include "string.c"       /* runtime/ */
#include "traced/hooks.c" /* runtime/ */

#include "backends/played.h"

/* arch/x86/entry/syscalls/syscall_64.tbl; asm/prctl.h. */
#define SYS_ARCH_PRCTL 158
#define ARCH_SET_GS    0x1001

#define ORDINAL VMI_ORDINAL_SET_DR

const struct vmi__traced_call vmi__traced_calls[VMI_ORDINALS] = {
    [ORDINAL] = {.argument_words = 1, .arguments = {6}}, /* rdi, of struct vmi__flavour_frame */
};

static struct vmi__xen_cpu records[2];
struct vmi__xen_cpu *vmi__xen_cpus[VMI__XEN_CPUS_MAX];
static uint64_t areas[2][VMI_PERCPU_SIZE / 8];

static void set_gs(uintptr_t base)
{
    int64_t result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"((int64_t)SYS_ARCH_PRCTL), "D"((int64_t)ARCH_SET_GS), "S"(base)
                     : "rcx", "r11", "memory");
    EXPECT(result == 0);
}

/* Goes on on that CPU of a domain that has been started. */
static void on_cpu(uint32_t number, uint8_t mask)
{
    uintptr_t area = (uintptr_t)areas[number];

    *(uint32_t *)(area + VMI_PERCPU_NUMBER) = number;
    *(uintptr_t *)(area + VMI_PERCPU_PRIVATE) = (uintptr_t)&records[number];
    set_gs(area);
    for (uint32_t i = 0; i < 2; i++) {
        vmi__xen_cpus[i] = &records[i];
        records[i].started = 1;
        records[i].arch.info.evtchn_upcall_mask = mask;
    }
}

/* One call by both hooks; its records. */
static const struct vmi__trace_record *traced_call(void)
{
    static struct {
        struct vmi__flavour_frame frame;
        uintptr_t caller;
    } frame = {.frame.rdi = 0x77, .caller = 0x1234};
    uint32_t first = vmi__trace.next;

    vmi__flavour_enter(ORDINAL, &frame.frame);
    vmi__flavour_leave(ORDINAL, &frame.frame);
    EXPECT(vmi__trace.next == first + 2);
    return &vmi__trace.entries[first];
}

/* No area yet: any use of GS would end the process. */
static void before_the_first_cpu(void)
{
    const struct vmi__trace_record *record;

    set_gs(0);
    record = traced_call();
    EXPECT(record[0].kind == VMI__TRACE_ENTER && record[1].kind == VMI__TRACE_LEAVE);
    EXPECT(record->cpu == 0 && record->values[0] == 0x77 && record->caller == 0x1234);
    EXPECT(!vmi__trace.frequency);
    /* It has a record that is not in use yet. */
    vmi__xen_cpus[0] = &records[0];
    EXPECT(traced_call()->cpu == 0);
}

static void the_mask_is_as_it_was(void)
{
    for (uint8_t mask = 0; mask < 2; mask++) {
        on_cpu(1, mask);
        EXPECT(traced_call()->cpu == 1);
        EXPECT(records[1].arch.info.evtchn_upcall_mask == mask);
        EXPECT(records[0].arch.info.evtchn_upcall_mask == mask);
    }
}

/* By places of rax and of rdi, rsi, r8; the library makes some before the first CPU is started. */
static void hypercalls(void)
{
    static const uint8_t places[] = {0, 6, 5, 7, VMI__TRACE_PLACES_END};
    struct vmi__flavour_frame frame = {.rax = 32, .rdi = 0x11, .rsi = 0x22, .r8 = 0x33};
    const struct vmi__trace_record *record = &vmi__trace.entries[vmi__trace.next];

    on_cpu(1, 0);
    vmi__trace_hypercall(places, &frame);
    frame.rax = (uintptr_t)-22;
    vmi__trace_answer(places[0], &frame);
    EXPECT(record[0].kind == VMI__TRACE_HYPERCALL && record[1].kind == VMI__TRACE_ANSWER);
    EXPECT(record[0].number == 32 && record[0].cpu == 1 && record[0].words == 3);
    EXPECT(record[0].values[0] == 0x11 && record[0].values[1] == 0x22 &&
           record[0].values[2] == 0x33);
    EXPECT(record[1].words == 1 && record[1].values[0] == (uintptr_t)-22);
    EXPECT(record[0].frame == (uintptr_t)&frame && record[1].frame == (uintptr_t)&frame);
    EXPECT(records[1].arch.info.evtchn_upcall_mask == 0);
    vmi__xen_cpus[0] = vmi__xen_cpus[1] = 0;
    set_gs(0);
    vmi__trace_hypercall(places, &frame);
    EXPECT(record[2].kind == VMI__TRACE_HYPERCALL && record[2].cpu == 0);
}

static void events_are_masked_meanwhile(void)
{
    uintptr_t mask;

    on_cpu(1, 0);
    records[0].arch.info.evtchn_upcall_mask = 0;
    mask = vmi__trace_mask();
    EXPECT(records[1].arch.info.evtchn_upcall_mask == 1);
    EXPECT(records[0].arch.info.evtchn_upcall_mask == 0);
    vmi__trace_unmask(mask);
    EXPECT(records[1].arch.info.evtchn_upcall_mask == 0);
}

/* Nanoseconds are cycles, shifted, times the factor / 2^32. */
static void frequency(void)
{
    struct vcpu_time_info *time = &records[0].arch.info.time;

    on_cpu(0, 1);
    EXPECT(vmi__trace_frequency() == 0);
    time->tsc_to_system_mul = 0x80000000;
    EXPECT(vmi__trace_frequency() == 2000000000);
    time->tsc_shift = -1;
    EXPECT(vmi__trace_frequency() == 4000000000);
    time->tsc_shift = 3;
    EXPECT(vmi__trace_frequency() == 250000000);
    traced_call();
    EXPECT(vmi__trace.frequency == 250000000);
}

static const struct played_check checks[] = {
    CHECK(before_the_first_cpu),
    CHECK(the_mask_is_as_it_was),
    CHECK(hypercalls),
    CHECK(events_are_masked_meanwhile),
    CHECK(frequency),
};

PLAY(checks)
