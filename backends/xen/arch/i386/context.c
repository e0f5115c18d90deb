/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What a CPU begins with on i386.
 */
#include "../../builder.h"

#define CR0_PE 0x00000001u
#define CR0_PG 0x80000000u

#define CR4_PAE 0x00000020u

#define EFER_SCE 0x001u
#define EFER_NXE 0x800u

_Static_assert(sizeof(struct vcpu_info) == 1 << VMI__XEN_VCPU_SHIFT,
               "assembly finds vcpu_info by a shift");
_Static_assert(sizeof(struct trap_info) == 8, "i386 layout");
_Static_assert(VMI__XEN_CPU_SELECTOR == 0xffb, "CurrentCPU in backend.yaml");

void vmi__xen_start_cpu(struct vmi__xen_cpu *cpu)
{
    (void)cpu; /* the GDT is what tells the CPU's number */
}

bool vmi__xen_state_acceptable(const struct vmi_ap_state *state)
{
    return (state->cr0 & (CR0_PE | CR0_PG)) == (CR0_PE | CR0_PG) && state->cr4 & CR4_PAE &&
           !(state->efer & ~(uint64_t)(EFER_SCE | EFER_NXE));
}

int32_t vmi__xen_context_of(struct vmi__xen_cpu *cpu, uint32_t number,
                            const struct vmi_ap_state *state, struct vcpu_guest_context *context)
{
    (void)cpu;
    context->flags = VGCF_IN_KERNEL | VGCF_failsafe_disables_events;
    context->user_regs.eax = state->eax;
    context->user_regs.ebx = state->ebx;
    context->user_regs.ecx = state->ecx;
    context->user_regs.edx = state->edx;
    context->user_regs.esi = state->esi;
    context->user_regs.edi = state->edi;
    context->user_regs.ebp = state->ebp;
    context->user_regs.esp = state->esp;
    context->user_regs.eip = state->eip;
    context->user_regs.eflags = state->eflags | 2; /* bit 1 is always set */
    context->user_regs.cs = state->cs;
    context->user_regs.ss = state->ss;
    context->user_regs.ds = state->ds;
    context->user_regs.es = state->es;
    context->user_regs.fs = state->fs;
    context->user_regs.gs = state->gs;
    context->kernel_ss = state->ss;
    context->kernel_sp = state->esp;
    context->ctrlreg[0] = state->cr0;
    context->ctrlreg[2] = state->cr2;
    context->ctrlreg[3] = xen_pfn_to_cr3(vmi__xen_mfn(state->cr3 >> VMI__PAGE_SHIFT));
    context->ctrlreg[4] = state->cr4;
    context->event_callback_cs = FLAT_KERNEL_CS;
    context->event_callback_eip = (uintptr_t)vmi__xen_event_callback;
    context->failsafe_callback_cs = FLAT_KERNEL_CS;
    context->failsafe_callback_eip = (uintptr_t)vmi__xen_failsafe_callback;
    vmi__xen_vcpu(number)->evtchn_upcall_mask = state->eflags & VMI__EFLAGS_IF ? 0 : 1;
    vmi__xen_vcpu(number)->arch.cr2 = state->cr2;
    return VMI_OK;
}

void vmi__xen_context_leave(void)
{
    vmi__xen_set_ldt(0);
}

void vmi__xen_context_again(struct vmi__xen_cpu *cpu, const struct vmi_ap_state *state)
{
    (void)cpu;
    vmi__xen_load_roots(state->cr3, 0);
    vmi__xen_set_ldt(state->ldtr);
    vmi__xen_set_iopl_mask(state->eflags);
    vmi__xen_update_kernel_stack(state->ss, state->esp);
}
