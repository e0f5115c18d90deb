/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Wakes a CPU by VCPUOP_initialise (xen/hvm/hvm_vcpu.h): it begins in long mode, on the kernel's
 * own tables, so that there is no trampoline and no page below 1 MiB. VCPUs are numbered as the
 * ACPI tables that Xen makes list them. Xen initialises one once: an INIT interrupt resets one that
 * has stopped (xen.git, xen/arch/x86/hvm/vlapic.c, vlapic_init_sipi_one), and makes it new.
 */
#include "../../pvh.h"
#include "native/startup.h"

#include <xen/errno.h>
#include <xen/hvm/hvm_vcpu.h>
#include <xen/vcpu.h>

#define MSR_EFER 0xc0000080u
#define EFER_LME 0x100u
#define EFER_LMA 0x400u
#define EFER_NXE 0x800u /* as this CPU has it: the tables are the same */

#define DOWN_MICROSECONDS 100

#define RFLAGS_RESERVED 0x2u /* reads as 1 (Intel SDM vol. 1, 3.4.3) */

void vmi__native_smp_init(void)
{
    vmi__native_ap_apic = vmi__native_apic;
}

/* It has noted that it stops, and is about to. */
static bool is_down(uint32_t cpu)
{
    uint32_t polls = VMI__NATIVE_UP_POLLS;

    while (vmi__xen_pvh_is_up(cpu) && polls--)
        vmi__native_delay(DOWN_MICROSECONDS);
    return polls + 1;
}

static intptr_t initialise(uint32_t cpu, struct vcpu_hvm_context *context)
{
    return vmi__xen_pvh_hypercall_vcpu_op(VCPUOP_initialise, cpu, context);
}

int32_t vmi__native_smp_start(uint32_t cpu)
{
    const struct vmi_ap_state *state = &vmi__native_ap_state;
    struct vcpu_hvm_context context = {
        .mode = VCPU_HVM_MODE_64B,
        .cpu_regs.x86_64 =
            {
                .rip = (uintptr_t)vmi__native_ap_entry,
                .rflags = RFLAGS_RESERVED,
                .cr0 = state->cr0,
                .cr3 = state->cr3,
                .cr4 = state->cr4,
                .efer = state->efer | EFER_LME | EFER_LMA | (vmi__rdmsr(MSR_EFER) & EFER_NXE),
            },
    };
    intptr_t answer;

    if (!is_down(cpu))
        return VMI_EIO;
    answer = initialise(cpu, &context);
    if (answer == -XEN_EEXIST && /* it has been initialised */
        vmi__native_apic_command(vmi__boot.cpus[cpu].apic_id, VMI__ICR_INIT))
        answer = initialise(cpu, &context);
    if (answer < 0 || vmi__xen_pvh_hypercall_vcpu_op(VCPUOP_up, cpu, 0) < 0)
        return VMI_EIO;
    return vmi__native_smp_comes_up(VMI__NATIVE_UP_POLLS) ? VMI_OK : VMI_EIO;
}
