/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The call Suspend (../xen_common/suspend.c has the CPUs come together). In a domain that was
 * restored each CPU registers itself anew, for the words of a CPU and its timer are for none but
 * itself to name.
 *
 * What the toolstack rewrites (xen.git, tools/libs/guest/xg_sr_save_x86_pv.c and _restore_): page
 * tables that Xen knows, the list of frames, start_info, the registers. What Xen has forgotten of
 * the domain: event channels, grants, where vcpu_info and runstates are, its modes, timers.
 */
#include "builder.h"
#include "entries.h"

#include "xen_common/grants.h"
#include "xen_common/suspend.h"

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

static uint32_t others(void)
{
    uint32_t count = 0;

    for (uint32_t number = 1; number < vmi__xen_cpu_count; number++)
        count += vmi__xen_cpus[number]->started;
    return count;
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

int32_t vmi__xen_common_stand_still(void)
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

void vmi__xen_common_cpu_returns(uint32_t number)
{
    struct vmi__xen_cpu *cpu = vmi__xen_cpus[number];

    if (number)
        register_again(cpu, number);
    /* What is due and what has been asked of this CPU since: one upcall finds it. */
    vmi__xen_time_return(cpu);
    vmi__xen_prod(number);
}

void vmi__xen_common_relax(uint32_t *turns)
{
    vmi__xen_relax(turns);
}

VMI__ROUTINE int32_t vmi__xen_suspend(void)
{
    uint32_t mask = vmi__xen_mask(), number = vmi__xen_this();
    int32_t result = VMI_EAGAIN;

    if (__atomic_load_n(&vmi__xen_common_suspend_asked, __ATOMIC_ACQUIRE)) {
        vmi__xen_carry_out(vmi__xen_cpus[number]);
        vmi__xen_time_leave(vmi__xen_cpus[number]);
        result = vmi__xen_common_meet(number, others());
    }
    vmi__xen_unmask(mask);
    return result;
}
