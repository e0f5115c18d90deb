/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the ports of events (ports.c) ask of the rest of the library, where that has nothing to say:
 * three CPUs, whose interrupts are masked. To be included behind ports.c.
 */
#ifndef VMI_XEN_TESTS_XEN_QUIET_H
#define VMI_XEN_TESTS_XEN_QUIET_H

#define CPUS 3

static struct vmi__xen_cpu records[CPUS];
struct vmi__xen_cpu *vmi__xen_cpus[VMI__XEN_CPUS_MAX] = {&records[0], &records[1], &records[2]};
uint32_t vmi__xen_cpu_count = CPUS;
struct shared_info vmi__xen_shared;
#ifndef __x86_64__
struct vcpu_info vmi__xen_infos[VMI__XEN_CPUS_MAX];
#endif

HYPERCALL intptr_t vmi__xen_hypercall_sched_op(uint32_t command, const void *argument)
{
    (void)command, (void)argument;
    return 0;
}

uint64_t vmi__xen_machine(const void *linear)
{
    return (uintptr_t)linear;
}

uint64_t vmi__xen_system_time(void)
{
    return 0;
}

VMI__ROUTINE uint32_t vmi__xen_mask(void)
{
    return 1;
}

#endif
