/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Memory as a paravirtualized guest has it: the kernel speaks guest-physical frames, Xen's tables
 * hold machine frames, and every entry is written by a hypercall that checks it. Xen's rule
 * (xen/xen.h, HYPERVISOR_mmu_update): a page is either a page table (or holds descriptors), or it
 * is mapped writable somewhere, never both.
 */
#include "internal.h"

/* Entry bits that Xen refuses or sets itself, dropped silently: they are hints that have no meaning
 * here. */
#define PT_DROPPED                                                                                 \
    0x7ff0000000000098ull /* PWT, PCD, PAT: caching of RAM is not the guest's; bits 52-62 */
#define PD_DROPPED  0x7ff0000000000118ull /* PWT, PCD, G */
#define PDP_KEPT    0x000ffffffffffe01ull /* the frame, the kernel's own bits, P */
#define ENTRY_LARGE 0x80u                 /* PS in a directory entry */

#define LINEAR_MAPPINGS 4

struct linear_mapping {
    uint32_t address, pages, pfn;
};

struct vmi__xen_memory vmi__xen_memory;
uint32_t vmi__xen_kept[VMI__XEN_CPUS_MAX];

static struct linear_mapping linear[LINEAR_MAPPINGS];
static struct vmi__xen_lock tables_lock;

/* Frames of Xen's that have been put into the image: they have no entry in m2p. */
static struct {
    uint32_t mfn, pfn;
} adopted[2];
static uint32_t adopted_count;

/* ---- translation
 * -------------------------------------------------------------------------------------------------
 */

uint32_t vmi__xen_pfn(uint32_t mfn)
{
    uint32_t pfn, part;

    for (uint32_t i = 0; i < adopted_count; i++)
        if (adopted[i].mfn == mfn)
            return adopted[i].pfn;
    if (mfn > vmi__xen_memory.m2p_last)
        return VMI__XEN_NO_FRAME;
    part = (uint32_t)(uintptr_t)&vmi__xen_memory.m2p[mfn] >> 21 & (VMI__XEN_TABLE_ENTRIES - 1);
    if (!(vmi__xen_memory.top_present[part / 32] & 1u << part % 32))
        return VMI__XEN_NO_FRAME;
    pfn = vmi__xen_memory.m2p[mfn];
    /* m2p holds whatever owner a frame has: only one that p2m confirms is this domain's. */
    return vmi__xen_mfn(pfn) == mfn ? pfn : VMI__XEN_NO_FRAME;
}

uint32_t vmi__xen_linear_pfn(uint32_t address)
{
    for (uint32_t i = 0; i < LINEAR_MAPPINGS; i++) {
        uint32_t page = (address - linear[i].address) >> VMI__PAGE_SHIFT;

        if (page < linear[i].pages)
            return linear[i].pfn + page;
    }
    return VMI__XEN_NO_FRAME;
}

uint64_t vmi__xen_machine(const void *address)
{
    uint32_t mfn = vmi__xen_mfn(vmi__xen_linear_pfn((uint32_t)(uintptr_t)address));

    return (uint64_t)mfn << VMI__PAGE_SHIFT | ((uint32_t)(uintptr_t)address & (VMI__PAGE_SIZE - 1));
}

VMI__ROUTINE uint64_t vmi__xen_machine_to_physical(uint64_t machine)
{
    uint64_t frame = (machine & VMI__PTE_FRAME) >> VMI__PAGE_SHIFT;
    uint32_t pfn = frame >> 32 ? VMI__XEN_NO_FRAME : vmi__xen_pfn((uint32_t)frame);

    if (pfn == VMI__XEN_NO_FRAME)
        return machine & ~(VMI__PTE_FRAME | VMI__PTE_PRESENT);
    return (machine & ~VMI__PTE_FRAME) | (uint64_t)pfn << VMI__PAGE_SHIFT;
}

VMI__ROUTINE uint64_t vmi__xen_physical_to_machine(uint64_t physical)
{
    uint64_t frame = (physical & VMI__PTE_FRAME) >> VMI__PAGE_SHIFT;
    uint32_t mfn = frame >> 32 ? VMI__XEN_NO_FRAME : vmi__xen_mfn((uint32_t)frame);

    if (mfn == VMI__XEN_NO_FRAME)
        return physical & ~(VMI__PTE_FRAME | VMI__PTE_PRESENT);
    return (physical & ~VMI__PTE_FRAME) | (uint64_t)mfn << VMI__PAGE_SHIFT;
}

VMI__ROUTINE void vmi__xen_set_linear_mapping(uint32_t slot, uint32_t address, uint32_t pages,
                                              uint32_t pfn)
{
    if (slot >= LINEAR_MAPPINGS) {
        vmi__xen_report(VMI_ORDINAL_SET_LINEAR_MAPPING, slot, pages, VMI_EINVAL);
        return;
    }
    linear[slot] = (struct linear_mapping){address, pages, pfn};
}

const char *vmi__xen_adopt(void *page, uint32_t mfn)
{
    uint32_t pfn = vmi__physical(page) >> VMI__PAGE_SHIFT;
    uint64_t entry = (uint64_t)mfn << VMI__PAGE_SHIFT;

    entry |= VMI__PTE_PRESENT | VMI__PTE_WRITE | VMI__PTE_ACCESSED | VMI__PTE_DIRTY;
    if (adopted_count == sizeof(adopted) / sizeof(adopted[0]) ||
        vmi__xen_hypercall_update_va_mapping((uint32_t)(uintptr_t)page, entry, UVMF_INVLPG) < 0)
        return "Xen does not let its shared page be mapped";
    adopted[adopted_count].mfn = mfn;
    adopted[adopted_count++].pfn = pfn;
    vmi__xen_memory.p2m[pfn] = mfn;
    return 0;
}

/* ---- lazy mode
 * -------------------------------------------------------------------------------------------------
 * --
 */

/*
 * Carries out page-table updates from `first` on, alone. Xen stops at the first that it refuses and
 * says how far it came: that one is reported and left out.
 */
static void carry_out_updates(struct vmi__xen_cpu *cpu, uint32_t first, uint32_t done,
                              int32_t result)
{
    for (;;) {
        if (result >= 0)
            return;
        first += done;
        if (first >= cpu->updates)
            return;
        vmi__xen_report(cpu->update_call[first],
                        (vmi__xen_pfn((uint32_t)(cpu->update[first].ptr >> VMI__PAGE_SHIFT))
                             << VMI__PAGE_SHIFT |
                         ((uint32_t)cpu->update[first].ptr & (VMI__PAGE_SIZE - 1) & ~3u)) +
                            VMI__LINEAR_BASE,
                        vmi__xen_machine_to_physical(cpu->update[first].val), result);
        first++;
        if (first == cpu->updates)
            return;
        done = 0;
        result = vmi__xen_hypercall_mmu_update(&cpu->update[first], cpu->updates - first, &done,
                                               DOMID_SELF);
    }
}

/* One operation as a hypercall of its own. */
static int32_t make(const struct multicall_entry *op)
{
    switch (op->op) {
    case __HYPERVISOR_stack_switch:
        return vmi__xen_hypercall_stack_switch(op->args[0], op->args[1]);
    case __HYPERVISOR_fpu_taskswitch:
        return vmi__xen_hypercall_fpu_taskswitch(op->args[0]);
    case __HYPERVISOR_update_descriptor:
        return vmi__xen_hypercall_update_descriptor((uint64_t)op->args[1] << 32 | op->args[0],
                                                    (uint64_t)op->args[3] << 32 | op->args[2]);
    case __HYPERVISOR_update_va_mapping:
        return vmi__xen_hypercall_update_va_mapping(
            op->args[0], (uint64_t)op->args[2] << 32 | op->args[1], op->args[3]);
    case __HYPERVISOR_mmu_update:
        return vmi__xen_hypercall_mmu_update((const void *)op->args[0], op->args[1],
                                             (void *)op->args[2], op->args[3]);
    default:
        return vmi__xen_hypercall_mmuext_op((void *)op->args[0], op->args[1], (void *)op->args[2],
                                            op->args[3]);
    }
}

static void set_op(struct multicall_entry *op, uint32_t number, uint32_t a, uint32_t b, uint32_t c,
                   uint32_t d)
{
    op->op = number;
    op->args[0] = a;
    op->args[1] = b;
    op->args[2] = c;
    op->args[3] = d;
}

int32_t vmi__xen_carry_out(struct vmi__xen_cpu *cpu)
{
    struct multicall_entry *op = &cpu->op[1];
    uint32_t done = 0, count = cpu->ops;
    int32_t result = 0;

    if (cpu->updates) {
        op--;
        count++;
        set_op(op, __HYPERVISOR_mmu_update, (uint32_t)(uintptr_t)cpu->update, cpu->updates,
               (uint32_t)(uintptr_t)&done, DOMID_SELF);
    }
    if (!count)
        return 0;
    if (count == 1) {
        op->result = (uint32_t)make(op);
    } else {
        result = vmi__xen_hypercall_multicall(op, count);
        if (result < 0)
            vmi__xen_crash(VMI_ORDINAL_SET_LAZY_MODE, (uint32_t)(uintptr_t)op, count, result);
    }
    result = 0;
    if (cpu->updates)
        carry_out_updates(cpu, 0, done, (int32_t)op->result);
    for (uint32_t i = 1; i <= cpu->ops; i++) {
        result = (int32_t)cpu->op[i].result;
        if (result < 0)
            vmi__xen_report(cpu->op_call[i], cpu->op[i].args[0], cpu->op[i].args[1], result);
    }
    cpu->updates = 0;
    cpu->ops = 0;
    cpu->exts = 0;
    vmi__xen_kept[vmi__xen_this()] = 0;
    return result;
}

VMI__ROUTINE void vmi__xen_carry_out_here(void)
{
    uint32_t mask = vmi__xen_mask();

    vmi__xen_carry_out(vmi__xen_self());
    vmi__xen_unmask(mask);
}

void vmi__xen_queue(struct vmi__xen_cpu *cpu, uint32_t call, uint32_t number, uint32_t a,
                    uint32_t b, uint32_t c, uint32_t d)
{
    if (cpu->ops == VMI__XEN_OPS)
        vmi__xen_carry_out(cpu);
    cpu->ops++;
    cpu->op_call[cpu->ops] = (uint8_t)call;
    set_op(&cpu->op[cpu->ops], number, a, b, c, d);
    vmi__xen_kept[vmi__xen_this()] = cpu->updates + cpu->ops;
}

void vmi__xen_queue_ext(struct vmi__xen_cpu *cpu, uint32_t call, uint32_t command, uint32_t first,
                        uint32_t second)
{
    struct mmuext_op *ext;

    /* Before the entry is chosen: carrying out empties that store as well. */
    if (cpu->ops == VMI__XEN_OPS)
        vmi__xen_carry_out(cpu);
    ext = &cpu->ext[cpu->exts++];
    ext->cmd = command;
    ext->arg1.linear_addr = first;
    ext->arg2.nr_ents = second;
    vmi__xen_queue(cpu, call, __HYPERVISOR_mmuext_op, (uint32_t)(uintptr_t)ext, 1, 0, DOMID_SELF);
}

VMI__ROUTINE void vmi__xen_set_lazy_mode(uint32_t mode)
{
    uint32_t mask = vmi__xen_mask();
    struct vmi__xen_cpu *cpu = vmi__xen_self();

    vmi__xen_carry_out(cpu);
    cpu->lazy = mode;
    vmi__xen_unmask(mask);
}

/* ---- page tables
 * -------------------------------------------------------------------------------------------------
 */

/* The entry as Xen is to have it; returns 0 for one whose frame this domain does not have. */
static int translate(uint64_t *value, uint32_t kind)
{
    uint64_t frame = (*value & VMI__PTE_FRAME) >> VMI__PAGE_SHIFT;
    uint32_t pfn = (uint32_t)frame, mfn;

    /* What is not present is the kernel's to choose, all of it. */
    if (!(*value & VMI__PTE_PRESENT))
        return 1;
    mfn = frame >> 32 ? VMI__XEN_NO_FRAME : vmi__xen_mfn(pfn);
    if (mfn == VMI__XEN_NO_FRAME)
        return 0;
    *value = (*value & ~VMI__PTE_FRAME) | (uint64_t)mfn << VMI__PAGE_SHIFT;
    if (kind & VMI_PAGE_PT) {
        *value &= ~PT_DROPPED;
        if (pfn < vmi__xen_memory.linear_pages && vmi__xen_memory.state[pfn] & VMI__XEN_READ_ONLY)
            *value &= ~(uint64_t)VMI__PTE_WRITE;
    } else if (kind & VMI_PAGE_PD) {
        if (*value & ENTRY_LARGE)
            return 0;
        *value &= ~PD_DROPPED;
    } else {
        *value &= PDP_KEPT;
    }
    return 1;
}

VMI__ROUTINE void vmi__xen_set_pxe_long(uint32_t low, uint32_t high, uint64_t *entry,
                                        uint32_t flags)
{
    uint64_t value = (uint64_t)high << 32 | low;
    uint32_t pfn = vmi__xen_linear_pfn((uint32_t)(uintptr_t)entry), kind, mask;
    struct mmu_update update;
    struct vmi__xen_cpu *cpu;
    int32_t result;

    (void)flags; /* the kind is known since AllocatePage, and nothing is gained by knowing the
                    linear page */
    kind = pfn < vmi__xen_memory.linear_pages ? vmi__xen_memory.state[pfn] & VMI__XEN_TABLE : 0;
    if (!kind || !translate(&value, kind)) {
        vmi__xen_report(VMI_ORDINAL_SET_PXE_LONG, (uint32_t)(uintptr_t)entry,
                        (uint64_t)high << 32 | low, VMI_EINVAL);
        return;
    }
    update.ptr = vmi__xen_machine(entry) | MMU_NORMAL_PT_UPDATE;
    update.val = value;

    /* A thread in a lazy mode stays on its CPU: if this reads another CPU's mode, it is not in one.
     */
    if (vmi__xen_self()->lazy & VMI_LAZY_MMU) {
        mask = vmi__xen_mask();
        cpu = vmi__xen_self();
        if (cpu->lazy & VMI_LAZY_MMU) {
            if (cpu->updates == VMI__XEN_BATCH)
                vmi__xen_carry_out(cpu);
            cpu->update_call[cpu->updates] = VMI_ORDINAL_SET_PXE_LONG;
            cpu->update[cpu->updates++] = update;
            vmi__xen_kept[vmi__xen_this()] = cpu->updates + cpu->ops;
            vmi__xen_unmask(mask);
            return;
        }
        vmi__xen_unmask(mask);
    }
    result = vmi__xen_hypercall_mmu_update(&update, 1, 0, DOMID_SELF);
    if (result < 0)
        vmi__xen_report(VMI_ORDINAL_SET_PXE_LONG, (uint32_t)(uintptr_t)entry,
                        (uint64_t)high << 32 | low, result);
}

/*
 * The boot tables stay valid for good (a kernel may load them again), so their mapping of the frame
 * has to change as well as that of the tables in use; where those are the same, the second change
 * is none.
 */
int32_t vmi__xen_protect(uint32_t pfn, uint32_t read_only, uint32_t call)
{
    const uint64_t *root = vmi__linear(vmi__xen_memory.boot_cr3), *directory;
    uint32_t address = VMI__LINEAR_BASE + (pfn << VMI__PAGE_SHIFT), mask, low, high;
    uint64_t entry = (uint64_t)vmi__xen_mfn(pfn) << VMI__PAGE_SHIFT, place;
    struct vmi__xen_cpu *cpu;
    int32_t result;

    entry |=
        VMI__PTE_PRESENT | VMI__PTE_ACCESSED | VMI__PTE_DIRTY | (read_only ? 0 : VMI__PTE_WRITE);
    low = (uint32_t)entry;
    high = (uint32_t)(entry >> 32);
    mask = vmi__xen_mask();
    cpu = vmi__xen_self();
    if (cpu->cr3 != vmi__xen_memory.boot_cr3) {
        directory =
            vmi__linear(vmi__xen_pfn((uint32_t)(root[3] >> VMI__PAGE_SHIFT)) << VMI__PAGE_SHIFT);
        place = (directory[(address >> 21) & 511] & VMI__PTE_FRAME) +
                ((address >> VMI__PAGE_SHIFT) & 511) * 8;
        if (cpu->updates == VMI__XEN_BATCH)
            vmi__xen_carry_out(cpu);
        cpu->update_call[cpu->updates] = (uint8_t)call;
        cpu->update[cpu->updates].ptr = place | MMU_NORMAL_PT_UPDATE;
        cpu->update[cpu->updates++].val = entry;
    }
    vmi__xen_queue(cpu, call, __HYPERVISOR_update_va_mapping, address, low, high,
                   UVMF_INVLPG | UVMF_ALL);
    result = vmi__xen_carry_out(cpu);
    vmi__xen_unmask(mask);
    return result;
}

VMI__ROUTINE void vmi__xen_allocate_page(uint32_t pfn, uint32_t flags, uint32_t origin,
                                         uint32_t first, uint32_t count)
{
    uint32_t kind = flags & VMI__XEN_TABLE;

    (void)origin; /* a clone holds machine frames already */
    (void)first;
    (void)count;
    if (pfn >= vmi__xen_memory.linear_pages || !kind || kind & (kind - 1) ||
        vmi__xen_memory.state[pfn]) {
        vmi__xen_report(VMI_ORDINAL_ALLOCATE_PAGE, pfn, flags, VMI_EINVAL);
        return;
    }
    if (kind == VMI_PAGE_PDP) {
        /* Xen shows R/W and U/S set in the entries of a root in use and refuses them in one that is
         * new. */
        uint64_t *entry = vmi__linear(pfn << VMI__PAGE_SHIFT);

        for (uint32_t i = 0; i < 4; i++)
            if (entry[i] & VMI__PTE_PRESENT)
                entry[i] &= PDP_KEPT;
    }
    vmi__xen_memory.state[pfn] = (uint8_t)kind;
    if (vmi__xen_protect(pfn, 1, VMI_ORDINAL_ALLOCATE_PAGE) < 0)
        vmi__xen_memory.state[pfn] = 0;
}

int32_t vmi__xen_pin(uint32_t pfn)
{
    uint32_t mask = vmi__xen_take(&tables_lock);
    struct mmuext_op pin = {.cmd = MMUEXT_PIN_L3_TABLE, .arg1.mfn = vmi__xen_mfn(pfn)};
    int32_t result = 0;

    if (!(vmi__xen_memory.state[pfn] & VMI__XEN_PINNED)) {
        result = vmi__xen_hypercall_mmuext_op(&pin, 1, 0, DOMID_SELF);
        if (result >= 0)
            vmi__xen_memory.state[pfn] |= VMI__XEN_PINNED;
    }
    vmi__xen_give(&tables_lock, mask);
    return result;
}

VMI__ROUTINE void vmi__xen_release_page(uint32_t pfn, uint32_t flags)
{
    struct mmuext_op unpin = {.cmd = MMUEXT_UNPIN_TABLE, .arg1.mfn = vmi__xen_mfn(pfn)};
    uint32_t state = pfn < vmi__xen_memory.linear_pages ? vmi__xen_memory.state[pfn] : 0, mask;
    int32_t result;

    if (!(state & VMI__XEN_TABLE)) {
        vmi__xen_report(VMI_ORDINAL_RELEASE_PAGE, pfn, flags, VMI_EINVAL);
        return;
    }
    vmi__xen_carry_out_here();
    if (state & VMI__XEN_PINNED) {
        mask = vmi__xen_take(&tables_lock);
        result = vmi__xen_hypercall_mmuext_op(&unpin, 1, 0, DOMID_SELF);
        vmi__xen_memory.state[pfn] &= (uint8_t)~VMI__XEN_PINNED;
        vmi__xen_give(&tables_lock, mask);
        if (result < 0)
            vmi__xen_report(VMI_ORDINAL_RELEASE_PAGE, pfn, flags, result);
    }
    vmi__xen_memory.state[pfn] = 0;
    if (vmi__xen_protect(pfn, 0, VMI_ORDINAL_RELEASE_PAGE) < 0)
        vmi__xen_memory.state[pfn] = (uint8_t)state;
}

VMI__ROUTINE void vmi__xen_set_cr3(uint32_t value)
{
    uint32_t pfn = value >> VMI__PAGE_SHIFT, mask;
    struct vmi__xen_cpu *cpu;
    int32_t result = VMI_EINVAL;

    if (pfn < vmi__xen_memory.linear_pages && vmi__xen_memory.state[pfn] & VMI_PAGE_PDP) {
        vmi__xen_carry_out_here();
        result = vmi__xen_pin(pfn);
        if (result >= 0) {
            mask = vmi__xen_mask();
            cpu = vmi__xen_self();
            vmi__xen_queue_ext(cpu, VMI_ORDINAL_SET_CR3, MMUEXT_NEW_BASEPTR, vmi__xen_mfn(pfn), 0);
            result = vmi__xen_carry_out(cpu);
            if (result >= 0)
                cpu->cr3 = value;
            vmi__xen_unmask(mask);
        }
    }
    /* On in the old address space would be on in a wrong one. */
    if (result < 0)
        vmi__xen_crash(VMI_ORDINAL_SET_CR3, value, 0, result);
}

VMI__ROUTINE uint32_t vmi__xen_get_cr3(void)
{
    uint32_t mask = vmi__xen_mask(), value = vmi__xen_self()->cr3;

    vmi__xen_unmask(mask);
    return value;
}

/* ---- TLB
 * -------------------------------------------------------------------------------------------------
 * --------
 */

static void flush(uint32_t call, uint32_t command, uint32_t address)
{
    uint32_t mask = vmi__xen_mask();
    struct vmi__xen_cpu *cpu = vmi__xen_self();

    vmi__xen_queue_ext(cpu, call, command, address, 0);
    vmi__xen_carry_out(cpu);
    vmi__xen_unmask(mask);
}

VMI__ROUTINE void vmi__xen_inval_page(uint32_t address)
{
    flush(VMI_ORDINAL_INVAL_PAGE, MMUEXT_INVLPG_LOCAL, address);
}

VMI__ROUTINE void vmi__xen_flush_tlb(uint32_t flags)
{
    (void)flags; /* Xen's flush takes global translations along */
    flush(VMI_ORDINAL_FLUSH_TLB, MMUEXT_TLB_FLUSH_LOCAL, 0);
}

VMI__ROUTINE int32_t vmi__xen_flush_remote_tlb(uint32_t mask, uint32_t base, uint32_t address,
                                               uint32_t pages)
{
    /* From this many pages on, everything is cheaper. */
    enum { PAGES_MAX = 16 };
    uint32_t cpus, saved, count;
    struct mmuext_op op[PAGES_MAX];
    int32_t result;

    if (!mask)
        return VMI_OK;
    if (base >= vmi__xen_cpu_count || mask << base >> base != mask)
        return VMI_EINVAL;
    cpus = mask << base;
    if (vmi__xen_cpu_count < 32 && cpus >> vmi__xen_cpu_count)
        return VMI_EINVAL;

    count = pages && pages <= PAGES_MAX ? pages : 1;
    for (uint32_t i = 0; i < count; i++) {
        op[i].cmd = pages && pages <= PAGES_MAX ? MMUEXT_INVLPG_MULTI : MMUEXT_TLB_FLUSH_MULTI;
        op[i].arg1.linear_addr = address + (i << VMI__PAGE_SHIFT);
        set_xen_guest_handle(op[i].arg2.vcpumask, &cpus);
    }
    saved = vmi__xen_mask();
    vmi__xen_carry_out(vmi__xen_self());
    result = vmi__xen_hypercall_mmuext_op(op, count, 0, DOMID_SELF);
    vmi__xen_unmask(saved);
    if (result < 0) {
        vmi__xen_report(VMI_ORDINAL_FLUSH_REMOTE_TLB, address, cpus, result);
        return VMI_EIO;
    }
    return VMI_OK;
}
