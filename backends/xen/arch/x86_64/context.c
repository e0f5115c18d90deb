/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What a CPU begins with on x86-64.
 */
#include "../../builder.h"

#define CR0_PE 0x00000001u
#define CR0_PG 0x80000000u

#define CR4_PAE 0x00000020u

#define EFER_SCE 0x001u
#define EFER_LME 0x100u
#define EFER_LMA 0x400u
#define EFER_NXE 0x800u

#define RFLAGS_NT 0x4000u

/* events.S */
extern const char vmi__xen_syscall_callback[];

/* The area that the first CPU has until the kernel gives it one. */
static uint8_t boot_area[VMI_PERCPU_SIZE] __attribute__((aligned(16)));

/* The library's words of an area. */
static void fill_area(uintptr_t area, const struct vmi__xen_cpu *cpu, uint32_t number)
{
    memset((void *)area, 0, VMI_PERCPU_SIZE);
    *(uint32_t *)(area + VMI_PERCPU_NUMBER) = number;
    *(uintptr_t *)(area + VMI_PERCPU_SELF) = area;
    *(uintptr_t *)(area + VMI_PERCPU_PRIVATE) = (uintptr_t)cpu;
}

void vmi__xen_start_cpu(struct vmi__xen_cpu *cpu)
{
    fill_area((uintptr_t)boot_area, cpu, 0);
    if (vmi__xen_hypercall_set_segment_base(SEGBASE_GS_KERNEL, (uintptr_t)boot_area) < 0)
        vmi__fatal("Xen refuses the kernel's GS base");
    vmi__boot.kernel_ss = FLAT_KERNEL_SS;
    vmi__boot.user_cs = FLAT_USER_CS;
    vmi__boot.user_ss = FLAT_USER_SS;
    vmi__boot.user_root = 1;
}

bool vmi__xen_state_acceptable(const struct vmi_ap_state *state)
{
    uintptr_t user = state->user_cr3 >> VMI__PAGE_SHIFT;

    return (state->cr0 & (CR0_PE | CR0_PG)) == (CR0_PE | CR0_PG) && state->cr4 & CR4_PAE &&
           !(state->efer & ~(uint64_t)(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)) &&
           !((state->cr3 | state->user_cr3) & (VMI__PAGE_SIZE - 1)) &&
           !(state->rflags & RFLAGS_NT) && state->gs_base && !(state->gs_base & 15) &&
           (!user ||
            (user < vmi__xen_memory.linear_pages && vmi__xen_memory.state[user] & VMI__XEN_ROOT));
}

int32_t vmi__xen_context_of(struct vmi__xen_cpu *cpu, uint32_t number,
                            const struct vmi_ap_state *state, struct vcpu_guest_context *context)
{
    uintptr_t user = state->user_cr3 >> VMI__PAGE_SHIFT;

    if (user && vmi__xen_pin(user) < 0)
        return VMI_EIO;
    cpu->cr3_user = state->user_cr3;
    fill_area(state->gs_base, cpu, number);
    context->flags = VGCF_IN_KERNEL | VGCF_failsafe_disables_events | VGCF_syscall_disables_events;
    context->user_regs.rax = state->rax;
    context->user_regs.rbx = state->rbx;
    context->user_regs.rcx = state->rcx;
    context->user_regs.rdx = state->rdx;
    context->user_regs.rsi = state->rsi;
    context->user_regs.rdi = state->rdi;
    context->user_regs.rbp = state->rbp;
    context->user_regs.rsp = state->rsp;
    context->user_regs.r8 = state->r8;
    context->user_regs.r9 = state->r9;
    context->user_regs.r10 = state->r10;
    context->user_regs.r11 = state->r11;
    context->user_regs.r12 = state->r12;
    context->user_regs.r13 = state->r13;
    context->user_regs.r14 = state->r14;
    context->user_regs.r15 = state->r15;
    context->user_regs.rip = state->rip;
    context->user_regs.rflags = state->rflags | 2; /* bit 1 is always set */
    context->user_regs.cs = state->cs;
    context->user_regs.ss = state->ss;
    context->user_regs.ds = state->ds;
    context->user_regs.es = state->es;
    context->user_regs.fs = state->fs;
    context->user_regs.gs = state->gs;
    context->kernel_ss = state->ss;
    context->kernel_sp = state->rsp;
    context->ctrlreg[0] = state->cr0;
    context->ctrlreg[1] = user ? xen_pfn_to_cr3(vmi__xen_mfn(user)) : 0;
    context->ctrlreg[2] = state->cr2;
    context->ctrlreg[3] = xen_pfn_to_cr3(vmi__xen_mfn(state->cr3 >> VMI__PAGE_SHIFT));
    context->ctrlreg[4] = state->cr4;
    context->event_callback_eip = (uintptr_t)vmi__xen_event_callback;
    context->failsafe_callback_eip = (uintptr_t)vmi__xen_failsafe_callback;
    context->syscall_callback_eip = (uintptr_t)vmi__xen_syscall_callback;
    context->fs_base = state->fs_base;
    context->gs_base_kernel = state->gs_base;
    context->gs_base_user = state->user_gs_base;
    cpu->arch.info.evtchn_upcall_mask = state->rflags & VMI__EFLAGS_IF ? 0 : 1;
    cpu->arch.info.arch.cr2 = state->cr2;
    return VMI_OK;
}

void vmi__xen_context_leave(void)
{
}

/* Hypercalls ask for no number of the CPU, which is known by the base of GS. */
static void begin_with_base(uint32_t which, uintptr_t base)
{
    intptr_t result = vmi__xen_hypercall_set_segment_base(which, base);

    if (result < 0)
        vmi__xen_report(VMI_ORDINAL_SET_INITIAL_AP_STATE, which, base, result);
}

void vmi__xen_context_again(struct vmi__xen_cpu *cpu, const struct vmi_ap_state *state)
{
    /* Then the bases that a selector's load takes away. */
    __asm__ volatile("mov %0, %%ds\n"
                     "mov %1, %%es\n"
                     "mov %2, %%fs\n"
                     "mov %3, %%gs"
                     :
                     : "r"((uint32_t)state->ds), "r"((uint32_t)state->es), "r"((uint32_t)state->fs),
                       "r"((uint32_t)state->gs)
                     : "memory");
    begin_with_base(SEGBASE_GS_KERNEL, state->gs_base);
    begin_with_base(SEGBASE_GS_USER, state->user_gs_base);
    begin_with_base(SEGBASE_FS, state->fs_base);
    cpu->arch.nmi = 0;
    cpu->cr3_user = 0; /* as the CPU has stopped */
    vmi__xen_load_roots(state->cr3, state->user_cr3);
    vmi__xen_update_kernel_stack(state->rsp);
}
