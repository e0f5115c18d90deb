/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The call Suspend. All CPUs come together; the first has Xen suspend the domain, the others spin,
 * and are saved by the toolstack as they are. In a domain that was restored each then registers
 * itself anew, for the words of a CPU and its timer are for none but itself to name.
 *
 * What the toolstack rewrites (xen.git, tools/libs/guest/xg_sr_save_x86_pv.c and _restore_): page
 * tables that Xen knows, the list of frames, start_info, the registers. What Xen has forgotten of
 * the domain: event channels, grants, where vcpu_info and runstates are, its modes, timers.
 */
#include "builder.h"
#include "entries.h"

#include "device_map.h"
#include "xen_common/grants.h"

#include <xen/sched.h>

/* What SCHEDOP_shutdown returns where the domain goes on where it was (xen/elfnote.h,
 * XEN_ELFNOTE_SUSPEND_CANCEL). */
#define CANCELED 1

/*
 * sched_op with what a toolstack looks for in the registers of the first CPU (xen/sched.h,
 * SHUTDOWN_suspend): the machine frame of start_info, in the third argument's place.
 */
VMI__ROUTINE intptr_t vmi__xen_sched_op_suspend(uint32_t command, const void *argument,
                                                uintptr_t frame);

/* CPUs beside the first that have come, those that have gone on, and how often all have. */
static struct {
    uint32_t come, gone, round;
    int32_t result;
} meeting;

static uint32_t others(void)
{
    uint32_t count = 0;

    for (uint32_t number = 1; number < vmi__xen_cpu_count; number++)
        count += vmi__xen_cpus[number]->started;
    return count;
}

/* Waits until a word is a value or, without `is`, is not. */
static void wait_for(const uint32_t *word, uint32_t value, bool is)
{
    uint32_t turns = 0;

    while ((__atomic_load_n(word, __ATOMIC_ACQUIRE) == value) != is)
        vmi__xen_relax(&turns);
}

/* On each CPU of a domain that was restored: Xen has its words where they were, with what the
 * kernel has put there. */
static void register_again(struct vmi__xen_cpu *cpu, uint32_t number)
{
    struct vcpu_info *info = vmi__xen_vcpu(number);
    struct arch_vcpu_info kept = info->arch;

    if (vmi__xen_vcpu_register(number) < 0)
        vmi__fatal("Xen refuses a place for its words of a CPU, in a domain that was restored");
    info->arch = kept;
    vmi__xen_areas_register(cpu, number);
}

/* What is due and what has been asked of this CPU since: one upcall finds it. */
static void go_on(struct vmi__xen_cpu *cpu, uint32_t number)
{
    vmi__xen_time_return(cpu);
    vmi__xen_prod(number);
}

static void restored(void)
{
    struct vmi__xen_cpu *cpu = vmi__xen_cpus[0];

    vmi__xen_adopt_nothing();
    vmi__xen_start_translation();
    vmi__xen_start_console(vmi__xen_info);
    for (uint32_t number = 0; number < vmi__xen_cpu_count; number++) {
        vmi__xen_vcpu_forget(number);
        vmi__xen_ports_forget(vmi__xen_cpus[number]);
    }
    vmi__xen_ports_forget_others();
    vmi__xen_start_shared(vmi__xen_info);
    vmi__xen_assists_enable();
    register_again(cpu, 0);
    vmi__xen_clock_continue();
    for (uint32_t number = 0; number < vmi__xen_cpu_count; number++)
        if (vmi__xen_cpus[number]->started &&
            vmi__xen_ports_prepare(vmi__xen_cpus[number], number) < 0)
            vmi__fatal("Xen refuses event channels, in a domain that was restored");
    vmi__xen_common_grants_forget();
    vmi__xen_start_services(vmi__xen_info);
    vmi__xen_tables_return();
    vmi__xen_events_return(true);
    vmi__xen_requests_start();
}

/* On the first CPU, once all others spin. Returns the call's result. */
static int32_t stand_still(void)
{
    struct sched_shutdown how = {.reason = SHUTDOWN_suspend};
    struct start_info *info = vmi__xen_info;
    xen_pfn_t store = info->store_mfn, console = info->console.domU.mfn;
    uintptr_t frame = vmi__xen_mfn(vmi__physical(info) >> VMI__PAGE_SHIFT);
    intptr_t answer;

    /* Where a new Xen has the words of CPUs at first, it is to send no upcall. */
    for (uint32_t number = 0; number < XEN_LEGACY_MAX_VCPUS; number++)
        vmi__xen_shared.vcpu_info[number].evtchn_upcall_mask = 1;
    vmi__xen_events_leave();
    info->store_mfn = vmi__xen_pfn(store);
    info->console.domU.mfn = vmi__xen_pfn(console);
    vmi__xen_tables_leave();
    answer = vmi__xen_sched_op_suspend(SCHEDOP_shutdown, &how, frame);
    if (!answer) {
        restored();
        return VMI_SUSPEND_RESTORED;
    }
    info->store_mfn = store;
    info->console.domU.mfn = console;
    vmi__xen_tables_return();
    vmi__xen_events_return(false);
    return answer == CANCELED ? VMI_SUSPEND_CANCELED : VMI_EIO;
}

static int32_t first(struct vmi__xen_cpu *cpu)
{
    uint32_t count = others();
    /* What MapDevice has mapped is of this host. */
    int32_t result = vmi__device_any() ? VMI_EBUSY : VMI_OK;

    wait_for(&meeting.come, count, true);
    if (result == VMI_OK)
        result = stand_still();
    meeting.result = result;
    meeting.come = meeting.gone = 0;
    vmi__xen_common_suspend_asked = false;
    __atomic_fetch_add(&meeting.round, 1, __ATOMIC_RELEASE);
    if (result == VMI_SUSPEND_RESTORED)
        go_on(cpu, 0);
    /* Until then some cannot be sent an interrupt. */
    wait_for(&meeting.gone, count, true);
    return result;
}

static int32_t another(struct vmi__xen_cpu *cpu, uint32_t number)
{
    uint32_t round = __atomic_load_n(&meeting.round, __ATOMIC_ACQUIRE), count = others();

    __atomic_fetch_add(&meeting.come, 1, __ATOMIC_RELEASE);
    wait_for(&meeting.round, round, false);
    if (meeting.result == VMI_SUSPEND_RESTORED) {
        register_again(cpu, number);
        go_on(cpu, number);
    }
    __atomic_fetch_add(&meeting.gone, 1, __ATOMIC_RELEASE);
    wait_for(&meeting.gone, count, true);
    return meeting.result;
}

VMI__ROUTINE int32_t vmi__xen_suspend(void)
{
    uint32_t mask = vmi__xen_mask(), number = vmi__xen_this();
    struct vmi__xen_cpu *cpu = vmi__xen_cpus[number];
    int32_t result;

    if (!__atomic_load_n(&vmi__xen_common_suspend_asked, __ATOMIC_ACQUIRE)) {
        vmi__xen_unmask(mask);
        return VMI_EAGAIN;
    }
    vmi__xen_carry_out(cpu);
    vmi__xen_time_leave(cpu);
    result = number ? another(cpu, number) : first(cpu);
    vmi__xen_unmask(mask);
    return result;
}
