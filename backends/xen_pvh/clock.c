/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Wall clock, steal time and waiting. The monotonic clock is the native one: the TSC, whose
 * frequency Xen tells.
 */
#include "pvh.h"
#include "xen_common/wall_clock.h"

#include <xen/sched.h>
#include <xen/vcpu.h>

#define WAIT_NANOSECONDS 10000000

static uint32_t last_version;

/* Xen's time in nanoseconds, by what it notes for each VCPU (xen/xen.h, struct vcpu_time_info). */
static uint64_t system_time(void)
{
    const volatile struct vcpu_time_info *info = &vmi__xen_pvh_shared.vcpu_info[0].time;
    uint64_t delta, time;
    uint32_t version;

    do {
        version = info->version;
        __asm__ volatile("" : : : "memory");
        delta = vmi__rdtsc() - info->tsc_timestamp;
        if (delta >> 63)
            delta = 0;
        delta = info->tsc_shift >= 0 ? delta << info->tsc_shift : delta >> -info->tsc_shift;
        time = info->system_time + vmi__scale(delta, info->tsc_to_system_mul, 32);
        __asm__ volatile("" : : : "memory");
    } while ((version & 1) || version != info->version);
    return time;
}

void vmi__xen_pvh_wait(evtchn_port_t port)
{
    struct sched_poll poll = {.nr_ports = port != 0, .timeout = system_time() + WAIT_NANOSECONDS};

    set_xen_guest_handle(poll.ports, vmi__xen_pvh_argument(&port));
    vmi__xen_pvh_hypercall_sched_op(SCHEDOP_poll, vmi__xen_pvh_argument(&poll));
}

VMI__ROUTINE uint64_t vmi__xen_pvh_get_wallclock_time(void)
{
    uint64_t zero = vmi__wall_clock_at_zero(&vmi__xen_pvh_shared);

    return zero ? zero + system_time() : 0;
}

VMI__ROUTINE int32_t vmi__xen_pvh_wallclock_updated(void)
{
    uint32_t version = __atomic_load_n(&vmi__xen_pvh_shared.wc_version, __ATOMIC_SEQ_CST);

    return __atomic_exchange_n(&last_version, version, __ATOMIC_SEQ_CST) != version;
}

/* What Xen does not count of each CPU: of before the domain was restored last. */
static uint64_t before[VMI__CPUS_FEW], *before_more;

VMI__RUN_ONCE void vmi__xen_pvh_steal_time_start(void)
{
    before_more = vmi__cpu_rows(sizeof(*before_more));
}

/* By Xen's count, of this CPU. */
VMI__RUN_ONCE static uint64_t counted(uint32_t cpu)
{
    struct vcpu_runstate_info now = {0};

    /* VCPUs are numbered as the ACPI tables that Xen makes list them. */
    if (vmi__xen_pvh_hypercall_vcpu_op(VCPUOP_get_runstate_info, cpu, vmi__xen_pvh_argument(&now)) <
        0)
        return 0;
    return now.time[RUNSTATE_runnable] + now.time[RUNSTATE_offline];
}

VMI__ROUTINE uint64_t vmi__xen_pvh_steal_time(void)
{
    uint32_t cpu = vmi__native_cpu();

    return *VMI__CPU_ROW(before, before_more, cpu) + counted(cpu);
}

VMI__RUN_ONCE void vmi__xen_pvh_steal_time_go_on(uint64_t from)
{
    uint32_t cpu = vmi__native_cpu();

    *VMI__CPU_ROW(before, before_more, cpu) = from - counted(cpu);
}
