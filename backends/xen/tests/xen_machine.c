/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * SetInitialAPState, StopCPU and the ends of a domain as a Linux process: this file plays Xen and
 * the library's other parts. What Xen keeps of a CPU that it has refused to start, or that has
 * stopped, is kept here, too.
 */
#include "xen/builder.h"

#include "backends/plain_memory.h"
#include "backends/played.h"

/* What a process may not do: it has no descriptor that holds the number of the CPU. */
static uint32_t this_cpu;
#define vmi__xen_this() this_cpu
#define vmi__xen_self() vmi__xen_cpus[0]

#include "xen/machine.c"
#include "xen/stop.c"

static struct vmi__xen_cpu records[VMI__XEN_CPUS_MAX];
struct vmi__xen_cpu *vmi__xen_cpus[VMI__XEN_CPUS_MAX];
uint32_t vmi__xen_cpu_count = 2;
static uint16_t states[1] = {VMI__XEN_ROOT};
#define BOOT_ROOT 0x7000u
struct vmi__xen_memory vmi__xen_memory = {
    .state = states, .linear_pages = 1, .boot_cr3 = BOOT_ROOT};
struct vmi_boot_info vmi__boot;
#ifndef __x86_64__
struct vcpu_info vmi__xen_infos[VMI__XEN_CPUS_MAX];
#endif

static const struct vmi_ap_state state;

/* ---- Xen ---- */

static struct {
    intptr_t initialise, place; /* what it answers */
    uint32_t registered, started, reports, ended, yields;
    uintptr_t places[VMI__XEN_CPUS_MAX]; /* where it was told to keep a vcpu_info */
    bool initialised, up;                /* the second VCPU */
    bool sleeps;                         /* it does not go on where it had stopped */
    uint32_t falls;                      /* looks after which it is down */
} xen;

/* In order: A alarm cancelled, L context left, R boot root loaded, T time left; V vectors, C
 * context, G gates, numbers of debug registers, c CR0, t time again. */
static char heard[16];
static uint32_t heard_count;
static uint32_t wanted; /* set of CPUs, as xenstore has it */

static void hear(char what)
{
    EXPECT(heard_count < sizeof(heard) - 1);
    heard[heard_count++] = what;
    heard[heard_count] = 0;
}

static bool was_heard(const char *what)
{
    bool same = true;

    for (uint32_t i = 0; same && i <= heard_count; i++)
        same = what[i] == heard[i];
    heard_count = 0;
    heard[0] = 0;
    return same;
}

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
        EXPECT(!xen.up);
        if (xen.initialised)
            return -17;
        xen.initialised = xen.initialise >= 0;
        return xen.initialise;
    case VCPUOP_is_up:
        if (xen.falls && !--xen.falls)
            xen.up = false;
        return xen.up;
    case VCPUOP_up:
        EXPECT(xen.initialised && records[vcpu].started);
        /* One that had stopped goes on there (arch/ARCH/stop.S). */
        if (xen.started && !xen.sleeps) {
            vmi__xen_started_again(vcpu);
            vmi__xen_left_taken = 1;
        }
        xen.up = true;
        xen.started++;
        return 0;
    default:
        return 0;
    }
}

HYPERCALL intptr_t vmi__xen_hypercall_sched_op(uint32_t command, const void *argument)
{
    if (command == SCHEDOP_yield)
        return xen.yields++, 0;
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

VMI__ROUTINE void vmi__xen_disable_interrupts(void)
{
}

VMI__ROUTINE void vmi__xen_cancel_alarm(uint32_t flags)
{
    EXPECT(flags == VMI_ALARM_WIRED_LVTT);
    hear('A');
}

void vmi__xen_context_leave(void)
{
    hear('L');
}

void vmi__xen_load_roots(uintptr_t root, uintptr_t user)
{
    EXPECT(root == BOOT_ROOT && !user);
    hear('R');
}

void vmi__xen_time_leave(struct vmi__xen_cpu *cpu)
{
    EXPECT(cpu == &records[1]);
    hear('T');
}

/* What it has noted is the last that is seen of it. */
VMI__ROUTINE void vmi__xen_stop(uint32_t number, uint32_t *noted)
{
    EXPECT(number == 1 && noted == &records[1].started);
    *noted = 0;
    xen.up = false;
    __builtin_longjmp(back, 1);
}

void vmi__xen_context_again(struct vmi__xen_cpu *cpu, const struct vmi_ap_state *from)
{
    EXPECT(cpu == &records[1] && from->cr0 == 8);
    hear('C');
}

void vmi__xen_vectors_begin(struct vmi__xen_cpu *cpu)
{
    EXPECT(cpu == &records[1]);
    hear('V');
}

void vmi__xen_gates_again(struct vmi__xen_cpu *cpu)
{
    EXPECT(cpu == &records[1]);
    hear('G');
}

VMI__ROUTINE void vmi__xen_set_dr(uint32_t index, uintptr_t value)
{
    EXPECT(!value);
    hear((char)('0' + index));
}

VMI__ROUTINE void vmi__xen_set_cr0(uintptr_t value)
{
    EXPECT(value == 8);
    hear('c');
}

void vmi__xen_time_return(struct vmi__xen_cpu *cpu)
{
    EXPECT(cpu == &records[1]);
    hear('t');
}

bool vmi__xen_common_cpu_wanted(uint32_t cpu)
{
    return wanted >> cpu & 1;
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

/* A millisecond passes from one look to the next. */
uint64_t vmi__xen_system_time(void)
{
    static uint64_t now;

    return now += 1000000;
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
    records[0].started = 1;
    heard_count = this_cpu = 0;
    heard[0] = 0;
    wanted = 3;
}

/* The second CPU has been started, and stops. */
static void begin_stopped(void)
{
    begin();
    EXPECT(vmi__xen_set_initial_ap_state(&state, 1) == VMI_OK);
    this_cpu = 1;
    if (!__builtin_setjmp(back))
        vmi__xen_stop_cpu();
    this_cpu = 0;
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

static void the_first_cpu_does_not_stop(void)
{
    begin();
    EXPECT(vmi__xen_stop_cpu() == VMI_EBUSY && was_heard(""));
}

/* Nothing of the kernel's is in use when its end is noted. */
static void a_cpu_that_stops_leaves_the_kernels_tables(void)
{
    begin_stopped();
    EXPECT(was_heard("VALRT") && !records[1].started);
    EXPECT(vmi__xen_cpu_state(1) == VMI_CPU_WANTED);
}

/* Xen initialises a VCPU once: this one takes its state on by itself. */
static void a_cpu_that_has_stopped_is_started_again(void)
{
    struct vmi_ap_state other = {.cr0 = 8};

    begin_stopped();
    was_heard("");
    EXPECT(vmi__xen_set_initial_ap_state(&other, 1) == VMI_OK);
    EXPECT(was_heard("VCG70123ct") && xen.started == 2 && !xen.reports);
    EXPECT(vmi__xen_set_initial_ap_state(&other, 1) == VMI_EBUSY);
    EXPECT(vmi__xen_cpu_state(1) == (VMI_CPU_RUNS | VMI_CPU_WANTED));
}

/* It has noted its end, and Xen has not stopped it yet: what it is to take on is not left before.
 */
static void a_cpu_that_is_about_to_stop_is_waited_for(void)
{
    struct vmi_ap_state other = {.cr0 = 8};

    begin_stopped();
    xen.up = true;
    EXPECT(vmi__xen_cpu_state(1) == (VMI_CPU_RUNS | VMI_CPU_WANTED));
    xen.falls = 3000;
    EXPECT(vmi__xen_set_initial_ap_state(&other, 1) == VMI_OK && xen.started == 2);
    EXPECT(xen.yields == 2);
    begin_stopped();
    xen.up = true;
    EXPECT(vmi__xen_set_initial_ap_state(&other, 1) == VMI_EIO && xen.started == 1);
    EXPECT(!records[1].started);
}

static void a_cpu_that_does_not_go_on_is_told(void)
{
    struct vmi_ap_state other = {.cr0 = 8};

    begin_stopped();
    xen.sleeps = true;
    EXPECT(vmi__xen_set_initial_ap_state(&other, 1) == VMI_EIO && xen.started == 2);
}

/* What it has told of stolen time stays told where another Xen begins with it anew. */
static void stolen_time_goes_on_after_a_save(void)
{
    begin_stopped();
    records[1].stolen_told = 5;
    xen.initialised = false;
    EXPECT(vmi__xen_set_initial_ap_state(&state, 1) == VMI_OK && records[1].stolen_before == 5);
}

static void what_the_toolstack_wants_is_told(void)
{
    begin();
    wanted = 1;
    EXPECT(vmi__xen_cpu_state(0) == (VMI_CPU_RUNS | VMI_CPU_WANTED));
    EXPECT(vmi__xen_cpu_state(1) == 0);
    wanted = 2;
    EXPECT(vmi__xen_cpu_state(0) == VMI_CPU_RUNS && vmi__xen_cpu_state(1) == VMI_CPU_WANTED);
    EXPECT(vmi__xen_cpu_state(2) == VMI_ENOENT && vmi__xen_cpu_state(~0u) == VMI_ENOENT);
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
    CHECK(the_first_cpu_does_not_stop),
    CHECK(a_cpu_that_stops_leaves_the_kernels_tables),
    CHECK(a_cpu_that_has_stopped_is_started_again),
    CHECK(a_cpu_that_is_about_to_stop_is_waited_for),
    CHECK(a_cpu_that_does_not_go_on_is_told),
    CHECK(stolen_time_goes_on_after_a_save),
    CHECK(what_the_toolstack_wants_is_told),
};

PLAY(checks)
