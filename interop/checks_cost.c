/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the ROM costs a kernel that makes its operations as those of the time did (operations.h):
 * what fork and exit, exec, mmap with munmap, and a page fault do to page tables, with the copying,
 * counting and clearing of pages that belongs to it and nothing else of such a kernel. Where the
 * machine's time-stamp counter counts instructions, so do these.
 */
#include "checks.h"
#include "operations.h"

#define PAGE_SIZE   4096u
#define PRESENT     1u
#define WRITABLE    2u
#define MAPPED      (PRESENT | WRITABLE | 0x60u) /* accessed and dirty, so that no walk changes it */
#define FLAGS_MASK  (PAGE_SIZE - 1)
#define ENTRIES     (1u << TABLE_SHIFT)
#define FRAMES      160
#define PARENT      64 /* pages of the address space that is copied */
#define FRESH       16 /* pages that an exec, an mmap or a row of faults brings in */
#define AREAS       24 /* mappings that are searched */
#define REPETITIONS 16 /* of one operation */

#define FAULT_PLACE 0x00600000u

struct frame {
    struct frame *next;
    uint32_t count, mapped;
    pxe *memory;
};

struct area {
    struct area *next;
    uint32_t start, end;
};

static struct frame frames[FRAMES], *free_frames;
static struct area areas[AREAS + 1], *first_area;
static uint32_t first_frame, resident;

/* ---- memory ---- */

static struct frame *take(void)
{
    uint32_t flags = OPERATE(SAVE_FLAGS, 0, 0, 0);
    struct frame *frame;

    OPERATE(IRQ_DISABLE, 0, 0, 0);
    frame = free_frames;
    free_frames = frame->next;
    OPERATE(RESTORE_FLAGS, flags, 0, 0);
    frame->count = 1;
    frame->mapped = 0;
    return frame;
}

static void give(struct frame *frame)
{
    uint32_t flags = OPERATE(SAVE_FLAGS, 0, 0, 0);

    OPERATE(IRQ_DISABLE, 0, 0, 0);
    frame->next = free_frames;
    free_frames = frame;
    OPERATE(RESTORE_FLAGS, flags, 0, 0);
}

static void clear(void *memory)
{
    uint32_t words = PAGE_SIZE / 4;

    __asm__ volatile("rep stosl" : "+D"(memory), "+c"(words) : "a"(0) : "memory");
}

static void prepare(void)
{
    uint32_t i;

    for (i = 0; i < FRAMES; i++) {
        frames[i].memory = client_page();
        frames[i].next = free_frames;
        free_frames = &frames[i];
    }
    first_frame = client_physical(frames[0].memory) / PAGE_SIZE;
    for (i = 0; i < AREAS; i++) {
        areas[i] = (struct area){first_area, FAULT_PLACE - i * 0x10000, FAULT_PLACE + 0x10000};
        first_area = &areas[i];
    }
}

static pxe value_of(const struct frame *frame, uint32_t flags)
{
    return client_physical(frame->memory) | flags;
}

static struct frame *frame_of(pxe value)
{
    return &frames[(uint32_t)(value / PAGE_SIZE) - first_frame];
}

/* ---- page tables ---- */

#if CLIENT_PAE
#define SET_ENTRY(operation, entry, value)                                                         \
    OPERATE(operation, (uintptr_t)(entry), (uint32_t)(value), (uint32_t)((value) >> 32))
#else
#define SET_ENTRY(operation, entry, value) OPERATE(operation, (uintptr_t)(entry), value, 0)
#endif

struct space {
    struct frame *directory, *table;
};

static void make_space(struct space *space)
{
    uint32_t i;

    space->directory = take();
    clear(space->directory->memory);
    for (i = ENTRIES / 4 * 3; i < ENTRIES; i++)
        space->directory->memory[i] = client_directory[i];
    OPERATE(ALLOC_PMD_CLONE, client_physical(space->directory->memory) / PAGE_SIZE, 0, 0);
    space->table = take();
    clear(space->table->memory);
    OPERATE(ALLOC_PTE, client_physical(space->table->memory) / PAGE_SIZE, 0, 0);
    SET_ENTRY(SET_PMD, &space->directory->memory[0], value_of(space->table, MAPPED));
}

static void map_fresh(pxe *entry)
{
    struct frame *frame = take();

    clear(frame->memory);
    frame->mapped++;
    resident++;
    SET_ENTRY(SET_PTE_AT, entry, value_of(frame, MAPPED));
}

/* Takes an entry out in place, as a processor may be changing it. */
static pxe take_entry(pxe *entry)
{
    uint32_t *halves = (uint32_t *)entry;
    pxe value = __sync_lock_test_and_set(&halves[0], 0);

#if CLIENT_PAE
    value |= (pxe)halves[1] << 32;
    halves[1] = 0;
#endif
    OPERATE(PTE_UPDATE, (uintptr_t)entry, 0, 0);
    return value;
}

static void unmap(pxe *table, uint32_t count)
{
    uint32_t i;

    OPERATE(LAZY_ENTER, 0, 0, 0);
    for (i = 0; i < count; i++) {
        struct frame *frame;

        if (!(table[i] & PRESENT))
            continue;
        frame = frame_of(take_entry(&table[i]));
        frame->mapped--;
        resident--;
        if (__sync_sub_and_fetch(&frame->count, 1) == 0)
            give(frame);
    }
    OPERATE(LAZY_LEAVE, 0, 0, 0);
    OPERATE(FLUSH_ALL, 0, 0, 0);
}

static void end_space(struct space *space, uint32_t count)
{
    unmap(space->table->memory, count);
    OPERATE(RELEASE_PTE, client_physical(space->table->memory) / PAGE_SIZE, 0, 0);
    give(space->table);
    OPERATE(RELEASE_PMD, client_physical(space->directory->memory) / PAGE_SIZE, 0, 0);
    give(space->directory);
}

/* ---- what is counted ---- */

static struct space parent;

static void copy_one(pxe *from, pxe *to)
{
    struct frame *frame;

    if (!(*from & PRESENT))
        return;
    if (*from & WRITABLE) {
        __sync_fetch_and_and((uint32_t *)from, ~WRITABLE);
        OPERATE(PTE_UPDATE, (uintptr_t)from, 0, 0);
    }
    frame = frame_of(*from);
    __sync_fetch_and_add(&frame->count, 1);
    __sync_fetch_and_add(&frame->mapped, 1);
    resident++;
    SET_ENTRY(SET_PTE_AT, to, *from);
}

static void run_fork(void)
{
    struct space child;
    uint32_t i;

    make_space(&child);
    OPERATE(LAZY_ENTER, 0, 0, 0);
    for (i = 0; i < PARENT; i++)
        copy_one(&parent.table->memory[i], &child.table->memory[i]);
    OPERATE(LAZY_LEAVE, 0, 0, 0);
    OPERATE(FLUSH_ALL, 0, 0, 0);
    end_space(&child, PARENT);
    /* The parent writes again. */
    for (i = 0; i < PARENT; i++)
        SET_ENTRY(SET_PTE_ATOMIC, &parent.table->memory[i], parent.table->memory[i] | WRITABLE);
}

static void run_exec(void)
{
    struct space space;
    uint32_t i;

    make_space(&space);
    OPERATE(WRITE_CR3, client_physical(client_root), 0, 0);
    for (i = 0; i < FRESH; i++)
        map_fresh(&space.table->memory[i]);
    end_space(&space, FRESH);
}

static void run_mmap(void)
{
    struct area *area = &areas[AREAS], **link = &first_area;
    uint32_t i;

    while (*link && (*link)->start > FAULT_PLACE - AREAS * 0x10000)
        link = &(*link)->next;
    *area = (struct area){*link, FAULT_PLACE, FAULT_PLACE + FRESH * PAGE_SIZE};
    *link = area;
    for (i = 0; i < FRESH; i++)
        map_fresh(&parent.table->memory[PARENT + i]);
    unmap(&parent.table->memory[PARENT], FRESH);
    *link = area->next;
}

static void handle_fault(void)
{
    uint32_t address = OPERATE(READ_CR2, 0, 0, 0);
    const struct area *area;

    OPERATE(IRQ_ENABLE, 0, 0, 0);
    for (area = first_area; area; area = area->next) {
        if (area->start <= address && address < area->end && !area->next)
            break;
    }
    if (area)
        map_fresh(client_pxe_of(address & ~FLAGS_MASK));
    OPERATE(IRQ_DISABLE, 0, 0, 0);
}

static void run_fault(void)
{
    uint32_t i;

    client_fault = handle_fault;
    for (i = 0; i < FRESH; i++)
        *(volatile uint32_t *)(uintptr_t)(FAULT_PLACE + i * PAGE_SIZE) = i;
    client_fault = 0;
}

static void undo_faults(void)
{
    uint32_t i;

    unmap(client_pxe_of(FAULT_PLACE), FRESH);
    for (i = 0; i < FRESH; i++)
        OPERATE(FLUSH_ONE, FAULT_PLACE + i * PAGE_SIZE, 0, 0);
}

#define REPEAT(name, operate)                                                                      \
    static void run_##name(void)                                                                   \
    {                                                                                              \
        pxe *entry = &parent.table->memory[ENTRIES - 1];                                           \
        uint32_t i;                                                                                \
                                                                                                   \
        for (i = 0; i < REPETITIONS; i++)                                                          \
            operate;                                                                               \
        (void)entry;                                                                               \
    }

REPEAT(set_pte, SET_ENTRY(SET_PTE, entry, (pxe)i << 12))
REPEAT(set_pte_at, SET_ENTRY(SET_PTE_AT, entry, (pxe)i << 12))
REPEAT(set_pte_atomic, SET_ENTRY(SET_PTE_ATOMIC, entry, (pxe)i << 12))
REPEAT(set_pmd, SET_ENTRY(SET_PMD, entry, (pxe)i << 12))
REPEAT(pte_update, OPERATE(PTE_UPDATE, (uintptr_t)entry, 0, 0))
REPEAT(flush, OPERATE(FLUSH_ALL, 0, 0, 0))
REPEAT(irq_disable, OPERATE(IRQ_DISABLE, 0, 0, 0))
REPEAT(restore_flags, OPERATE(RESTORE_FLAGS, 2, 0, 0))

static const struct {
    const char *name;
    void (*run)(void), (*undo)(void);
} costs[] = {
    {"fork", run_fork, 0},
    {"exec", run_exec, 0},
    {"mmap", run_mmap, 0},
    {"fault", run_fault, undo_faults},
    {"set_pte", run_set_pte, 0},
    {"set_pte_at", run_set_pte_at, 0},
    {"set_pte_atomic", run_set_pte_atomic, 0},
    {"set_pmd", run_set_pmd, 0},
    {"pte_update", run_pte_update, 0},
    {"flush", run_flush, 0},
    {"irq_disable", run_irq_disable, 0},
    {"restore_flags", run_restore_flags, 0},
};

static uint64_t ticks(void)
{
    uint64_t value;

    __asm__ volatile("rdtsc" : "=A"(value) : : "memory");
    return value;
}

const char *check_cost(void)
{
    uint32_t i, run;

    client_operations_init();
    prepare();
    make_space(&parent);
    for (i = 0; i < PARENT; i++)
        map_fresh(&parent.table->memory[i]);
    (void)client_pxe_of(FAULT_PLACE);
    for (i = 0; i < sizeof(costs) / sizeof(costs[0]); i++) {
        uint64_t least = ~0ull;

        for (run = 0; run < 3; run++) {
            uint64_t start = ticks(), took;

            costs[i].run();
            took = ticks() - start;
            if (took < least)
                least = took;
            if (costs[i].undo)
                costs[i].undo();
        }
        client_print("# cost %s=%u\n", costs[i].name, (uint32_t)least);
    }
    REQUIRE(resident == PARENT, "pages were lost, or never came");
    return 0;
}
