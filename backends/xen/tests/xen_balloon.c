/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Frames that the domain gives to Xen and takes again, as a Linux process of either architecture:
 * this file plays Xen, which may do only a part of what it is asked for. The process's own memory
 * is the domain's, mapped by tables that lie in it.
 */
#include "xen/domain.h"

#include "backends/plain_memory.h"
#include "backends/played.h"

/* What a process may not do: no segment leads to a CPU's record. */
static struct vmi__xen_cpu cpu_here;
#define vmi__xen_this()            0
#define vmi__xen_self()            (&cpu_here)
#define vmi__xen_note_kept(count_) ((void)(count_))

#include "xen/mmu.c"

#define VMI__XEN_TESTS_MEMORY_OP
#include "xen/tests/xen_alone.h"
#include "xen/tests/xen_tables.h"

#define FRAMES 32u
#define TABLES 16u /* from that frame on: page tables, the root first */
#define TOP    (FRAMES - 1)
#define LAST   0x400u /* of the machine */
#define FIRST  0x200u /* the domain's own */
#define NEW    0x300u /* what Xen gives then */
#define FLAGS  (VMI__PTE_PRESENT | VMI__PTE_WRITE | VMI__PTE_ACCESSED | VMI__PTE_DIRTY)

uint64_t memory[FRAMES][VMI__XEN_TABLE_ENTRIES] __attribute__((aligned(4096)));
/* Where Xen's frames are put is behind all that is given here. */
__asm__(".globl vmi__xen_shared\n"
        ".set vmi__xen_shared, memory + 31 * 4096");
static xen_pfn_t p2m[FRAMES], m2p[LAST];
static uint16_t states[FRAMES];
struct vmi_boot_info vmi__boot;
struct vmi__xen_cpu *vmi__xen_cpus[VMI__XEN_CPUS_MAX] = {&cpu_here};
uint32_t vmi__xen_cpu_count = 1;

static struct {
    uint32_t part;                  /* so many frames are done, of what it is asked for */
    uint32_t given, taken, flushes; /* how many of each so far */
    bool refuses, locked;
} xen;

/* The entry that maps a frame of the domain's. */
static uint64_t *entry_of(uint32_t pfn)
{
    return leaf_entry(TABLES, (uintptr_t)memory[pfn]);
}

HYPERCALL intptr_t vmi__xen_hypercall_mmu_update(const void *updated, uint32_t count, void *done,
                                                 uint32_t domain)
{
    const struct mmu_update *update = updated;

    EXPECT(domain == DOMID_SELF || !domain);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t frame = (update[i].val & VMI__PTE_FRAME) >> VMI__PAGE_SHIFT;
        uint64_t *entry = &memory[m2p[(update[i].ptr >> VMI__PAGE_SHIFT) % LAST] % FRAMES]
                                 [update[i].ptr % VMI__PAGE_SIZE / 8];

        /* Xen maps nothing that is none of the domain's. */
        EXPECT(!(update[i].val & VMI__PTE_PRESENT) || (frame < LAST && m2p[frame] < FRAMES));
        *entry = update[i].val;
    }
    *(uint32_t *)done = count;
    return 0;
}

HYPERCALL intptr_t vmi__xen_hypercall_mmuext_op(const void *operations, uint32_t count, void *done,
                                                uint32_t domain)
{
    const struct mmuext_op *op = operations;

    (void)done, (void)domain;
    EXPECT(count == 1 && op->cmd == MMUEXT_TLB_FLUSH_ALL);
    xen.flushes++;
    return 0;
}

HYPERCALL intptr_t vmi__xen_hypercall_memory_op(uint32_t command, void *argument)
{
    const struct xen_memory_reservation *reservation = argument;
    xen_pfn_t *list = reservation->extent_start.p;
    uint32_t done = 0;

    EXPECT(reservation->domid == DOMID_SELF && !reservation->extent_order && xen.locked);
    if (xen.refuses)
        return -12;
    for (; done < reservation->nr_extents && done < xen.part; done++) {
        if (command == XENMEM_decrease_reservation) {
            uint64_t pfn = m2p[list[done] % LAST];

            /* Nobody reaches it, nor remembers how. */
            EXPECT(pfn < FRAMES && !(*entry_of((uint32_t)pfn) & VMI__PTE_PRESENT));
            EXPECT(xen.flushes > xen.given / FRAMES);
            m2p[list[done]] = LAST;
            xen.given++;
        } else {
            EXPECT(command == XENMEM_populate_physmap && list[done] < FRAMES);
            m2p[NEW + xen.taken] = list[done];
            list[done] = NEW + xen.taken++;
        }
    }
    return (intptr_t)done;
}

/* ---- the library's other parts ---- */

VMI__ROUTINE uint32_t vmi__xen_mask(void)
{
    return 1;
}

VMI__ROUTINE void vmi__xen_enable_interrupts(void)
{
}

uint32_t vmi__xen_take(struct vmi__xen_lock *taken)
{
    EXPECT(taken == &tables_lock && !xen.locked);
    xen.locked = true;
    return 1;
}

void vmi__xen_give(struct vmi__xen_lock *taken, uint32_t mask)
{
    EXPECT(taken == &tables_lock && xen.locked && mask == 1 && !cpu_here.ops);
    xen.locked = false;
}

void vmi__xen_report(uint32_t name, uintptr_t entry, uint64_t value, intptr_t error)
{
    (void)name, (void)entry, (void)value, (void)error;
    EXPECT(false);
}

__attribute__((noreturn)) void vmi__xen_crash(uint32_t name, uintptr_t entry, uint64_t value,
                                              intptr_t error)
{
    (void)name, (void)entry, (void)value, (void)error;
    put("the library gives up\n");
    call(SYS_EXIT, 1, 0, 0);
    __builtin_unreachable();
}

/* ---- checks ---- */

static xen_pfn_t list[FRAMES];

/* Maps all memory where the process has it, by tables from the frame TABLES on. */
static void begin(void)
{
    uint32_t used = TABLES + 1;

    memset(&xen, 0, sizeof(xen));
    memset(&cpu_here, 0, sizeof(cpu_here));
    memset(memory, 0, sizeof(memory));
    memset(states, 0, sizeof(states));
    xen.part = FRAMES;
    for (uint32_t mfn = 0; mfn < LAST; mfn++)
        m2p[mfn] = LAST;
    for (uint32_t pfn = 0; pfn < FRAMES; pfn++) {
        p2m[pfn] = FIRST + pfn;
        m2p[FIRST + pfn] = pfn;
    }
    vmi__boot.linear_base = (uintptr_t)memory;
    vmi__xen_memory = (struct vmi__xen_memory){
        .p2m = p2m,
        .pages = FRAMES,
        .m2p = m2p,
        .m2p_last = LAST - 1,
        .state = states,
        .linear_pages = FRAMES,
        .boot_cr3 = (uintptr_t)TABLES << VMI__PAGE_SHIFT,
    };
    cpu_here.cr3 = vmi__xen_memory.boot_cr3;
    vmi__xen_set_linear_mapping(0, (uintptr_t)memory, FRAMES, 0);
    for (uint32_t pfn = 0; pfn < FRAMES; pfn++) {
        uintptr_t address = (uintptr_t)memory[pfn];
        uint64_t *entry =
            &memory[TABLES][address >> VMI__XEN_ROOT_SHIFT & (VMI__XEN_ROOT_ENTRIES - 1)];

        for (uint32_t shift = VMI__XEN_ROOT_SHIFT; shift > VMI__PAGE_SHIFT;) {
            if (!*entry)
                *entry = (uint64_t)p2m[used++] << VMI__PAGE_SHIFT | FLAGS;
            shift -= VMI__XEN_TABLE_BITS;
            entry = &memory[m2p[*entry >> VMI__PAGE_SHIFT]]
                           [address >> shift & (VMI__XEN_TABLE_ENTRIES - 1)];
        }
        *entry = (uint64_t)p2m[pfn] << VMI__PAGE_SHIFT | FLAGS;
    }
    EXPECT(used < TOP);
    for (uint32_t pfn = TABLES; pfn < used; pfn++)
        states[pfn] = VMI_PAGE_PT;
}

static bool is_away(uint32_t pfn)
{
    return p2m[pfn] == ~(xen_pfn_t)0 && *entry_of(pfn) == (FLAGS & ~VMI__PTE_PRESENT) &&
           vmi__xen_mfn(pfn) == VMI__XEN_NO_FRAME;
}

static bool is_there(uint32_t pfn, uintptr_t mfn)
{
    return p2m[pfn] == mfn && *entry_of(pfn) == ((uint64_t)mfn << VMI__PAGE_SHIFT | FLAGS) &&
           vmi__xen_pfn(mfn) == pfn;
}

static const uint32_t three[] = {9, 3, 5};

static void frames_go_and_come(void)
{
    begin();
    EXPECT(vmi__xen_give_frames(three, list, 3) == 3 && xen.given == 3 && xen.flushes == 1);
    EXPECT(is_away(9) && is_away(3) && is_away(5) && is_there(4, FIRST + 4));
    EXPECT(list[0] == FIRST + 9 && list[1] == FIRST + 3 && list[2] == FIRST + 5);
    EXPECT(vmi__xen_take_frames(three, list, 2) == 2);
    EXPECT(is_there(9, NEW) && is_there(3, NEW + 1) && is_away(5));
    EXPECT(vmi__xen_take_frames(three + 2, list, 1) == 1 && is_there(5, NEW + 2));
    EXPECT(vmi__xen_give_frames(three, list, 3) == 3 && list[0] == NEW);
}

/* An address of a frame that is away is none that a page table may have. */
static void nothing_names_what_is_away(void)
{
    uint64_t entry = (uint64_t)9 << VMI__PAGE_SHIFT | FLAGS;

    begin();
    EXPECT(vmi__xen_give_frames(three, list, 1) == 1);
    EXPECT(!translate(&entry, VMI_PAGE_PT));
    EXPECT(!(vmi__xen_physical_to_machine(entry) & VMI__PTE_PRESENT));
}

static void frames_that_stay(void)
{
    static const uint32_t twice[] = {4, 4, 5}, outside[] = {FRAMES, 4}, last[] = {4, ~0u};
    static const uint32_t table[] = {TABLES, 4}, behind[] = {4, TABLES + 1};

    begin();
    EXPECT(vmi__xen_give_frames(outside, list, 2) == VMI_EINVAL);
    EXPECT(vmi__xen_give_frames(table, list, 2) == VMI_EBUSY);
    EXPECT(vmi__xen_take_frames(three, list, 1) == VMI_EINVAL);
    EXPECT(!xen.given && !xen.taken && is_there(4, FIRST + 4));
    EXPECT(vmi__xen_give_frames(twice, list, 3) == 1 && is_away(4) && is_there(5, FIRST + 5));
    EXPECT(vmi__xen_give_frames(twice, list, 1) == VMI_EINVAL && xen.given == 1);
    EXPECT(vmi__xen_take_frames(twice, list, 3) == 1 && is_there(4, NEW) && xen.taken == 1);
    EXPECT(vmi__xen_give_frames(last, list, 2) == 1 && is_away(4));
    EXPECT(vmi__xen_take_frames(last, list, 2) == 1 && is_there(4, NEW + 1));
    EXPECT(vmi__xen_give_frames(behind, list, 2) == 1 && is_away(4));
    states[5] = VMI__XEN_DESCRIPTORS;
    EXPECT(vmi__xen_give_frames(three + 2, list, 1) == VMI_EBUSY && is_there(5, FIRST + 5));
}

/* What Xen has not done is as it was. */
static void xen_does_a_part(void)
{
    begin();
    xen.part = 1;
    EXPECT(vmi__xen_give_frames(three, list, 3) == 1 && is_away(9));
    EXPECT(is_there(3, FIRST + 3) && is_there(5, FIRST + 5));
    xen.part = 0;
    EXPECT(vmi__xen_give_frames(three + 1, list, 2) == VMI_EIO && is_there(3, FIRST + 3));
    xen.part = FRAMES;
    EXPECT(vmi__xen_give_frames(three + 1, list, 2) == 2);
    xen.part = 1;
    EXPECT(vmi__xen_take_frames(three, list, 3) == 1 && is_there(9, NEW));
    EXPECT(is_away(3) && is_away(5));
    xen.refuses = true;
    EXPECT(vmi__xen_take_frames(three + 1, list, 2) == VMI_ENOMEM && is_away(3) && is_away(5));
    EXPECT(vmi__xen_give_frames(three, list, 1) == VMI_EIO && is_there(9, NEW));
}

/* An entry that the kernel has taken away meanwhile stays away. */
static void what_the_kernel_unmaps_stays_so(void)
{
    begin();
    *entry_of(3) = 0;
    EXPECT(vmi__xen_give_frames(three, list, 3) == 3);
    *entry_of(9) = 0;
    EXPECT(vmi__xen_take_frames(three, list, 3) == 3);
    EXPECT(p2m[9] == NEW && !*entry_of(9) && p2m[3] == NEW + 1 && !*entry_of(3));
    EXPECT(is_there(5, NEW + 2));
}

static const struct played_check all[] = {
    CHECK(frames_go_and_come), CHECK(nothing_names_what_is_away),      CHECK(frames_that_stay),
    CHECK(xen_does_a_part),    CHECK(what_the_kernel_unmaps_stays_so),
};

PLAY(all)
