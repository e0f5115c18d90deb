/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The call Suspend (../xen_common/suspend.c has the CPUs come together). The processor is saved and
 * restored by the toolstack, with its registers, MSRs, local APIC and TSC. What Xen has forgotten
 * of the domain: pages that it shares, event channels, the vectors that it raises for these,
 * grants, where the words of CPUs above those of the shared page are, and what it counts of a CPU's
 * time.
 */
#include "pvh.h"

#include "xen_common/requests.h"
#include "xen_common/suspend.h"

#include <xen/sched.h>

#define MSR_DEADLINE  0x6e0
#define LVTT_VECTOR   0xffu
#define LVTT_DEADLINE 0x40000u

/* ---- the timer of a CPU ---- */

VMI__RUN_ONCE static bool has_deadline(void)
{
    return vmi__native_apic_read(VMI_APIC_LVTT) & LVTT_DEADLINE;
}

VMI__RUN_ONCE static void set_timer(uint64_t value)
{
    if (has_deadline())
        vmi__wrmsr(MSR_DEADLINE, value);
    else
        vmi__native_apic_write(VMI__APIC_TIMER_INITIAL, (uint32_t)value);
}

/* Has the timer's interrupt been requested? */
VMI__RUN_ONCE static bool gone_off(void)
{
    uint32_t vector = vmi__native_apic_read(VMI_APIC_LVTT) & LVTT_VECTOR;

    return vmi__native_apic_read(VMI__APIC_IRR + vector / 32 * 16) & 1u << vector % 32;
}

/*
 * Stops the timer, which Xen would start with its whole count again, also one that has gone off
 * (xen/arch/x86/hvm/vlapic.c, lapic_rearm). Returns what it had left, 0 if it has gone off.
 */
VMI__RUN_ONCE static uint64_t stop_timer(void)
{
    bool before = gone_off();
    uint64_t left =
        has_deadline() ? vmi__rdmsr(MSR_DEADLINE) : vmi__native_apic_read(VMI__APIC_TIMER_CURRENT);

    set_timer(0);
    return gone_off() && !before ? 0 : left;
}

/* ---- the domain ---- */

/*
 * A channel that no toolstack makes is there only in the domain that made it. What the hypercall
 * returns does not tell: a toolstack changes it only for guests that have named a callback
 * (xen.git, tools/libs/ctrl/xc_resume.c, modify_returncode).
 */
VMI__RUN_ONCE static bool is_there(evtchn_port_t port)
{
    struct evtchn_status status = {.dom = DOMID_SELF, .port = port};

    return vmi__xen_pvh_hypercall_event_channel_op(EVTCHNOP_status,
                                                   vmi__xen_pvh_argument(&status)) >= 0 &&
           status.status == EVTCHNSTAT_ipi;
}

/* Of the calling CPU, or one that is down or about to be, and may be started again. */
VMI__RUN_ONCE static void cpu_has_words(uint32_t cpu)
{
    uint32_t turns = 0;

    while (cpu != vmi__native_cpu() && vmi__xen_pvh_is_up(cpu))
        vmi__xen_common_relax(&turns);
    if (!vmi__xen_pvh_cpu_register(cpu))
        vmi__fatal("Xen refuses a place for its words of a CPU, in a domain that was restored");
}

VMI__RUN_ONCE static void restored(void)
{
    const char *reason = vmi__xen_pvh_share();

    if (reason)
        vmi__fatal(reason);
    vmi__xen_pvh_console_forget();
    vmi__xen_pvh_store_start();
    vmi__xen_pvh_grants_again();
    if (vmi__xen_pvh_device_events)
        vmi__xen_pvh_device_events->come_again();
    vmi__xen_pvh_requests_start();
    for (uint32_t cpu = 1; cpu < vmi__boot.cpu_count; cpu++)
        if (!vmi__native_cpu_runs(cpu))
            cpu_has_words(cpu);
}

VMI__RUN_ONCE int32_t vmi__xen_common_stand_still(void)
{
    struct sched_shutdown how = {.reason = SHUTDOWN_suspend};
    struct evtchn_bind_ipi mark = {.vcpu = 0};
    struct evtchn_close close;
    intptr_t answer;
    bool stayed;

    if (vmi__xen_pvh_hypercall_event_channel_op(EVTCHNOP_bind_ipi, vmi__xen_pvh_argument(&mark)) <
        0)
        return VMI_EIO;
    vmi__xen_pvh_events_leave();
    answer = vmi__xen_pvh_hypercall_sched_op(SCHEDOP_shutdown, vmi__xen_pvh_argument(&how));
    stayed = answer < 0 || is_there(mark.port);
    if (stayed) {
        close.port = mark.port;
        vmi__xen_pvh_hypercall_event_channel_op(EVTCHNOP_close, vmi__xen_pvh_argument(&close));
    } else {
        restored();
    }
    if (!vmi__xen_pvh_events_return(!stayed))
        vmi__fatal("Xen refuses an event that was bound when the domain was suspended");
    if (answer < 0)
        return VMI_EIO;
    return stayed ? VMI_SUSPEND_CANCELED : VMI_SUSPEND_RESTORED;
}

/* ---- a CPU ---- */

VMI__RUN_ONCE void vmi__xen_common_cpu_returns(uint32_t number)
{
    cpu_has_words(number);
    vmi__xen_pvh_events_look(number);
}

VMI__RUN_ONCE void vmi__xen_common_relax(uint32_t *turns)
{
    if (++*turns % 1024)
        __asm__ volatile("pause");
    else
        vmi_yield();
}

VMI__RUN_ONCE VMI__ROUTINE int32_t vmi__xen_pvh_suspend(void)
{
    uint32_t flags, others = 0;
    uint64_t left, stolen;
    uintptr_t cr2;
    int32_t result;

    if (!__atomic_load_n(&vmi__xen_common_suspend_asked, __ATOMIC_ACQUIRE))
        return VMI_EAGAIN;
    flags = vmi__irq_save();
    for (uint32_t cpu = 1; cpu < vmi__boot.cpu_count; cpu++)
        others += vmi__native_cpu_runs(cpu);
    /* Xen saves the CR2 of the last fault that it has seen itself, not the processor's (seen with
     * 4.17 on AMD-V). */
    cr2 = vmi_get_cr2();
    stolen = vmi__xen_pvh_steal_time();
    left = stop_timer();
    result = vmi__xen_common_meet(vmi__native_cpu(), others);
    vmi_set_cr2(cr2);
    if (left)
        set_timer(left);
    if (result == VMI_SUSPEND_RESTORED)
        vmi__xen_pvh_steal_time_go_on(stolen);
    vmi__irq_restore(flags);
    return result;
}
