/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the library for Xen PVH takes from Xen on x86-64: the start, clocks, which pages may be
 * shared, and how a further CPU begins, as a Linux process. This file plays Xen and the library's
 * other parts.
 */
#include "xen_pvh/pvh.h"

#include <xen/hvm/hvm_op.h>
#include <xen/hvm/hvm_vcpu.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#include "xen_common/grants.h"

#include "backends/plain_memory.h"
#include "backends/played.h"

static uint64_t counter, efer;
static struct vmi__cpuid played_cpuid(uint32_t leaf, uint32_t subleaf);
#define vmi__rdtsc()              counter
#define vmi__rdmsr(index)         ((index) == 0xc0000080 ? efer : 0)
#define vmi__cpuid(leaf, subleaf) played_cpuid(leaf, subleaf)

/* A process may not read CR0: who is asked whether paging is on is not the function defined so. */
#define vmi__xen_pvh_paged(parameter) PAGED_##parameter
#define PAGED_void                    reads_cr0(void)
#define PAGED_                        true

#include "xen_pvh/start.c"

#include "xen_pvh/clock.c"
#include "xen_pvh/share.c"

#include "xen_pvh/arch/x86_64/smp.c"

#define LME_AND_LMA 0x500
#define NXE         0x800

#define KHZ 2345678u

static struct vmi_cpu cpus[4] = {{.apic_id = 0}, {.apic_id = 2}, {.apic_id = 4}, {.apic_id = 6}};
struct vmi_boot_info vmi__boot = {.cpu_count = 4, .cpus = cpus};
struct shared_info vmi__xen_pvh_shared;
struct grant_entry_v1 vmi__xen_pvh_grant_table[VMI__XEN_COMMON_GRANTS];
uint64_t vmi__native_tsc_hz;
uint32_t vmi__native_apic_timer_hz;
volatile char *vmi__native_apic;

struct vmi_ap_state vmi__native_ap_state;
volatile char *vmi__native_ap_apic;
const char vmi__native_ap_entry[1];

/* ---- Xen and the other parts ---- */

static struct {
    struct vcpu_runstate_info runstate;
    intptr_t answer;
    struct vcpu_hvm_context context;
    uint32_t commands[4], vcpus[4], count;
    bool initialised;         /* the VCPU was, and has stopped */
    uint32_t inits;           /* interrupts to it */
    uint32_t looks;           /* after which it is down */
    uint32_t adopted, frames; /* spaces; frames of the grant table, a bit each */
    bool callback_named, shared_first;
    struct sched_poll poll; /* what was waited for */
    evtchn_port_t polled;
} xen;

static struct grant_entry_v1 *granted;
static uint32_t granted_frames;
static bool came_up;

HYPERCALL intptr_t vmi__xen_pvh_hypercall_vcpu_op(uint32_t command, uint32_t vcpu, void *argument)
{
    if (command == VCPUOP_get_runstate_info) {
        EXPECT(vcpu == 1);
        *(struct vcpu_runstate_info *)argument = xen.runstate;
        return xen.answer;
    }
    if (command == VCPUOP_is_up) {
        EXPECT(vcpu == 2 || vcpu == 3);
        return xen.looks && xen.looks--;
    }
    EXPECT(xen.count < 4 && !xen.looks);
    xen.commands[xen.count] = command;
    xen.vcpus[xen.count++] = vcpu;
    if (command == VCPUOP_initialise) {
        if (xen.initialised)
            return -17;
        xen.context = *(const struct vcpu_hvm_context *)argument;
    }
    return xen.answer;
}

HYPERCALL intptr_t vmi__xen_pvh_hypercall_memory_op(uint32_t command, void *argument)
{
    const struct xen_add_to_physmap *map = argument;

    EXPECT(command == XENMEM_add_to_physmap && map->domid == DOMID_SELF);
    if (map->space == XENMAPSPACE_shared_info)
        EXPECT(map->gpfn == vmi__physical(&vmi__xen_pvh_shared) >> 12);
    else
        EXPECT(map->space == XENMAPSPACE_grant_table &&
               map->gpfn == (vmi__physical(vmi__xen_pvh_grant_table) >> 12) + map->idx);
    xen.adopted |= 1u << map->space;
    if (map->space == XENMAPSPACE_grant_table)
        xen.frames |= 1u << map->idx;
    return xen.answer;
}

HYPERCALL intptr_t vmi__xen_pvh_hypercall_hvm_op(uint32_t command, void *argument)
{
    struct xen_hvm_param *param = argument;

    if (command == HVMOP_get_param) {
        EXPECT(param->domid == DOMID_SELF && param->index == HVM_PARAM_STORE_PFN);
        param->value = 0x1234;
        return xen.answer;
    }
    EXPECT(command == HVMOP_set_param && param->index == HVM_PARAM_CALLBACK_IRQ);
    xen.shared_first = xen.adopted & 1u << XENMAPSPACE_shared_info;
    xen.callback_named = true;
    return 0;
}

HYPERCALL intptr_t vmi__xen_pvh_hypercall_sched_op(uint32_t command, const void *argument)
{
    EXPECT(command == SCHEDOP_poll);
    xen.poll = *(const struct sched_poll *)argument;
    if (xen.poll.nr_ports)
        xen.polled = *xen.poll.ports.p;
    return 0;
}

volatile void *vmi__window_map(uint32_t slot, uint64_t address)
{
    return (volatile void *)(uintptr_t)(address | slot);
}

static struct vmi__cpuid played_cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct vmi__cpuid none = {0};

    if (leaf == 0x40000100)
        return (struct vmi__cpuid){.eax = 0x40000104,
                                   .ebx = 0x566e6558,
                                   .ecx = 0x65584d4d,
                                   .edx = 0x4d4d566e}; /* XenVMMXenVMM */
    if (leaf == 0x40000103 && subleaf == 0)
        return (struct vmi__cpuid){.ecx = KHZ};
    return none;
}

uint32_t vmi__native_cpu(void)
{
    return 1;
}

void *vmi__cpu_rows(uint32_t size)
{
    EXPECT(size == sizeof(uint64_t));
    return 0;
}

bool vmi__xen_pvh_is_up(uint32_t cpu)
{
    return vmi__xen_pvh_hypercall_vcpu_op(VCPUOP_is_up, cpu, 0) > 0;
}

void vmi__native_delay(uint32_t microseconds)
{
    EXPECT(microseconds == 100);
}

/* A reset makes the VCPU new (xen/arch/x86/hvm/vlapic.c, vlapic_init_sipi_one). */
bool vmi__native_apic_command(uint32_t apic_id, uint32_t command)
{
    EXPECT(apic_id == 6 && command == VMI__ICR_INIT);
    xen.initialised = false;
    xen.inits++;
    return true;
}

bool vmi__native_smp_comes_up(uint32_t polls)
{
    EXPECT(polls == VMI__NATIVE_UP_POLLS);
    return came_up;
}

void vmi__xen_common_grants_use(struct grant_entry_v1 *table, uint32_t frames)
{
    granted = table;
    granted_frames = frames;
}

uint32_t vmi__xen_common_grants_forget(void)
{
    granted = 0;
    return granted_frames;
}

/* Usable memory from 1 MiB to 2, the image from there to 3; and the same again above 256 MiB. */
bool vmi__memory_is(uint64_t at, uint64_t size, uint32_t kind)
{
    uint64_t megabyte = (at & 0xfffffff) >> 20;

    EXPECT(size == 4096);
    if (at >> 28 > 1)
        return false;
    return (kind == VMI_MEMORY_USABLE && megabyte == 1) ||
           (kind == VMI_MEMORY_IMAGE && megabyte == 2);
}

static void begin(void)
{
    memset(&xen, 0, sizeof(xen));
    memset(&vmi__xen_pvh_shared, 0, sizeof(vmi__xen_pvh_shared));
    counter = 0;
}

/* ---- checks ---- */

static void the_frequency_is_what_xen_says(void)
{
    begin();
    EXPECT(vmi__xen_pvh_start() == 0);
    EXPECT(vmi__native_tsc_hz == (uint64_t)KHZ * 1000);
    EXPECT(vmi__native_apic_timer_hz == 100000000);
    /* Xen fills its page in when a callback is named; it has to be there then. */
    EXPECT(xen.callback_named && xen.shared_first);
    xen.answer = -1;
    EXPECT(vmi__xen_pvh_start() != 0);
}

static void the_wall_clock_is_xens_time_behind_its_beginning(void)
{
    struct vcpu_time_info *time = &vmi__xen_pvh_shared.vcpu_info[0].time;

    begin();
    EXPECT(vmi__xen_pvh_get_wallclock_time() == 0); /* Xen does not say */
    vmi__xen_pvh_shared.wc_sec = 1700000000;
    vmi__xen_pvh_shared.wc_nsec = 123456789;
    time->system_time = 5000;
    time->tsc_timestamp = 1000;
    time->tsc_to_system_mul = 0x80000000; /* two cycles a nanosecond */
    counter = 1000 + 2 * 700;
    EXPECT(vmi__xen_pvh_get_wallclock_time() == 1700000000ull * 1000000000 + 123456789 + 5700);
    time->tsc_shift = 1;
    EXPECT(vmi__xen_pvh_get_wallclock_time() == 1700000000ull * 1000000000 + 123456789 + 6400);
    time->tsc_shift = -1;
    EXPECT(vmi__xen_pvh_get_wallclock_time() == 1700000000ull * 1000000000 + 123456789 + 5350);
    counter = 0; /* another CPU's, a little behind */
    EXPECT(vmi__xen_pvh_get_wallclock_time() == 1700000000ull * 1000000000 + 123456789 + 5000);
    vmi__xen_pvh_shared.xen_wc_sec_hi = 1;
    EXPECT(vmi__xen_pvh_get_wallclock_time() ==
           ((1ull << 32) + 1700000000) * 1000000000 + 123456789 + 5000);
}

static void a_step_of_the_wall_clock_is_told_once(void)
{
    begin();
    vmi__xen_pvh_wallclock_updated();
    EXPECT(vmi__xen_pvh_wallclock_updated() == 0);
    vmi__xen_pvh_shared.wc_version += 2;
    EXPECT(vmi__xen_pvh_wallclock_updated() == 1);
    EXPECT(vmi__xen_pvh_wallclock_updated() == 0);
}

/* What the CPU did not run though it would have. */
static void stolen_is_what_was_runnable_or_offline(void)
{
    begin();
    xen.runstate.time[RUNSTATE_running] = 1;
    xen.runstate.time[RUNSTATE_runnable] = 20;
    xen.runstate.time[RUNSTATE_blocked] = 300;
    xen.runstate.time[RUNSTATE_offline] = 4000;
    EXPECT(vmi__xen_pvh_steal_time() == 4020);
    xen.answer = -1;
    EXPECT(vmi__xen_pvh_steal_time() == 0);
    /* Another domain's count begins anew, and what is told goes on. */
    xen.answer = 0;
    xen.runstate.time[RUNSTATE_runnable] = 1;
    xen.runstate.time[RUNSTATE_offline] = 7;
    vmi__xen_pvh_steal_time_start();
    vmi__xen_pvh_steal_time_go_on(4020);
    EXPECT(vmi__xen_pvh_steal_time() == 4020);
    xen.runstate.time[RUNSTATE_runnable] += 5;
    EXPECT(vmi__xen_pvh_steal_time() == 4025);
    xen.runstate.time[RUNSTATE_offline] += 10000;
    vmi__xen_pvh_steal_time_go_on(0);
    EXPECT(vmi__xen_pvh_steal_time() == 0);
}

/* For a channel, or for the time alone; never without an end. */
static void waiting_ends(void)
{
    struct vcpu_time_info *time = &vmi__xen_pvh_shared.vcpu_info[0].time;

    for (evtchn_port_t port = 0; port <= 7; port += 7) {
        begin();
        time->system_time = 5000;
        vmi__xen_pvh_wait(port);
        EXPECT(xen.poll.nr_ports == (port != 0) && xen.polled == port);
        EXPECT(xen.poll.timeout == 5000 + 10000000);
    }
}

static void pages_that_xen_made_are_mapped(void)
{
    begin();
    EXPECT(vmi__xen_pvh_parameter(HVM_PARAM_STORE_PFN) == 0x1234);
    xen.answer = -1;
    EXPECT(vmi__xen_pvh_parameter(HVM_PARAM_STORE_PFN) == 0);
    EXPECT(vmi__xen_pvh_map(VMI__XEN_PVH_STORE_SLOT, 0x1234) ==
           (void *)(uintptr_t)(0x1234000 | VMI__XEN_PVH_STORE_SLOT));
    EXPECT(!vmi__xen_pvh_map(VMI__XEN_PVH_STORE_SLOT, 0));
    EXPECT(!vmi__xen_pvh_map(VMI__XEN_PVH_STORE_SLOT, 1u << 20));
}

static void only_plain_memory_is_shared(void)
{
    EXPECT(vmi__xen_common_frame(0x0ff) == VMI__XEN_COMMON_NO_FRAME);
    EXPECT(vmi__xen_common_frame(0x100) == 0x100 && vmi__xen_common_frame(0x1ff) == 0x1ff);
    EXPECT(vmi__xen_common_frame(0x200) == 0x200 && vmi__xen_common_frame(0x2ff) == 0x2ff);
    EXPECT(vmi__xen_common_frame(0x300) == VMI__XEN_COMMON_NO_FRAME);
    EXPECT(vmi__xen_common_frame(0x10100) == 0x10100);
    EXPECT(vmi__xen_common_frame(0x20100) == VMI__XEN_COMMON_NO_FRAME);
    EXPECT(vmi__xen_common_frame(0x100000100) == VMI__XEN_COMMON_NO_FRAME);
    EXPECT(vmi__xen_common_frame(UINTPTR_MAX) == VMI__XEN_COMMON_NO_FRAME);
}

static void the_grant_table_is_used_once_it_is_there(void)
{
    begin();
    granted = 0;
    xen.answer = -1;
    vmi__xen_pvh_grants_start();
    EXPECT(granted == 0);
    xen.answer = 0;
    vmi__xen_pvh_grants_start();
    EXPECT(granted == vmi__xen_pvh_grant_table && granted_frames == 1);
    /* Further frames lie behind the first one. */
    EXPECT(vmi__xen_common_grants_more(1));
    EXPECT(vmi__xen_common_grants_more(VMI__XEN_COMMON_GRANT_FRAMES - 1));
    xen.answer = -1;
    EXPECT(!vmi__xen_common_grants_more(2));
}

/* In a domain that was restored: what front ends have references in is there again. */
static void the_grant_table_is_as_large_again(void)
{
    begin();
    granted_frames = 3;
    vmi__xen_pvh_grants_again();
    EXPECT(granted == vmi__xen_pvh_grant_table && granted_frames == 3 && xen.frames == 7);
}

static void a_cpu_begins_in_long_mode_on_the_kernels_tables(void)
{
    const struct vcpu_hvm_x86_64 *regs = &xen.context.cpu_regs.x86_64;

    for (uint32_t nxe = 0; nxe <= NXE; nxe += NXE) {
        begin();
        efer = LME_AND_LMA | nxe;
        came_up = true;
        vmi__native_ap_state = (struct vmi_ap_state){
            .rip = 1, .cr0 = 0x80000011, .cr3 = 0x5000, .cr4 = 0x20, .efer = 1};
        EXPECT(vmi__native_smp_start(3) == VMI_OK);
        EXPECT(xen.count == 2);
        EXPECT(xen.commands[0] == VCPUOP_initialise && xen.vcpus[0] == 3);
        EXPECT(xen.commands[1] == VCPUOP_up && xen.vcpus[1] == 3);
        EXPECT(xen.context.mode == VCPU_HVM_MODE_64B);
        EXPECT(regs->rip == (uintptr_t)vmi__native_ap_entry);
        EXPECT(regs->cr0 == 0x80000011 && regs->cr3 == 0x5000 && regs->cr4 == 0x20);
        EXPECT(regs->efer == (1 | LME_AND_LMA | nxe));
        EXPECT(regs->rflags == 2);
    }
}

/* It is waited for until Xen has stopped it, and reset, for Xen initialises a VCPU once. */
static void a_cpu_that_has_stopped_begins_again(void)
{
    begin();
    came_up = xen.initialised = true;
    xen.looks = 3;
    EXPECT(vmi__native_smp_start(3) == VMI_OK && xen.inits == 1);
    EXPECT(xen.count == 3 && xen.commands[1] == VCPUOP_initialise && xen.commands[2] == VCPUOP_up);
    EXPECT(xen.context.mode == VCPU_HVM_MODE_64B);
    begin();
    xen.looks = UINT32_MAX;
    EXPECT(vmi__native_smp_start(3) == VMI_EIO && !xen.count);
}

static void a_cpu_that_is_refused_or_does_not_come_is_told(void)
{
    begin();
    came_up = true;
    xen.answer = -1;
    EXPECT(vmi__native_smp_start(2) == VMI_EIO && xen.count == 1);
    begin();
    came_up = false;
    EXPECT(vmi__native_smp_start(2) == VMI_EIO && xen.count == 2);
}

static const struct played_check checks[] = {
    CHECK(the_frequency_is_what_xen_says),
    CHECK(the_wall_clock_is_xens_time_behind_its_beginning),
    CHECK(a_step_of_the_wall_clock_is_told_once),
    CHECK(stolen_is_what_was_runnable_or_offline),
    CHECK(waiting_ends),
    CHECK(pages_that_xen_made_are_mapped),
    CHECK(only_plain_memory_is_shared),
    CHECK(the_grant_table_is_used_once_it_is_there),
    CHECK(the_grant_table_is_as_large_again),
    CHECK(a_cpu_begins_in_long_mode_on_the_kernels_tables),
    CHECK(a_cpu_that_has_stopped_begins_again),
    CHECK(a_cpu_that_is_refused_or_does_not_come_is_told),
};

PLAY(checks)
