/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Further CPUs, and the end.
 */
#include "internal.h"

#define CR0_PE 0x00000001u
#define CR0_PG 0x80000000u

#define CR4_PAE 0x00000020u

#define EFER_SCE 0x001u
#define EFER_NXE 0x800u

/* Errors of Xen's (xen/errno.h) that mean something to the caller. */
#define XEN_EEXIST (-17)

struct vmi__xen_cpu *vmi__xen_cpus[VMI__XEN_CPUS_MAX];
uint32_t vmi__xen_cpu_count;

static struct vmi__xen_lock lock;
static struct vcpu_guest_context context; /* under the lock: larger than a stack should carry */

VMI__ROUTINE int32_t vmi__xen_set_initial_ap_state(const struct vmi_ap_state *state,
                                                   uint32_t apic_id)
{
    struct vcpu_register_runstate_memory_area area;
    uint32_t mask, root = state->cr3 >> VMI__PAGE_SHIFT;
    struct vmi__xen_cpu *cpu;
    int32_t result;

    if (apic_id >= vmi__xen_cpu_count || (state->cr0 & (CR0_PE | CR0_PG)) != (CR0_PE | CR0_PG) ||
        !(state->cr4 & CR4_PAE) || state->efer & ~(uint64_t)(EFER_SCE | EFER_NXE) ||
        root >= vmi__xen_memory.linear_pages || !(vmi__xen_memory.state[root] & VMI_PAGE_PDP) ||
        (state->cs & 3) != vmi__boot.kernel_rpl || (state->ss & 3) != vmi__boot.kernel_rpl)
        return VMI_EINVAL;
    vmi__xen_carry_out_here();
    mask = vmi__xen_take(&lock);
    cpu = vmi__xen_cpus[apic_id];
    if (cpu->started) {
        vmi__xen_give(&lock, mask);
        return VMI_EBUSY;
    }
    memset(&context, 0, sizeof(context));
    result = vmi__xen_descriptors_of(cpu, state, &context);
    if (result >= 0 && (vmi__xen_pin(root) < 0 || vmi__xen_events_prepare(cpu, apic_id) < 0))
        result = VMI_EIO;
    if (result < 0) {
        vmi__xen_give(&lock, mask);
        return result;
    }
    context.flags = VGCF_IN_KERNEL | VGCF_failsafe_disables_events;
    context.user_regs.eax = state->eax;
    context.user_regs.ebx = state->ebx;
    context.user_regs.ecx = state->ecx;
    context.user_regs.edx = state->edx;
    context.user_regs.esi = state->esi;
    context.user_regs.edi = state->edi;
    context.user_regs.ebp = state->ebp;
    context.user_regs.esp = state->esp;
    context.user_regs.eip = state->eip;
    context.user_regs.eflags = state->eflags | 2; /* bit 1 is always set */
    context.user_regs.cs = state->cs;
    context.user_regs.ss = state->ss;
    context.user_regs.ds = state->ds;
    context.user_regs.es = state->es;
    context.user_regs.fs = state->fs;
    context.user_regs.gs = state->gs;
    context.kernel_ss = state->ss;
    context.kernel_sp = state->esp;
    context.ctrlreg[0] = state->cr0;
    context.ctrlreg[2] = state->cr2;
    context.ctrlreg[3] = xen_pfn_to_cr3(vmi__xen_mfn(root));
    context.ctrlreg[4] = state->cr4;
    context.event_callback_cs = FLAT_KERNEL_CS;
    context.event_callback_eip = (uint32_t)(uintptr_t)vmi__xen_event_callback;
    context.failsafe_callback_cs = FLAT_KERNEL_CS;
    context.failsafe_callback_eip = (uint32_t)(uintptr_t)vmi__xen_failsafe_callback;
    cpu->cr3 = state->cr3;
    cpu->started = 1;
    vmi__xen_shared.vcpu_info[apic_id].evtchn_upcall_mask = state->eflags & VMI__EFLAGS_IF ? 0 : 1;
    vmi__xen_shared.vcpu_info[apic_id].arch.cr2 = state->cr2;

    result = vmi__xen_hypercall_vcpu_op(VCPUOP_initialise, apic_id, &context);
    if (result >= 0) {
        /* Neither is missed if Xen refuses it: steal time stays 0, and a tick of Xen's own is
         * looked at in vain. */
        area.addr.v = &cpu->runstate;
        vmi__xen_hypercall_vcpu_op(VCPUOP_register_runstate_memory_area, apic_id, &area);
        vmi__xen_hypercall_vcpu_op(VCPUOP_stop_periodic_timer, apic_id, 0);
        result = vmi__xen_hypercall_vcpu_op(VCPUOP_up, apic_id, 0);
    }
    if (result < 0) {
        cpu->started = 0;
        vmi__xen_report(VMI_ORDINAL_SET_INITIAL_AP_STATE, apic_id, state->eip, result);
        result = result == XEN_EEXIST ? VMI_EBUSY : result == VMI_EINVAL ? VMI_EINVAL : VMI_EIO;
    }
    vmi__xen_give(&lock, mask);
    return result < 0 ? result : VMI_OK;
}

/* ---- the end
 * -------------------------------------------------------------------------------------------------
 * ----
 */

static void __attribute__((noreturn)) shut_down(uint32_t reason)
{
    struct sched_shutdown how = {.reason = reason};

    vmi__xen_console_drain();
    for (;;)
        vmi__xen_hypercall_sched_op(SCHEDOP_shutdown, &how);
}

VMI__ROUTINE void vmi__xen_reboot(uint32_t how)
{
    (void)how; /* Xen knows one way */
    shut_down(SHUTDOWN_reboot);
}

VMI__ROUTINE void vmi__xen_shutdown(void)
{
    shut_down(SHUTDOWN_poweroff);
}

VMI__ROUTINE void vmi__xen_shutdown_reason(uint32_t reason, uint32_t status)
{
    char text[3] = {"0123456789abcdef"[status >> 4 & 0xf], "0123456789abcdef"[status & 0xf], 0};

    /*
     * The status goes where the toolstack can read it: into the directory that it may have made for
     * this, else into the one that every domain may write. Without xenstore, the end state tells
     * success from all else.
     */
    if (vmi__xen_store_write("vmi/status", text) < 0)
        vmi__xen_store_write("data/vmi-status", text);
    if (reason == VMI_SHUTDOWN_REBOOT)
        shut_down(SHUTDOWN_reboot);
    shut_down(reason == VMI_SHUTDOWN_POWEROFF && status == VMI_STATUS_PASS ? SHUTDOWN_poweroff
                                                                           : SHUTDOWN_crash);
}
