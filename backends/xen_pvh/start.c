/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Finds Xen (xen/arch-x86/cpuid.h) and takes what it gives: the TSC's frequency, the shared page.
 */
#include "pvh.h"

#include <xen/arch-x86/cpuid.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>

#define CPUID_FIRST 0x40000000u
#define CPUID_LAST  0x40010000u
#define CPUID_STEP  0x100u
#define LEAF_TIME   3 /* sub-leaf 0: ecx is the TSC's frequency in kHz */

/* Of the local APIC that Xen emulates (xen/arch/x86, APIC_BUS_CYCLE_NS: 10 ns a cycle). */
#define APIC_TIMER_HZ 100000000u

#define VENDOR_INTEL_EBX 0x756e6547u /* "Genu" */

#define CR0_PG 0x80000000u

uint8_t vmi__xen_pvh_vmcall;

/* CPUID leaf of Xen's signature; 1 for none, 0 before it was looked for. */
static uint32_t base;

void vmi__xen_pvh_find_transfer(void)
{
    vmi__xen_pvh_vmcall = vmi__cpuid(0, 0).ebx == VENDOR_INTEL_EBX;
}

bool vmi__xen_pvh_present(void)
{
    uint32_t leaf;

    if (!base) {
        base = 1;
        for (leaf = CPUID_FIRST; leaf < CPUID_LAST; leaf += CPUID_STEP) {
            struct vmi__cpuid id = vmi__cpuid(leaf, 0);

            if (id.ebx == XEN_CPUID_SIGNATURE_EBX && id.ecx == XEN_CPUID_SIGNATURE_ECX &&
                id.edx == XEN_CPUID_SIGNATURE_EDX && id.eax >= leaf + LEAF_TIME) {
                base = leaf;
                break;
            }
        }
        vmi__xen_pvh_find_transfer();
    }
    return base != 1;
}

bool vmi__xen_pvh_paged(void)
{
    uintptr_t cr0;

    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    return cr0 & CR0_PG;
}

void *vmi__xen_pvh_argument(const void *pointer)
{
    return vmi__xen_pvh_paged() ? (void *)(uintptr_t)pointer
                                : (void *)(uintptr_t)vmi__physical(pointer);
}

VMI__RUN_ONCE uint64_t vmi__xen_pvh_parameter(uint32_t index)
{
    struct xen_hvm_param param = {.domid = DOMID_SELF, .index = index};

    if (vmi__xen_pvh_hypercall_hvm_op(HVMOP_get_param, vmi__xen_pvh_argument(&param)) < 0)
        return 0;
    return param.value;
}

VMI__RUN_ONCE void *vmi__xen_pvh_map(uint32_t slot, uint64_t pfn)
{
    if (!pfn || pfn >= 1u << 20)
        return 0;
    return vmi__xen_pvh_paged() ? (void *)(uintptr_t)vmi__window_map(slot, pfn << 12)
                                : vmi__linear((uint32_t)(pfn << 12));
}

VMI__RUN_ONCE int32_t vmi__xen_pvh_adopt(void *page, uint32_t space, uint32_t index)
{
    struct xen_add_to_physmap map = {
        .domid = DOMID_SELF,
        .space = space,
        .idx = index,
        .gpfn = vmi__physical(page) >> 12,
    };

    return vmi__xen_pvh_hypercall_memory_op(XENMEM_add_to_physmap, vmi__xen_pvh_argument(&map));
}

VMI__RUN_ONCE const char *vmi__xen_pvh_share(void)
{
    struct xen_hvm_param no_callback = {.domid = DOMID_SELF, .index = HVM_PARAM_CALLBACK_IRQ};

    if (vmi__xen_pvh_adopt(&vmi__xen_pvh_shared, XENMAPSPACE_shared_info, 0) < 0)
        return "Xen does not share its page";
    /*
     * Xen lays the page out for the guest's width, and puts the wall clock in, when it has seen the
     * width of a guest that names its callback (xen/hvm/params.h, HVM_PARAM_CALLBACK_IRQ; 0 is
     * none).
     */
    if (vmi__xen_pvh_hypercall_hvm_op(HVMOP_set_param, vmi__xen_pvh_argument(&no_callback)) < 0)
        return "Xen takes no callback";
    return 0;
}

const char *vmi__xen_pvh_start(void)
{
    if (!vmi__xen_pvh_present())
        return "there is no Xen below (CPUID)";
    vmi__native_tsc_hz = (uint64_t)vmi__cpuid(base + LEAF_TIME, 0).ecx * 1000;
    vmi__native_apic_timer_hz = APIC_TIMER_HZ;
    return vmi__xen_pvh_share();
}
