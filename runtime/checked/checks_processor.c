/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Rules of the processor: descriptors, selectors, flags, modes.
 */
#include "descriptors.h"
#include "endbr.h"
#include "frames.h"
#include "state.h"

#define PAGE_MASK   0xfffu
#define CR4_OSXSAVE 0x40000u
#define CR4_PCIDE   0x20000u

/* Of a descriptor (Intel SDM vol. 3A, 3.4.5). */
#define DESCRIPTOR_DPL(d) ((uint32_t)((d) >> 45) & 3)

/* A frame that was pushed has this bit of EFLAGS, and not these. */
#define EFLAGS_ONE  0x2u
#define EFLAGS_ZERO 0xffc08028u

static uintptr_t cr4(void)
{
    uintptr_t value;

    __asm__ volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

VMI__ADDRESS_TAKEN bool vmi__check_table_has_own_pages(const struct vmi__call *call,
                                                       struct vmi__finding *finding)
{
    uintptr_t base, last, stack = (uintptr_t)call->frame;

    if (call->ordinal == VMI_ORDINAL_SET_GDT) {
        const struct vmi_dtr *dtr = (const struct vmi_dtr *)vmi__argument(call, 0);

        base = dtr->base;
        last = base + dtr->limit;
    } else {
        struct vmi_dtr ldt = vmi__checked_ldt((uint32_t)vmi__argument(call, 0));

        if (!ldt.base)
            return true;
        base = ldt.base;
        last = base + ldt.limit;
    }
    if (base & PAGE_MASK)
        return vmi__found(finding, "the table does not begin on a page", "base", base, 0, 0);
    if (stack >> VMI__FRAME_SHIFT >= base >> VMI__FRAME_SHIFT &&
        stack >> VMI__FRAME_SHIFT <= last >> VMI__FRAME_SHIFT)
        return vmi__found(finding, "the stack is on the same page", "base", base, 0, 0);
    if (vmi__frame_kind(vmi__frame_at(base)))
        return vmi__found(finding, "the page is a page table", "base", base, 0, 0);
    return true;
}

VMI__ADDRESS_TAKEN bool vmi__check_descriptors_dpl(const struct vmi__call *call,
                                                   struct vmi__finding *finding)
{
    const struct vmi_dtr *dtr = (const struct vmi_dtr *)vmi__argument(call, 0);
    const volatile uint64_t *table = (const volatile uint64_t *)dtr->base;

    for (uint32_t i = 1; i < (dtr->limit + 1u) / 8; i++) {
        uint64_t value = table[i];
        uint32_t dpl = DESCRIPTOR_DPL(value);

        if (!(value & VMI__DESCRIPTOR_PRESENT))
            continue;
        if (!(value & VMI__DESCRIPTOR_MEMORY)) {
            /* Those of the system's are 16 bytes long in long mode. */
            i += sizeof(uintptr_t) == 8;
            continue;
        }
        if (dpl == 1 || dpl == 2) {
            return vmi__found(finding, "a descriptor has another DPL", "index", i, "DPL", dpl);
        }
    }
    return true;
}

VMI__ADDRESS_TAKEN bool vmi__check_selectors_reloaded(const struct vmi__call *call,
                                                      struct vmi__finding *finding)
{
    struct vmi_dtr gdt = vmi__checked_gdt();
    uint32_t cs, ss;

    if (call->ordinal == VMI_ORDINAL_SET_GDT || !vmi__checked_state.cpus[call->cpu].stale)
        return true;
    __asm__ volatile("mov %%cs, %0\n\tmov %%ss, %1" : "=r"(cs), "=r"(ss));
    if (!(vmi__descriptor(&gdt, cs) & VMI__DESCRIPTOR_PRESENT))
        return vmi__found(finding, "interrupts are let in, and the GDT has no descriptor for CS",
                          "CS", cs, 0, 0);
    if (ss & ~3u && !(vmi__descriptor(&gdt, ss) & VMI__DESCRIPTOR_PRESENT))
        return vmi__found(finding, "interrupts are let in, and the GDT has no descriptor for SS",
                          "SS", ss, 0, 0);
    return true;
}

VMI__ADDRESS_TAKEN bool vmi__check_gates_announced(const struct vmi__call *call,
                                                   struct vmi__finding *finding)
{
    if (call->ordinal == VMI_ORDINAL_SET_IDT)
        return true;
    for (uint32_t i = 0; i < VMI__IDTS && vmi__checked_state.idts[i].base; i++) {
        struct vmi__idt *idt = &vmi__checked_state.idts[i];
        uint32_t gate = vmi__idt_changed(idt, 0);

        if (gate < VMI__GATES && call->ordinal == VMI_ORDINAL_WRITE_IDT_ENTRY &&
            vmi__argument(call, 0) == idt->base && (uint32_t)vmi__argument(call, 1) == gate)
            gate = vmi__idt_changed(idt, gate + 1); /* that one is announced by this call */
        if (gate == VMI__GATES)
            continue;
        vmi__idt_known(idt);
        vmi__found(finding, "a gate was changed since SetIDT", "table", idt->base, "gate", gate);
        finding->store = idt->store;
        idt->store = 0;
        return false;
    }
    return true;
}

/*
 * Ranges that processors and hypervisors have registers in: Intel's and the synthetic ones from 0,
 * KVM's, and AMD's.
 */
VMI__ADDRESS_TAKEN bool vmi__check_register_exists(const struct vmi__call *call,
                                                   struct vmi__finding *finding)
{
#ifdef __x86_64__
    uint32_t index = (uint32_t)call->frame->rcx;
#else
    uint32_t index = call->frame->ecx;
#endif

    if (index < 0x2000 || index - 0x40000000u < 0x2000 || index - 0x4b564d00u < 0x100 ||
        index - 0xc0000000u < 0x2000 || index - 0xc0010000u < 0x2000)
        return true;
    return vmi__found(finding, "no processor has such a register", "number", index, 0, 0);
}

VMI__ADDRESS_TAKEN bool vmi__check_direction_clear(const struct vmi__call *call,
                                                   struct vmi__finding *finding)
{
    if (!(call->frame->flags & VMI__FLAG_DIRECTION))
        return true;
    return vmi__found(finding, "the direction flag is set", "flags", call->frame->flags, 0, 0);
}

VMI__ADDRESS_TAKEN bool vmi__check_interrupts_masked(const struct vmi__call *call,
                                                     struct vmi__finding *finding)
{
    if (!(call->frame->flags & VMI__FLAG_INTERRUPT))
        return true;
    return vmi__found(finding, "interrupts are let in", "flags", call->frame->flags, 0, 0);
}

VMI__ADDRESS_TAKEN bool vmi__check_one_cpu_runs(const struct vmi__call *call,
                                                struct vmi__finding *finding)
{
    uint32_t rebinding = vmi__checked_state.rebinding;

    if (!rebinding || rebinding == call->cpu + 1)
        return true;
    return vmi__found(finding, "another CPU is in Rebind", "APIC identifier", rebinding - 1, 0, 0);
}

VMI__ADDRESS_TAKEN bool vmi__check_lazy_not_preempted(const struct vmi__call *call,
                                                      struct vmi__finding *finding)
{
    uint32_t lazy = vmi__checked_state.cpus[call->cpu].lazy;

    if (call->ordinal == VMI_ORDINAL_SET_LAZY_MODE) {
        uint32_t mode = (uint32_t)vmi__argument(call, 0);

        if (!(lazy & VMI_LAZY_MMU) || !(mode & VMI_LAZY_MMU))
            return true;
        return vmi__found(finding, "the mode is on already", "mode", lazy, 0, 0);
    }
    if (!(lazy & VMI_LAZY_MMU))
        return true;
    return vmi__found(finding, "the thread is changed, or the CPU halts, with the mode on", "mode",
                      lazy, 0, 0);
}

VMI__ADDRESS_TAKEN bool vmi__check_area_begins_with_library(const struct vmi__call *call,
                                                            struct vmi__finding *finding)
{
    uintptr_t base = vmi__argument(call, 0);

    if (!base || base & 15)
        return vmi__found(finding, "the base is not that of an area, on a boundary of 16 bytes",
                          "base", base, 0, 0);
    if ((intptr_t)base > 0)
        return vmi__found(finding, "the base is in the processes' half", "base", base, 0, 0);
    return true;
}

VMI__ADDRESS_TAKEN bool vmi__check_frame_on_stack(const struct vmi__call *call,
                                                  struct vmi__finding *finding)
{
    /* Of a call that is reached by a jump, the words begin with the frame. */
    const uintptr_t *words = call->frame->stack;
    struct vmi_dtr gdt = vmi__checked_gdt();
    uint32_t cs = (uint32_t)words[1] & 0xffff;

    if (call->ordinal == VMI_ORDINAL_IRET && !(cs & 4) &&
        !(vmi__descriptor(&gdt, cs) & VMI__DESCRIPTOR_PRESENT))
        return vmi__found(finding, "the word for CS is no selector of the GDT", "word", words[1], 0,
                          0);
    if (!(words[2] & EFLAGS_ONE) || words[2] & EFLAGS_ZERO)
        return vmi__found(finding, "the word for the flags cannot be flags", "word", words[2], 0,
                          0);
    return true;
}

VMI__ADDRESS_TAKEN bool vmi__check_user_access_ends(const struct vmi__call *call,
                                                    struct vmi__finding *finding)
{
    if (!vmi__checked_state.cpus[call->cpu].user_access)
        return true;
    return vmi__found(finding,
                      call->ordinal == VMI_ORDINAL_BEGIN_USER_ACCESS
                          ? "the access has begun already"
                          : "the access has not ended",
                      "APIC identifier", call->cpu, 0, 0);
}

VMI__ADDRESS_TAKEN bool vmi__check_xsave_on(const struct vmi__call *call,
                                            struct vmi__finding *finding)
{
    uintptr_t value = cr4();

    (void)call;
    return value & CR4_OSXSAVE ? true
                               : vmi__found(finding, "CR4.OSXSAVE is off", "CR4", value, 0, 0);
}

VMI__ADDRESS_TAKEN bool vmi__check_pcid_exists(const struct vmi__call *call,
                                               struct vmi__finding *finding)
{
#ifdef __x86_64__
    const struct vmi_invpcid *what = (const struct vmi_invpcid *)vmi__argument(call, 1);
    uintptr_t type = vmi__argument(call, 0);

    if (type < 2 && what->pcid && !(cr4() & CR4_PCIDE))
        return vmi__found(finding, "CR4.PCIDE is off", "identifier", what->pcid, 0, 0);
    if (!type && (int64_t)(what->address << 16) >> 16 != (int64_t)what->address)
        return vmi__found(finding, "the address is not canonical", "address", what->address, 0, 0);
#else
    (void)call;
    (void)finding;
#endif
    return true;
}
