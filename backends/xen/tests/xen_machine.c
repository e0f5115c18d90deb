/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * SetInitialAPState and the ends of a domain as a Linux process: this file plays Xen and the
 * library's other parts. What Xen keeps of a CPU that it has refused to start is kept here, too.
 */
#include "xen/builder.h"

#include "backends/plain_memory.h"
#include "backends/played.h"

/* What a process may not do: it has no descriptor that holds the number of the CPU. */
#define vmi__xen_this() 0u
#define vmi__xen_self() vmi__xen_cpus[0]

#include "xen/machine.c"

static struct vmi__xen_cpu records[VMI__XEN_CPUS_MAX];
struct vmi__xen_cpu *vmi__xen_cpus[VMI__XEN_CPUS_MAX];
uint32_t vmi__xen_cpu_count = 2;
static uint16_t states[1] = {VMI__XEN_ROOT};
struct vmi__xen_memory vmi__xen_memory = {.state = states, .linear_pages = 1};
struct vmi_boot_info vmi__boot;
#ifndef __x86_64__
struct vcpu_info vmi__xen_infos[VMI__XEN_CPUS_MAX];
#endif

static const struct vmi_ap_state state;

/* ---- Xen ---- */

static struct {
    intptr_t initialise, place; /* what it answers */
    uint32_t registered, started, reports, ended;
    uintptr_t places[VMI__XEN_CPUS_MAX]; /* where it was told to keep a vcpu_info */
} xen;

static void *back[5];

HYPERCALL intptr_t vmi__xen_hypercall_vcpu_op(uint32_t command, uint32_t vcpu, void *argument)
{
    const struct vcpu_register_vcpu_info *where = argument;

    EXPECT(vcpu && vcpu < VMI__XEN_CPUS_MAX);
    switch (command) {
    case VCPUOP_register_vcpu_info:
        if (xen.place)
            return xen.place;
        /* Xen takes one place of a VCPU's, once, and none that lies in two pages
         * (xen/common/domain.c, map_vcpu_info). */
        if (xen.places[vcpu] || where->offset > VMI__PAGE_SIZE - sizeof(struct vcpu_info))
            return VMI_EINVAL;
        xen.places[vcpu] = (uintptr_t)where->mfn << VMI__PAGE_SHIFT | where->offset;
        xen.registered++;
        return 0;
    case VCPUOP_initialise:
        return xen.initialise;
    case VCPUOP_up:
        xen.started++;
        return 0;
    default:
        return 0;
    }
}

HYPERCALL intptr_t vmi__xen_hypercall_sched_op(uint32_t command, const void *argument)
{
    EXPECT(command == SCHEDOP_shutdown);
    xen.ended = ((const struct sched_shutdown *)argument)->reason;
    __builtin_longjmp(back, 1);
}

/* ---- the rest of the library ---- */

uint64_t vmi__xen_machine(const void *linear)
{
    return (uintptr_t)linear;
}

int32_t vmi__xen_descriptors_of(struct vmi__xen_cpu *cpu, const struct vmi_ap_state *from,
                                struct vcpu_guest_context *to)
{
    (void)cpu, (void)from, (void)to;
    return VMI_OK;
}

int32_t vmi__xen_context_of(struct vmi__xen_cpu *cpu, uint32_t number,
                            const struct vmi_ap_state *from, struct vcpu_guest_context *to)
{
    (void)cpu, (void)number, (void)from, (void)to;
    return VMI_OK;
}

bool vmi__xen_state_acceptable(const struct vmi_ap_state *from)
{
    (void)from;
    return true;
}

intptr_t vmi__xen_pin(uintptr_t pfn)
{
    (void)pfn;
    return 0;
}

intptr_t vmi__xen_ports_prepare(struct vmi__xen_cpu *cpu, uint32_t number)
{
    (void)cpu, (void)number;
    return 0;
}

VMI__ROUTINE void vmi__xen_carry_out_here(void)
{
}

uint32_t vmi__xen_take(struct vmi__xen_lock *taken)
{
    (void)taken;
    return 1;
}

void vmi__xen_give(struct vmi__xen_lock *taken, uint32_t mask)
{
    (void)taken, (void)mask;
}

void vmi__xen_report(uint32_t ordinal, uintptr_t entry, uint64_t value, intptr_t error)
{
    (void)ordinal, (void)entry, (void)value, (void)error;
    xen.reports++;
}

void vmi__xen_console_drain(void)
{
}

int32_t vmi__xen_common_store_write(const char *path, const char *value)
{
    (void)path, (void)value;
    return 0;
}

/* ---- checks ---- */

static void begin(void)
{
    memset(records, 0, sizeof(records));
    for (uint32_t i = 0; i < VMI__XEN_CPUS_MAX; i++)
        vmi__xen_cpus[i] = &records[i];
    memset(&xen, 0, sizeof(xen));
}

static void a_cpu_that_was_refused_can_be_started(void)
{
    begin();
    xen.initialise = VMI_EINVAL;
    EXPECT(vmi__xen_set_initial_ap_state(&state, 1) == VMI_EINVAL);
    EXPECT(xen.reports == 1 && !xen.started);
    xen.initialise = 0;
    EXPECT(vmi__xen_set_initial_ap_state(&state, 1) == VMI_OK);
    EXPECT(xen.started == 1 && xen.registered == 1);
    EXPECT(vmi__xen_set_initial_ap_state(&state, 1) == VMI_EBUSY);
}

/* Without its words in memory a CPU would hear of nothing. */
static void a_cpu_without_a_place_is_not_started(void)
{
    begin();
    xen.place = VMI_ENOMEM;
    EXPECT(vmi__xen_set_initial_ap_state(&state, 1) == VMI_EIO);
    EXPECT(!xen.started && !records[1].started && !records[1].registered);
    xen.place = 0;
    EXPECT(vmi__xen_set_initial_ap_state(&state, 1) == VMI_OK);
    EXPECT(xen.started == 1 && xen.registered == 1 && records[1].registered);
}

static void a_place_is_told_again_after_a_save(void)
{
    begin();
    EXPECT(vmi__xen_vcpu_register(1) == 0 && vmi__xen_vcpu_register(1) == 0);
    EXPECT(xen.registered == 1);
    vmi__xen_vcpu_forget(1);
    xen.places[1] = 0; /* another Xen, which was told of none */
    EXPECT(vmi__xen_vcpu_register(1) == 0 && xen.registered == 2);
}

/* More than the shared page has room for: what Xen writes there is what the library looks at. */
static void each_cpu_has_a_place_of_its_own(void)
{
    begin();
    for (uint32_t cpu = 1; cpu < VMI__XEN_CPUS_MAX; cpu++) {
        EXPECT(vmi__xen_vcpu_register(cpu) == 0);
        EXPECT(xen.places[cpu] == (uintptr_t)vmi__xen_vcpu(cpu));
        for (uint32_t other = 1; other < cpu; other++)
            EXPECT(xen.places[other] != xen.places[cpu]);
    }
    EXPECT(xen.registered == VMI__XEN_CPUS_MAX - 1);
}

static uint32_t told_by_reason(uint32_t how, uint32_t status)
{
    begin();
    if (!__builtin_setjmp(back))
        vmi__xen_shutdown_reason(how, status);
    return xen.ended;
}

/* What the toolstack is told; some look alike to who only sees whether the domain has ended. */
static void each_end_has_its_reason(void)
{
    EXPECT(told_by_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS) == SHUTDOWN_poweroff);
    EXPECT(told_by_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_FAIL) == SHUTDOWN_crash);
    EXPECT(told_by_reason(VMI_SHUTDOWN_REBOOT, VMI_STATUS_PASS) == SHUTDOWN_reboot);
    EXPECT(told_by_reason(VMI_SHUTDOWN_CRASH, VMI_STATUS_PANIC) == SHUTDOWN_crash);
    if (!__builtin_setjmp(back))
        vmi__xen_reboot(VMI_REBOOT_HARD);
    EXPECT(xen.ended == SHUTDOWN_reboot);
    if (!__builtin_setjmp(back))
        vmi__xen_shutdown();
    EXPECT(xen.ended == SHUTDOWN_poweroff);
}

static const struct played_check checks[] = {
    CHECK(each_end_has_its_reason),
    CHECK(a_cpu_that_was_refused_can_be_started),
    CHECK(a_cpu_without_a_place_is_not_started),
    CHECK(a_place_is_told_again_after_a_save),
    CHECK(each_cpu_has_a_place_of_its_own),
};

PLAY(checks)
