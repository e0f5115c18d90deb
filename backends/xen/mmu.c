/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Memory as a paravirtualized guest has it: the kernel speaks guest-physical frames, Xen's tables
 * hold machine frames, and Xen checks every entry that it works with. Xen's rule
 * (xen/xen.h, HYPERVISOR_mmu_update): a page is either a page table (or holds descriptors), or it
 * is mapped writable somewhere, never both.
 *
 * A table that is in no tree of Xen's yet is plain memory to Xen: it stays writable and is filled
 * by stores. It is handed over, read-only from then on, with the tree that it is in: when that is
 * loaded for the first time, or when it is named by an entry of a table that Xen has. Releasing a
 * root takes back in one piece what no other tree has.
 */
#include "domain.h"

#include "device_map.h"
#include "entries.h"
#include "xen_common/grant_frames.h"

#include <xen/memory.h>

#define ENTRY_LARGE 0x80u /* PS in an entry that names a table */

/* Slots of SetLinearMapping, and the image's mapping. */
#define LINEAR_MAPPINGS 4
#define IMAGE_MAPPING   LINEAR_MAPPINGS

struct linear_mapping {
    uintptr_t address, pages, pfn;
};

struct vmi__xen_memory vmi__xen_memory;

static struct linear_mapping linear[LINEAR_MAPPINGS + 1];
static struct vmi__xen_lock tables_lock;

/*
 * Frames of Xen's that have been put into the image, from a page on; 0: none at that place. They
 * have no entry in m2p, and in p2m the frames of the domain's own stay, which lie below them.
 */
#define ADOPTED_MAX (1 + VMI__XEN_COMMON_GRANT_FRAMES)

static struct {
    uintptr_t first, mfn[ADOPTED_MAX];
} adopted;

/* ---- translation
 * -------------------------------------------------------------------------------------------------
 */

uintptr_t vmi__xen_mfn(uintptr_t pfn)
{
    uintptr_t at = pfn - adopted.first;

    if (at < ADOPTED_MAX && adopted.mfn[at])
        return adopted.mfn[at];
    return pfn < vmi__xen_memory.pages ? vmi__xen_memory.p2m[pfn] : VMI__XEN_NO_FRAME;
}

uintptr_t vmi__xen_pfn(uintptr_t mfn)
{
    uintptr_t pfn;

    /* m2p holds whatever owner a frame has: only one that p2m confirms is this domain's. */
    if (mfn <= vmi__xen_memory.m2p_last && vmi__xen_m2p_read(&vmi__xen_memory.m2p[mfn], &pfn) &&
        vmi__xen_mfn(pfn) == mfn)
        return pfn;
    for (uint32_t i = 0; mfn && i < ADOPTED_MAX; i++)
        if (adopted.mfn[i] == mfn)
            return adopted.first + i;
    return VMI__XEN_NO_FRAME;
}

uintptr_t vmi__xen_linear_pfn(uintptr_t address)
{
    for (uint32_t i = 0; i < sizeof(linear) / sizeof(linear[0]); i++) {
        uintptr_t page = (address - linear[i].address) >> VMI__PAGE_SHIFT;

        if (page < linear[i].pages)
            return linear[i].pfn + page;
    }
    return VMI__XEN_NO_FRAME;
}

uint64_t vmi__xen_machine(const void *address)
{
    uint64_t mfn = vmi__xen_mfn(vmi__xen_linear_pfn((uintptr_t)address));

    return mfn << VMI__PAGE_SHIFT | ((uintptr_t)address & (VMI__PAGE_SIZE - 1));
}

/* A frame number of 64 bits as one that there may be. */
static uintptr_t frame_of(uint64_t value)
{
    uint64_t frame = (value & VMI__PTE_FRAME) >> VMI__PAGE_SHIFT;

    return frame > UINTPTR_MAX ? VMI__XEN_NO_FRAME : (uintptr_t)frame;
}

/* What devices have is at one address for the machine and for the domain. */
static bool is_device(uint64_t value)
{
    return vmi__device_mapped(value & VMI__PTE_FRAME);
}

VMI__ROUTINE uint64_t vmi__xen_machine_to_physical(uint64_t machine)
{
    uintptr_t pfn = vmi__xen_pfn(frame_of(machine));

    if (pfn == VMI__XEN_NO_FRAME) {
        if (is_device(machine))
            return vmi__xen_entry_shown(machine);
        return machine & ~(VMI__PTE_FRAME | VMI__PTE_PRESENT);
    }
    machine = vmi__xen_entry_shown(machine);
    return (machine & ~VMI__PTE_FRAME) | (uint64_t)pfn << VMI__PAGE_SHIFT;
}

VMI__ROUTINE uint64_t vmi__xen_physical_to_machine(uint64_t physical)
{
    uintptr_t mfn = vmi__xen_mfn(frame_of(physical));

    if (mfn == VMI__XEN_NO_FRAME)
        return is_device(physical) ? physical : physical & ~(VMI__PTE_FRAME | VMI__PTE_PRESENT);
    return (physical & ~VMI__PTE_FRAME) | (uint64_t)mfn << VMI__PAGE_SHIFT;
}

VMI__ROUTINE void vmi__xen_set_linear_mapping(uint32_t slot, uintptr_t address, uint32_t pages,
                                              uintptr_t pfn)
{
    if (slot >= LINEAR_MAPPINGS) {
        vmi__xen_report(VMI_ORDINAL_SET_LINEAR_MAPPING, slot, pages, VMI_EINVAL);
        return;
    }
    linear[slot] = (struct linear_mapping){address, pages, pfn};
}

void vmi__xen_image_mapping(uintptr_t address, uintptr_t pages, uintptr_t pfn)
{
    linear[IMAGE_MAPPING] = (struct linear_mapping){address, pages, pfn};
}

const char *vmi__xen_adopt(void *page, uintptr_t mfn)
{
    uintptr_t pfn = vmi__physical(page) >> VMI__PAGE_SHIFT;
    uintptr_t first = vmi__physical(&vmi__xen_shared) >> VMI__PAGE_SHIFT;
    uint64_t entry = (uint64_t)mfn << VMI__PAGE_SHIFT;

    entry |= VMI__PTE_PRESENT | VMI__PTE_WRITE | VMI__PTE_ACCESSED | VMI__PTE_DIRTY |
             vmi__xen_memory.no_execute;
    if (pfn - first >= ADOPTED_MAX ||
        vmi__xen_hypercall_update_va_mapping((uintptr_t)page, entry, UVMF_INVLPG) < 0)
        return "Xen does not let its shared page be mapped";
    /* Where one has been put before, it is by another frame now, after the domain was saved. */
    adopted.first = first;
    adopted.mfn[pfn - first] = mfn;
    return 0;
}

/* The frame that a present entry names, if it is one of the linear region; else VMI__XEN_NO_FRAME.
 */
static uintptr_t named_by(uint64_t entry)
{
    uintptr_t pfn;

    if (!(entry & VMI__PTE_PRESENT))
        return VMI__XEN_NO_FRAME;
    pfn = vmi__xen_pfn(frame_of(entry));
    return pfn < vmi__xen_memory.linear_pages ? pfn : VMI__XEN_NO_FRAME;
}

/* ---- lazy mode
 * -------------------------------------------------------------------------------------------------
 * --
 */

/*
 * What comes of page-table updates: Xen stops at the first that it refuses and says how far it
 * came. That one is reported and left out, the others are carried out.
 */
static void finish_updates(const struct vmi__xen_cpu *cpu, const struct multicall_entry *op)
{
    const struct mmu_update *update = (const struct mmu_update *)op->args[0];
    uint32_t first = (uint32_t)(update - cpu->update), end = first + (uint32_t)op->args[1];
    uint32_t done = *(const uint32_t *)op->args[2];
    intptr_t result = (intptr_t)op->result;

    while (result < 0 && (first += done) < end) {
        update = &cpu->update[first];
        /* The frame that ReleasePage wanted to be writable is a table of Xen's still. */
        if (cpu->update_call[first] == VMI_ORDINAL_RELEASE_PAGE)
            vmi__xen_memory.state[named_by(update->val)] &= (uint16_t)~VMI__XEN_UNPINNED;
        vmi__xen_report(cpu->update_call[first],
                        (vmi__xen_pfn(frame_of(update->ptr)) << VMI__PAGE_SHIFT |
                         ((uintptr_t)update->ptr & (VMI__PAGE_SIZE - 1) & ~(uintptr_t)3)) +
                            VMI__LINEAR_BASE,
                        vmi__xen_machine_to_physical(update->val), result);
        if (++first == end)
            return;
        done = 0;
        result = vmi__xen_hypercall_mmu_update(&cpu->update[first], end - first, &done, DOMID_SELF);
    }
}

/* One operation as a hypercall of its own. */
static intptr_t make(const struct multicall_entry *op)
{
    switch (op->op) {
    case __HYPERVISOR_stack_switch:
        return vmi__xen_hypercall_stack_switch((uint32_t)op->args[0], op->args[1]);
    case __HYPERVISOR_fpu_taskswitch:
        return vmi__xen_hypercall_fpu_taskswitch((uint32_t)op->args[0]);
    case __HYPERVISOR_update_descriptor:
        return vmi__xen_hypercall_update_descriptor(VMI__XEN_LONG(op->args, 0),
                                                    VMI__XEN_LONG(op->args, 1));
    case __HYPERVISOR_mmu_update:
        return vmi__xen_hypercall_mmu_update((const void *)op->args[0], (uint32_t)op->args[1],
                                             (void *)op->args[2], (uint32_t)op->args[3]);
    case __HYPERVISOR_mmuext_op:
        return vmi__xen_hypercall_mmuext_op((void *)op->args[0], (uint32_t)op->args[1],
                                            (void *)op->args[2], (uint32_t)op->args[3]);
    default:
        return vmi__xen_make_arch(op);
    }
}

intptr_t vmi__xen_carry_out(struct vmi__xen_cpu *cpu)
{
    struct multicall_entry *list = cpu->lists[cpu->list];
    uint32_t count = cpu->ops;
    intptr_t result = 0;

    if (!count)
        return 0;
    if (count == 1) {
        list[0].result = (uintptr_t)make(&list[0]);
    } else {
        result = vmi__xen_hypercall_multicall(list, count);
        if (result < 0)
            vmi__xen_crash(VMI_ORDINAL_SET_LAZY_MODE, (uintptr_t)list, count, result);
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct multicall_entry *op = &list[i];

        result = (intptr_t)op->result;
        if (op->op == __HYPERVISOR_mmu_update)
            finish_updates(cpu, op);
        else if (result < 0 && cpu->op_call[i] == VMI_ORDINAL_SET_CR3)
            /* On in the old address space would be on in a wrong one. */
            vmi__xen_crash(VMI_ORDINAL_SET_CR3, cpu->cr3, 0, result);
        else if (result < 0)
            vmi__xen_report(cpu->op_call[i], op->args[0], op->args[1], result);
    }
    cpu->updates = 0;
    cpu->ops = 0;
    cpu->exts = 0;
    cpu->list ^= 1;
    vmi__xen_note_kept(0);
    return result;
}

void vmi__xen_carry_out_unless_lazy(struct vmi__xen_cpu *cpu)
{
    if (!(cpu->lazy & VMI_LAZY_CPU))
        vmi__xen_carry_out(cpu);
}

VMI__ROUTINE void vmi__xen_carry_out_here(void)
{
    uint32_t mask = vmi__xen_mask();

    vmi__xen_carry_out(vmi__xen_self());
    vmi__xen_unmask(mask);
}

void vmi__xen_queue(struct vmi__xen_cpu *cpu, uint32_t call, uint32_t number, uintptr_t a,
                    uintptr_t b, uintptr_t c, uintptr_t d)
{
    if (cpu->ops == VMI__XEN_OPS)
        vmi__xen_carry_out(cpu);
    cpu->op_call[cpu->ops] = (uint8_t)call;
    cpu->lists[cpu->list][cpu->ops++] =
        (struct multicall_entry){.op = number, .args = {a, b, c, d}};
    vmi__xen_note_kept(cpu->ops);
}

void vmi__xen_queue_ext(struct vmi__xen_cpu *cpu, uint32_t call, uint32_t command, uintptr_t first,
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
    vmi__xen_queue(cpu, call, __HYPERVISOR_mmuext_op, (uintptr_t)ext, 1, 0, DOMID_SELF);
}

/* Queues a page-table update: into the operation before it, if that is of updates as well. */
static void queue_update(struct vmi__xen_cpu *cpu, uint32_t call, const struct mmu_update *update)
{
    if (cpu->updates == VMI__XEN_BATCH || cpu->ops == VMI__XEN_OPS)
        vmi__xen_carry_out(cpu);
    if (!cpu->ops || cpu->lists[cpu->list][cpu->ops - 1].op != __HYPERVISOR_mmu_update)
        vmi__xen_queue(cpu, call, __HYPERVISOR_mmu_update, (uintptr_t)&cpu->update[cpu->updates], 0,
                       (uintptr_t)&cpu->op_done[cpu->ops], DOMID_SELF);
    cpu->lists[cpu->list][cpu->ops - 1].args[1]++;
    cpu->update_call[cpu->updates] = (uint8_t)call;
    cpu->update[cpu->updates++] = *update;
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

/* The state of a frame, of which another CPU may make another one if tables_lock is not held. */
static uint32_t state_of(uintptr_t pfn)
{
    return __atomic_load_n(&vmi__xen_memory.state[pfn], __ATOMIC_RELAXED);
}

/* What Xen does not let be mapped writable. */
static int is_read_only(uint32_t state)
{
    return state & VMI__XEN_READ_ONLY && !(state & VMI__XEN_UNPINNED);
}

/* The entry as Xen is to have it; returns 0 for one whose frame this domain does not have. */
static int translate(uint64_t *value, uint32_t kind)
{
    uintptr_t pfn = frame_of(*value), mfn;

    /* What is not present is the kernel's to choose, all of it. */
    if (!(*value & VMI__PTE_PRESENT))
        return 1;
    mfn = vmi__xen_mfn(pfn);
    if (mfn == VMI__XEN_NO_FRAME)
        return 0;
    *value = (*value & ~VMI__PTE_FRAME) | (uint64_t)mfn << VMI__PAGE_SHIFT;
    if (kind & VMI_PAGE_PT) {
        *value &= ~VMI__XEN_PT_DROPPED;
        if (pfn < vmi__xen_memory.linear_pages && is_read_only(state_of(pfn)))
            *value &= ~(uint64_t)VMI__PTE_WRITE;
    } else if (kind & VMI__XEN_ROOT) {
        *value &= VMI__XEN_ROOT_KEPT;
    } else {
        if (*value & ENTRY_LARGE)
            return 0;
        *value &= ~VMI__XEN_TABLE_DROPPED;
    }
    return 1;
}

/* The frame that an entry names, if it is a table of the kind that entries of a table of `kind`
 * name. */
static uintptr_t table_below(uint64_t entry, uint32_t kind)
{
    uintptr_t pfn = kind & VMI_PAGE_PT ? VMI__XEN_NO_FRAME : named_by(entry);

    return pfn != VMI__XEN_NO_FRAME && state_of(pfn) & kind >> 1 ? pfn : VMI__XEN_NO_FRAME;
}

static uint32_t entries_of(uint32_t kind)
{
    return kind & VMI__XEN_ROOT ? VMI__XEN_ROOT_ENTRIES : VMI__XEN_TABLE_ENTRIES;
}

/* The entry of a page table for a linear address in the tree of a root, or 0. */
static uint64_t *leaf_entry(uintptr_t root, uintptr_t address)
{
    uint64_t *entry = vmi__linear(root << VMI__PAGE_SHIFT);

    entry += address >> VMI__XEN_ROOT_SHIFT & (VMI__XEN_ROOT_ENTRIES - 1);
    for (uint32_t shift = VMI__XEN_ROOT_SHIFT; shift > VMI__PAGE_SHIFT;) {
        uintptr_t table = named_by(*entry);

        if (table == VMI__XEN_NO_FRAME)
            return 0;
        shift -= VMI__XEN_TABLE_BITS;
        entry = vmi__linear(table << VMI__PAGE_SHIFT);
        entry += address >> shift & (VMI__XEN_TABLE_ENTRIES - 1);
    }
    return entry;
}

/* The same if it maps a frame. */
static uint64_t *mapping(uintptr_t root, uintptr_t address, uintptr_t pfn)
{
    uint64_t *entry = leaf_entry(root, address);

    return entry && named_by(*entry) == pfn ? entry : 0;
}

/* ---- handing tables over ---- */

/* Roots of trees in which the linear mappings are looked at. */
#define TREES 3

/*
 * Makes the linear mappings of a frame read-only, or writable again: by updates, in a tree that Xen
 * does not have by stores. The boot tables stay valid for good (a kernel may load them
 * again), so their mapping has to change as well as that of the tables in use and of those that are
 * about to be.
 */
static void protect(struct vmi__xen_cpu *cpu, uint32_t call, const uintptr_t trees[TREES],
                    uintptr_t pfn, uint32_t writable)
{
    const uint64_t *seen[TREES];

    for (uint32_t slot = 0; slot < sizeof(linear) / sizeof(linear[0]); slot++) {
        uintptr_t page = pfn - linear[slot].pfn;

        if (page >= linear[slot].pages)
            continue;
        for (uint32_t i = 0; i < TREES; i++) {
            uint64_t *entry =
                trees[i] == VMI__XEN_NO_FRAME
                    ? 0
                    : mapping(trees[i], linear[slot].address + (page << VMI__PAGE_SHIFT), pfn);
            struct mmu_update update;

            seen[i] = entry;
            if (!entry || (i > 0 && entry == seen[0]) || (i > 1 && entry == seen[1]))
                continue;
            update.ptr = vmi__xen_machine(entry) | MMU_NORMAL_PT_UPDATE;
            update.val = writable ? *entry | VMI__PTE_WRITE : *entry & ~(uint64_t)VMI__PTE_WRITE;
            /* The first two trees are Xen's. An update that is kept back may say otherwise than
             * what stands there. */
            if (i < 2)
                queue_update(cpu, call, &update);
            else if (vmi__xen_memory.state[vmi__physical(entry) >> VMI__PAGE_SHIFT] &
                     VMI__XEN_UNPINNED)
                *entry = update.val;
            else if (*entry != update.val)
                queue_update(cpu, call, &update);
        }
    }
}

/*
 * One more entry, of a table of `kind`, names a table that Xen has already: it stays Xen's when one
 * of its trees goes. A process's two roots name the same tables, and go together: what both name,
 * and no other, goes with the second.
 */
static void name_again(uintptr_t pfn, uint32_t kind)
{
    uint16_t *state = &vmi__xen_memory.state[pfn];

    *state |= kind & VMI_PAGE_PML4 && !(*state & VMI__XEN_TWICE) ? VMI__XEN_TWICE : VMI__XEN_SHARED;
}

/* Hands over a table that Xen does not have, and all such below it. */
static void hand_over(struct vmi__xen_cpu *cpu, uint32_t call, const uintptr_t trees[TREES],
                      uintptr_t pfn)
{
    uint16_t *state = &vmi__xen_memory.state[pfn];
    uint32_t kind = *state & VMI__XEN_TABLE;
    const uint64_t *entries = vmi__linear(pfn << VMI__PAGE_SHIFT);

    for (uint32_t i = 0; kind != VMI_PAGE_PT && i < entries_of(kind); i++) {
        uintptr_t below =
            vmi__xen_is_xens(kind, i) ? VMI__XEN_NO_FRAME : table_below(entries[i], kind);

        if (below == VMI__XEN_NO_FRAME)
            continue;
        if (vmi__xen_memory.state[below] & VMI__XEN_UNPINNED)
            hand_over(cpu, call, trees, below);
        else
            name_again(below, kind);
    }
    protect(cpu, call, trees, pfn, 0);
    *state &= (uint16_t)~VMI__XEN_UNPINNED;
}

/* Under the lock of tables. Gives Xen a tree of tables, whole or below an entry. */
static void give_tree(struct vmi__xen_cpu *cpu, uint32_t call, uintptr_t pfn)
{
    uintptr_t root = vmi__xen_memory.state[pfn] & VMI__XEN_ROOT ? pfn : VMI__XEN_NO_FRAME;
    const uintptr_t trees[TREES] = {vmi__xen_memory.boot_cr3 >> VMI__PAGE_SHIFT,
                                    cpu->cr3 >> VMI__PAGE_SHIFT, root};

    if (vmi__xen_memory.state[pfn] & VMI__XEN_UNPINNED)
        hand_over(cpu, call, trees, pfn);
}

/*
 * Queues that a table which Xen has, and all below it that no other tree has, become writable.
 * Those that Xen does not let go are told by finish_updates().
 */
static void take_back(struct vmi__xen_cpu *cpu, const uintptr_t trees[TREES], uintptr_t pfn)
{
    uint16_t *state = &vmi__xen_memory.state[pfn];
    uint32_t kind = *state & VMI__XEN_TABLE;
    const uint64_t *entries = vmi__linear(pfn << VMI__PAGE_SHIFT);

    *state = (uint16_t)(kind | VMI__XEN_UNPINNED);
    protect(cpu, VMI_ORDINAL_RELEASE_PAGE, trees, pfn, 1);
    for (uint32_t i = 0; kind != VMI_PAGE_PT && i < entries_of(kind); i++) {
        uintptr_t below =
            vmi__xen_is_xens(kind, i) ? VMI__XEN_NO_FRAME : table_below(entries[i], kind);

        if (below == VMI__XEN_NO_FRAME ||
            vmi__xen_memory.state[below] & (VMI__XEN_SHARED | VMI__XEN_UNPINNED))
            continue;
        if (vmi__xen_memory.state[below] & VMI__XEN_TWICE)
            vmi__xen_memory.state[below] &= (uint16_t)~VMI__XEN_TWICE;
        else
            take_back(cpu, trees, below);
    }
}

int32_t vmi__xen_protect(uintptr_t pfn, uint32_t read_only, uint32_t call)
{
    uint32_t mask = vmi__xen_mask();
    struct vmi__xen_cpu *cpu = vmi__xen_self();
    const uintptr_t trees[TREES] = {vmi__xen_memory.boot_cr3 >> VMI__PAGE_SHIFT,
                                    cpu->cr3 >> VMI__PAGE_SHIFT, VMI__XEN_NO_FRAME};
    intptr_t result;

    protect(cpu, call, trees, pfn, !read_only);
    result = vmi__xen_carry_out(cpu);
    /* What other CPUs may still hold of a writable page, Xen flushes when its type changes. */
    if (!read_only) {
        vmi__xen_queue_ext(cpu, call, MMUEXT_TLB_FLUSH_ALL, 0, 0);
        vmi__xen_carry_out(cpu);
    }
    vmi__xen_unmask(mask);
    return (int32_t)result;
}

/* ---- frames that go and come ---- */

/* In the list of frames: this one is away, and what is on its way. Neither is a frame of Xen's. */
#define AWAY   (~(xen_pfn_t)0)
#define COMING (AWAY - 1)

/*
 * Queues that the linear mappings of a frame go, or with a machine frame are there again. While it
 * is away an entry keeps its flags; one that has none is the kernel's doing, and stays as it is.
 */
static void change_linear(struct vmi__xen_cpu *cpu, uint32_t call, uintptr_t pfn, uintptr_t mfn)
{
    const uintptr_t trees[] = {vmi__xen_memory.boot_cr3 >> VMI__PAGE_SHIFT,
                               cpu->cr3 >> VMI__PAGE_SHIFT};

    for (uint32_t slot = 0; slot < sizeof(linear) / sizeof(linear[0]); slot++) {
        uintptr_t page = pfn - linear[slot].pfn;
        const uint64_t *seen = 0;

        for (uint32_t i = 0; page < linear[slot].pages && i < sizeof(trees) / sizeof(trees[0]);
             i++) {
            uint64_t *entry =
                leaf_entry(trees[i], linear[slot].address + (page << VMI__PAGE_SHIFT));
            struct mmu_update update;

            if (!entry || entry == seen)
                continue;
            seen = entry;
            if (mfn == VMI__XEN_NO_FRAME ? named_by(*entry) != pfn
                                         : !*entry || *entry & VMI__PTE_PRESENT)
                continue;
            update.ptr = vmi__xen_machine(entry) | MMU_NORMAL_PT_UPDATE;
            update.val = *entry & ~(VMI__PTE_FRAME | VMI__PTE_PRESENT);
            if (mfn != VMI__XEN_NO_FRAME)
                update.val |= (uint64_t)mfn << VMI__PAGE_SHIFT | VMI__PTE_PRESENT;
            queue_update(cpu, call, &update);
        }
    }
}

static intptr_t change_reservation(uint32_t command, xen_pfn_t *list, uint32_t count)
{
    struct xen_memory_reservation reservation = {.nr_extents = count, .domid = DOMID_SELF};
    intptr_t done;

    set_xen_guest_handle(reservation.extent_start, list);
    done = count ? vmi__xen_hypercall_memory_op(command, &reservation) : 0;
    return done < 0 ? 0 : done;
}

/* Why a frame cannot be given away, or 0. */
static int32_t stays(uintptr_t pfn)
{
    if (pfn >= vmi__xen_memory.pages || vmi__xen_memory.p2m[pfn] >= COMING)
        return VMI_EINVAL;
    return pfn < vmi__xen_memory.linear_pages && state_of(pfn) ? VMI_EBUSY : VMI_OK;
}

int32_t vmi__xen_give_frames(const uint32_t *frames, xen_pfn_t *list, uint32_t count)
{
    const uint32_t call = VMI_ORDINAL_BALLOON_INFLATE;
    xen_pfn_t *p2m = vmi__xen_memory.p2m;
    uint32_t mask = vmi__xen_take(&tables_lock), ready = 0, done;
    struct vmi__xen_cpu *cpu = vmi__xen_self();
    int32_t result = VMI_OK;

    vmi__xen_carry_out(cpu);
    for (; ready < count; ready++) {
        uintptr_t pfn = frames[ready];

        result = stays(pfn);
        if (result != VMI_OK)
            break;
        list[ready] = p2m[pfn];
        change_linear(cpu, call, pfn, VMI__XEN_NO_FRAME);
        p2m[pfn] = AWAY;
    }
    /* No CPU reaches them by what it remembers. */
    if (ready)
        vmi__xen_queue_ext(cpu, call, MMUEXT_TLB_FLUSH_ALL, 0, 0);
    vmi__xen_carry_out(cpu);
    done = (uint32_t)change_reservation(XENMEM_decrease_reservation, list, ready);
    for (uint32_t i = done; i < ready; i++) {
        p2m[frames[i]] = list[i];
        change_linear(cpu, call, frames[i], (uintptr_t)list[i]);
    }
    vmi__xen_carry_out(cpu);
    vmi__xen_give(&tables_lock, mask);
    if (done)
        return (int32_t)done;
    return ready ? VMI_EIO : result;
}

int32_t vmi__xen_take_frames(const uint32_t *frames, xen_pfn_t *list, uint32_t count)
{
    xen_pfn_t *p2m = vmi__xen_memory.p2m;
    uint32_t mask = vmi__xen_take(&tables_lock), ready = 0, done;
    struct vmi__xen_cpu *cpu = vmi__xen_self();

    vmi__xen_carry_out(cpu);
    for (; ready < count; ready++) {
        uintptr_t pfn = frames[ready];

        if (pfn >= vmi__xen_memory.pages || p2m[pfn] != AWAY)
            break;
        list[ready] = pfn;
        p2m[pfn] = COMING;
    }
    /* Frames of the list become those of the machine, and Xen's list leads back from them. */
    done = (uint32_t)change_reservation(XENMEM_populate_physmap, list, ready);
    for (uint32_t i = 0; i < ready; i++) {
        p2m[frames[i]] = i < done ? list[i] : AWAY;
        if (i < done)
            change_linear(cpu, VMI_ORDINAL_BALLOON_DEFLATE, frames[i], (uintptr_t)list[i]);
    }
    vmi__xen_carry_out(cpu);
    vmi__xen_give(&tables_lock, mask);
    if (done)
        return (int32_t)done;
    return ready ? VMI_ENOMEM : VMI_EINVAL;
}

/* ---- around a suspend ---- */

static uint64_t with_frame(uint64_t entry, uintptr_t frame)
{
    return (entry & ~VMI__PTE_FRAME) | (uint64_t)frame << VMI__PAGE_SHIFT;
}

/* Which page a frame of Xen's has been put over, or is below one; ADOPTED_MAX for none. */
static uint32_t adopted_as(uintptr_t frame, bool xens)
{
    uint32_t at = 0;

    while (at < ADOPTED_MAX &&
           (!adopted.mfn[at] ||
            (xens ? adopted.mfn[at] : vmi__xen_memory.p2m[adopted.first + at]) != frame))
        at++;
    return at;
}

/*
 * Has entries that map frames of Xen's, in all tables that Xen has, map the domain's own below them
 * instead; or the reverse.
 */
static void exchange_adopted(struct vmi__xen_cpu *cpu, bool own)
{
    for (uintptr_t pfn = 0; pfn < vmi__xen_memory.linear_pages; pfn++) {
        const uint64_t *entries = vmi__linear(pfn << VMI__PAGE_SHIFT);

        if ((vmi__xen_memory.state[pfn] & (VMI_PAGE_PT | VMI__XEN_UNPINNED)) != VMI_PAGE_PT)
            continue;
        for (uint32_t i = 0; i < VMI__XEN_TABLE_ENTRIES; i++) {
            uint32_t at =
                entries[i] & VMI__PTE_PRESENT ? adopted_as(frame_of(entries[i]), own) : ADOPTED_MAX;
            struct mmu_update update;

            if (at == ADOPTED_MAX)
                continue;
            update.ptr = vmi__xen_machine(&entries[i]) | MMU_NORMAL_PT_UPDATE;
            update.val = with_frame(entries[i], own ? vmi__xen_memory.p2m[adopted.first + at]
                                                    : adopted.mfn[at]);
            queue_update(cpu, VMI_ORDINAL_SUSPEND, &update);
        }
    }
    vmi__xen_queue_ext(cpu, VMI_ORDINAL_SUSPEND, MMUEXT_TLB_FLUSH_ALL, 0, 0);
    vmi__xen_carry_out(cpu);
}

/* Numbers the frames anew in entries of tables that Xen does not have: by the domain, or by the
 * machine again. An entry with none of the domain's is not present any more. */
static void renumber(bool machine)
{
    for (uintptr_t pfn = 0; pfn < vmi__xen_memory.linear_pages; pfn++) {
        uint32_t kind = vmi__xen_memory.state[pfn] & VMI__XEN_TABLE;
        uint64_t *entries = vmi__linear(pfn << VMI__PAGE_SHIFT);

        if (!(vmi__xen_memory.state[pfn] & VMI__XEN_UNPINNED))
            continue;
        for (uint32_t i = 0; i < entries_of(kind); i++) {
            uintptr_t frame;

            if (!(entries[i] & VMI__PTE_PRESENT) || vmi__xen_is_xens(kind, i))
                continue;
            frame = frame_of(entries[i]);
            frame = machine ? vmi__xen_mfn(frame) : vmi__xen_pfn(frame);
            entries[i] = frame == VMI__XEN_NO_FRAME ? entries[i] & ~(uint64_t)VMI__PTE_PRESENT
                                                    : with_frame(entries[i], frame);
        }
    }
}

void vmi__xen_tables_leave(void)
{
    renumber(false);
    exchange_adopted(vmi__xen_self(), true);
}

void vmi__xen_tables_return(void)
{
    exchange_adopted(vmi__xen_self(), false);
    renumber(true);
}

void vmi__xen_adopt_nothing(void)
{
    memset(adopted.mfn, 0, sizeof(adopted.mfn));
}

/* ---- calls ---- */

enum stored { STORED, REFUSED, HANDED_OVER };

/*
 * Writes an entry of a table that Xen does not have, unless it has it by now. Under the lock: no
 * store may be under way when a table is handed over, nor when one that the entry maps is.
 */
static enum stored store(uint64_t *entry, uint64_t value)
{
    uint32_t mask = vmi__xen_take(&tables_lock);
    uint32_t state = vmi__xen_memory.state[vmi__xen_linear_pfn((uintptr_t)entry)];
    enum stored result = HANDED_OVER;

    if (state & VMI__XEN_UNPINNED) {
        result = translate(&value, state & VMI__XEN_TABLE) ? STORED : REFUSED;
        if (result == STORED)
            *entry = value;
    }
    vmi__xen_give(&tables_lock, mask);
    return result;
}

/* Has an entry of a table that Xen has name another table, which is handed over if need be. */
static void name_table(const struct mmu_update *update, uintptr_t below, uint32_t kind)
{
    uint32_t mask = vmi__xen_take(&tables_lock);
    struct vmi__xen_cpu *cpu = vmi__xen_self();

    if (vmi__xen_memory.state[below] & VMI__XEN_UNPINNED)
        give_tree(cpu, VMI_ORDINAL_SET_PXE_LONG, below);
    else
        name_again(below, kind);
    queue_update(cpu, VMI_ORDINAL_SET_PXE_LONG, update);
    if (!(cpu->lazy & VMI_LAZY_MMU))
        vmi__xen_carry_out(cpu);
    vmi__xen_give(&tables_lock, mask);
}

void vmi__xen_write_entry(uint64_t value, uint64_t *entry)
{
    const uint64_t given = value;
    uintptr_t pfn = vmi__xen_linear_pfn((uintptr_t)entry), below;
    uint32_t state, kind, mask;
    enum stored stored = HANDED_OVER;
    struct mmu_update update;
    struct vmi__xen_cpu *cpu;
    intptr_t result;

    /* The kind is known since AllocatePage, and nothing is gained by knowing the linear page. */
    state = pfn < vmi__xen_memory.linear_pages ? state_of(pfn) : 0;
    kind = state & VMI__XEN_TABLE;
    if (state & VMI__XEN_UNPINNED)
        stored = store(entry, value);
    if (stored == STORED)
        return;
    if (!kind || stored == REFUSED || !translate(&value, kind)) {
        vmi__xen_report(VMI_ORDINAL_SET_PXE_LONG, (uintptr_t)entry, given, VMI_EINVAL);
        return;
    }
    update.ptr = vmi__xen_machine(entry) | MMU_NORMAL_PT_UPDATE;
    update.val = value;
    below = table_below(value, kind);
    if (below != VMI__XEN_NO_FRAME) {
        name_table(&update, below, kind);
        return;
    }

    /* A thread in a lazy mode stays on its CPU: if this reads another CPU's mode, it is not in one.
     */
    if (vmi__xen_self()->lazy & VMI_LAZY_MMU) {
        mask = vmi__xen_mask();
        cpu = vmi__xen_self();
        if (cpu->lazy & VMI_LAZY_MMU) {
            queue_update(cpu, VMI_ORDINAL_SET_PXE_LONG, &update);
            vmi__xen_unmask(mask);
            return;
        }
        vmi__xen_unmask(mask);
    }
    result = vmi__xen_hypercall_mmu_update(&update, 1, 0, DOMID_SELF);
    if (result < 0)
        vmi__xen_report(VMI_ORDINAL_SET_PXE_LONG, (uintptr_t)entry, given, result);
}

VMI__ROUTINE void vmi__xen_allocate_page(uintptr_t pfn, uint32_t flags, uintptr_t origin,
                                         uint32_t first, uint32_t count)
{
    uint32_t kind = flags & VMI__XEN_TABLE;

    (void)origin; /* a clone holds machine frames already */
    (void)first;
    (void)count;
    if (pfn >= vmi__xen_memory.linear_pages || !kind || kind & (kind - 1) || kind > VMI__XEN_ROOT ||
        vmi__xen_memory.state[pfn]) {
        vmi__xen_report(VMI_ORDINAL_ALLOCATE_PAGE, pfn, flags, VMI_EINVAL);
        return;
    }
    vmi__xen_filled(vmi__linear(pfn << VMI__PAGE_SHIFT), flags);
    vmi__xen_memory.state[pfn] = (uint16_t)(kind | VMI__XEN_UNPINNED);
}

/* Under the lock of tables. Queues what pins a root, if it is not pinned. */
static void queue_pin(struct vmi__xen_cpu *cpu, uint32_t call, uintptr_t pfn)
{
    if (vmi__xen_memory.state[pfn] & VMI__XEN_PINNED)
        return;
    give_tree(cpu, call, pfn);
    vmi__xen_queue_ext(cpu, call, VMI__XEN_PIN_ROOT, vmi__xen_mfn(pfn), 0);
    vmi__xen_memory.state[pfn] |= VMI__XEN_PINNED;
}

intptr_t vmi__xen_pin(uintptr_t pfn)
{
    uint32_t mask = vmi__xen_take(&tables_lock);
    struct vmi__xen_cpu *cpu = vmi__xen_self();
    intptr_t result;

    vmi__xen_carry_out(cpu);
    queue_pin(cpu, VMI_ORDINAL_SET_INITIAL_AP_STATE, pfn);
    result = vmi__xen_carry_out(cpu);
    if (result < 0)
        vmi__xen_memory.state[pfn] &= (uint16_t)~VMI__XEN_PINNED;
    vmi__xen_give(&tables_lock, mask);
    return result;
}

VMI__ROUTINE void vmi__xen_release_page(uintptr_t pfn, uint32_t flags)
{
    uint32_t mask = vmi__xen_take(&tables_lock);
    uint32_t state = pfn < vmi__xen_memory.linear_pages ? vmi__xen_memory.state[pfn] : 0;
    struct vmi__xen_cpu *cpu = vmi__xen_self();
    const uintptr_t trees[TREES] = {vmi__xen_memory.boot_cr3 >> VMI__PAGE_SHIFT,
                                    cpu->cr3 >> VMI__PAGE_SHIFT, VMI__XEN_NO_FRAME};

    if (!(state & VMI__XEN_TABLE)) {
        vmi__xen_give(&tables_lock, mask);
        vmi__xen_report(VMI_ORDINAL_RELEASE_PAGE, pfn, flags, VMI_EINVAL);
        return;
    }
    if (!(state & VMI__XEN_UNPINNED)) {
        if (state & VMI__XEN_PINNED)
            vmi__xen_queue_ext(cpu, VMI_ORDINAL_RELEASE_PAGE, MMUEXT_UNPIN_TABLE, vmi__xen_mfn(pfn),
                               0);
        take_back(cpu, trees, pfn);
        vmi__xen_queue_ext(cpu, VMI_ORDINAL_RELEASE_PAGE, MMUEXT_TLB_FLUSH_ALL, 0, 0);
        vmi__xen_carry_out(cpu);
    }
    /* One that Xen has not let go stays what it is: that was reported. */
    if (vmi__xen_memory.state[pfn] & VMI__XEN_UNPINNED)
        vmi__xen_memory.state[pfn] = 0;
    vmi__xen_give(&tables_lock, mask);
}

static int is_root(uintptr_t value)
{
    uintptr_t pfn = value >> VMI__PAGE_SHIFT;

    return pfn < vmi__xen_memory.linear_pages && state_of(pfn) & VMI__XEN_ROOT;
}

void vmi__xen_load_roots(uintptr_t root, uintptr_t user)
{
    uint32_t mask;
    struct vmi__xen_cpu *cpu;

    if (!is_root(root) || (user && !is_root(user)))
        vmi__xen_crash(VMI_ORDINAL_SET_CR3, root, user, VMI_EINVAL);
    mask = vmi__xen_take(&tables_lock);
    cpu = vmi__xen_self();
    queue_pin(cpu, VMI_ORDINAL_SET_CR3, root >> VMI__PAGE_SHIFT);
    if (user)
        queue_pin(cpu, VMI_ORDINAL_SET_CR3, user >> VMI__PAGE_SHIFT);
    vmi__xen_queue_ext(cpu, VMI_ORDINAL_SET_CR3, MMUEXT_NEW_BASEPTR,
                       vmi__xen_mfn(root >> VMI__PAGE_SHIFT), 0);
    if (user != cpu->cr3_user)
        vmi__xen_queue_ext(cpu, VMI_ORDINAL_SET_CR3, MMUEXT_NEW_USER_BASEPTR,
                           user ? vmi__xen_mfn(user >> VMI__PAGE_SHIFT) : 0, 0);
    cpu->cr3 = root;
    cpu->cr3_user = user;
    vmi__xen_carry_out_unless_lazy(cpu);
    vmi__xen_give(&tables_lock, mask);
}

VMI__ROUTINE uintptr_t vmi__xen_get_cr3(void)
{
    uint32_t mask = vmi__xen_mask();
    uintptr_t value = vmi__xen_self()->cr3;

    vmi__xen_unmask(mask);
    return value;
}

/* ---- TLB
 * -------------------------------------------------------------------------------------------------
 * --------
 */

static void flush(uint32_t call, uint32_t command, uintptr_t address)
{
    uint32_t mask = vmi__xen_mask();
    struct vmi__xen_cpu *cpu = vmi__xen_self();

    vmi__xen_queue_ext(cpu, call, command, address, 0);
    vmi__xen_carry_out(cpu);
    vmi__xen_unmask(mask);
}

VMI__ROUTINE void vmi__xen_inval_page(uintptr_t address)
{
    flush(VMI_ORDINAL_INVAL_PAGE, MMUEXT_INVLPG_LOCAL, address);
}

VMI__ROUTINE void vmi__xen_flush_tlb(uint32_t flags)
{
    (void)flags; /* Xen's flush takes global translations along */
    flush(VMI_ORDINAL_FLUSH_TLB, MMUEXT_TLB_FLUSH_LOCAL, 0);
}

VMI__ROUTINE int32_t vmi__xen_flush_remote_tlb(const uint32_t *set, uint32_t bits,
                                               uintptr_t address, uint32_t pages)
{
    /* From this many pages on, everything is cheaper. */
    enum { PAGES_MAX = 16, WORD_BITS = 8 * sizeof(uintptr_t) };
    /* Xen reads as many words as the domain has VCPUs for. */
    uintptr_t cpus[VMI__XEN_CPUS_MAX / WORD_BITS] = {0};
    uint32_t saved, count, named = 0, cpu = 0;
    struct mmuext_op op[PAGES_MAX];
    intptr_t result;

    if (!vmi__cpu_set_exists(set, bits))
        return VMI_EINVAL;
    saved = vmi__xen_mask();
    for (; (cpu = vmi__cpu_set_next(set, bits, vmi__xen_this(), cpu)) < vmi__xen_cpu_count; cpu++) {
        cpus[cpu / WORD_BITS] |= (uintptr_t)1 << cpu % WORD_BITS;
        named++;
    }
    if (!named) {
        vmi__xen_unmask(saved);
        return VMI_OK;
    }

    count = pages && pages <= PAGES_MAX ? pages : 1;
    for (uint32_t i = 0; i < count; i++) {
        op[i].cmd = pages && pages <= PAGES_MAX ? MMUEXT_INVLPG_MULTI : MMUEXT_TLB_FLUSH_MULTI;
        op[i].arg1.linear_addr = address + ((uintptr_t)i << VMI__PAGE_SHIFT);
        set_xen_guest_handle(op[i].arg2.vcpumask, cpus);
    }
    vmi__xen_carry_out(vmi__xen_self());
    result = vmi__xen_hypercall_mmuext_op(op, count, 0, DOMID_SELF);
    vmi__xen_unmask(saved);
    if (result < 0) {
        vmi__xen_report(VMI_ORDINAL_FLUSH_REMOTE_TLB, address, named, result);
        return VMI_EIO;
    }
    return VMI_OK;
}
