/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Process-context identifiers, as a 64-bit process: processors are played that keep each
 * translation as long as they may, which no emulator does. They walk the sample kernel's own page
 * tables; its own code changes these, chooses the identifiers and loads the roots, by the library's
 * entry points and its mappings of devices.
 */
#include "backends/played_translations.h"

#include "backends/plain_memory.h"
#include "backends/played_random.h"
#include "forms.h"
#include "pc.h"

#include "sample_kernel/identifiers.h"
#include "sample_kernel/paging.h"
#include "sample_kernel/smp.c"
#include "sample_kernel/frames.h"

#define CPUS   3
#define SPACES 11 /* more than a CPU has identifiers for */
#define PAGES  3  /* of each */
#define FRAMES 8  /* that are mapped */
#define STEPS  20000

#define CR4_BEFORE (CR4_PAE | CR4_PGE)
#define CR4_WITH   (CR4_BEFORE | CR4_PCIDE)
#define REGISTERS  0xfee00000 /* of a device */

/* ---- memory, at its own addresses ------------------------------------------------------------ */

struct vmi_boot_info vmi__boot;
uint64_t pte_no_execute;

static uint8_t memory[512][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static uint32_t taken, freed[512], freed_count;

uint32_t frame_allocate_zeroed(void)
{
    uint32_t pfn =
        freed_count ? freed[--freed_count] : (uint32_t)((uintptr_t)memory[taken++] >> PAGE_SHIFT);

    memset(frame_address(pfn), 0, PAGE_SIZE);
    return pfn;
}

void frame_release(uint32_t pfn)
{
    if ((uintptr_t)frame_address(pfn) - (uintptr_t)memory < sizeof(memory))
        freed[freed_count++] = pfn;
}

void *frame_address(uint32_t pfn)
{
    return (void *)((uintptr_t)pfn << PAGE_SHIFT);
}

void paging_use_no_execute(const struct vmi_boot_info *boot)
{
    (void)boot;
}

void panic(const char *text, ...)
{
    put(text);
    call(SYS_EXIT, 1, 0, 0);
    __builtin_unreachable();
}

static uint64_t translate(uint64_t root, uint64_t page, bool *global)
{
    const uint64_t *table = (const uint64_t *)root;

    for (uint32_t shift = 39;; shift -= 9) {
        uint64_t entry = table[page >> shift & 511], span = (1ull << shift) - 1;

        if (!(entry & PTE_PRESENT))
            return UINT64_MAX;
        if (shift == 12 || (shift < 39 && entry & PTE_LARGE)) {
            *global = entry & PTE_GLOBAL;
            return ((entry & PTE_FRAME) & ~span) | (page & span);
        }
        table = (const uint64_t *)(entry & PTE_FRAME);
    }
}

/* ---- the kernel ------------------------------------------------------------------------------ */

static struct cpu_played cpus_played[CPUS];
static struct aspace spaces[SPACES];
static const struct aspace *loaded[CPUS];
static uint64_t boot_root[PTE_ENTRIES] __attribute__((aligned(PAGE_SIZE)));

/* Where checks run: the kernel finds its CPU's number by the stack. */
static uint8_t stack[STACK_SIZE] __attribute__((aligned(STACK_SIZE), used));

static void on(uint32_t cpu)
{
    thread_current()->cpu = cpu;
    here = &cpus_played[cpu];
}

static void load(const struct aspace *aspace)
{
    loaded[cpu_current()] = aspace;
    aspace_load(aspace);
}

static void start(uintptr_t cr4)
{
    static bool up;
    struct vmi_boot_info boot = {.boot_cr3 = (uintptr_t)boot_root};

    play_processors();
    for (uint32_t i = 0; i < CPUS; i++) {
        memset(&cpus_played[i], 0, sizeof(cpus_played[i]));
        cpus_played[i].cr4 = CR4_BEFORE;
    }
    refused = 0;
    identifiers_on = false;
    on(0);
    if (!up) {
        vmi__window_install(boot_root);
        paging_init(&boot);
        for (uint32_t i = 0; i < SPACES; i++)
            aspace_create(&spaces[i]);
        up = true;
    }
    for (uint32_t i = 0; i < CPUS; i++) {
        on(i);
        identifiers_on = false;
        load(&kernel_aspace);
        vmi_set_cr4(cr4);
        identifiers_on = cr4 & CR4_PCIDE;
    }
}

/* Whether an access finds what the tables say now. */
static bool true_now(uintptr_t address)
{
    bool global;

    return accessed(address) ==
           translate(here->cr3 & ~CPU_PAGE_MASK, address & ~CPU_PAGE_MASK, &global);
}

static uint32_t below(uint32_t limit)
{
    return (uint32_t)(any() % limit);
}

static uint64_t some_entry(void)
{
    uint32_t frame = (uint32_t)(any_size() % FRAMES);

    return frame == 0 ? 0 : pte_value(0x1000 + frame, KERNEL_PAGE | PTE_WRITE);
}

/* The others do what an interrupt asks them for. */
static void others_flush(uintptr_t address, uint32_t pages)
{
    uint32_t cpu = cpu_current();

    for (uint32_t i = 0; i < CPUS; i++) {
        on(i);
        if (i != cpu)
            flush(address, pages);
    }
    on(cpu);
}

/* An address space is in use on one CPU at most, as a process is; any CPU takes it up next. */
static bool in_use_elsewhere(const struct aspace *aspace)
{
    for (uint32_t i = 0; i < CPUS; i++)
        if (i != cpu_current() && loaded[i] == aspace)
            return true;
    return false;
}

static void change_page(void)
{
    struct aspace *aspace = &spaces[below(SPACES)];
    uintptr_t page = USER_DATA + below(PAGES) * PAGE_SIZE;

    if (in_use_elsewhere(aspace))
        return;
    pte_write(aspace, aspace_entry(aspace, page, true), page, some_entry());
    if (loaded[cpu_current()] == aspace)
        vmi_inval_page(page);
}

static void change_window(void)
{
    uintptr_t page = MAP_WINDOW + below(PAGES) * PAGE_SIZE;
    uint64_t entry = some_entry();

    window_map(page, pte_frame(entry), entry & (PAGE_SIZE - 1));
    vmi_inval_page(page);
    others_flush(page, 1);
}

/* MapDevice and UnmapDevice, of few pages and of many. */
void vmi__devices_unmap(uintptr_t linear, uintptr_t pages);
bool vmi__devices_map(uintptr_t linear, uint64_t physical, uintptr_t pages, uint64_t attributes);
static uint32_t device_pages;

static void change_device(void)
{
    if (device_pages) {
        vmi__devices_unmap(VMI__DEVICE_BASE, device_pages);
        others_flush(VMI__DEVICE_BASE, device_pages);
        device_pages = 0;
    } else {
        device_pages = below(2) ? 2 : 40;
        vmi__devices_map(VMI__DEVICE_BASE, REGISTERS + below(FRAMES) * PAGE_SIZE, device_pages, 0);
    }
}

/* A process that ends, and one that begins in the frames of its tables. */
static void replace(void)
{
    struct aspace *aspace = &spaces[below(SPACES)];

    if (in_use_elsewhere(aspace))
        return;
    if (loaded[cpu_current()] == aspace)
        load(&kernel_aspace);
    aspace_destroy(aspace);
    aspace_create(aspace);
}

static void step(void)
{
    const struct aspace *next;
    uint32_t what = below(64);

    on(below(CPUS));
    if (what < 24) {
        next = below(4) ? &spaces[below(SPACES)] : &kernel_aspace;
        if (!in_use_elsewhere(next) || next == &kernel_aspace)
            load(next);
    } else if (what < 30) {
        change_page();
    } else if (what == 30) {
        change_window();
    } else if (what == 31) {
        change_device();
    } else if (what == 32) {
        replace();
    } else {
        EXPECT(true_now(USER_DATA + below(PAGES) * PAGE_SIZE));
        EXPECT(true_now(MAP_WINDOW + below(PAGES) * PAGE_SIZE));
        EXPECT(true_now(VMI__DEVICE_BASE + below(PAGES) * PAGE_SIZE));
    }
}

/* ---- checks ---------------------------------------------------------------------------------- */

static uint32_t kept(void)
{
    uint32_t all = 0;

    for (uint32_t i = 0; i < CPUS; i++)
        all += identifiers_kept(i);
    return all;
}

/* Whatever comes in whatever order, a CPU finds what the tables say. */
static void nothing_stale_is_found(void)
{
    for (uint32_t i = 0; i < 3; i++) {
        state = FIRST_SEED + i;
        start(CR4_WITH);
        uint32_t before = kept();
        for (uint32_t each = 0; each < STEPS && !failed_line; each++)
            step();
        EXPECT(kept() - before > STEPS / 20);
        EXPECT(refused == 0);
    }
}

/* The same on a processor that has none. */
static void without_identifiers(void)
{
    state = FIRST_SEED;
    start(CR4_BEFORE);
    uint32_t before = kept();
    for (uint32_t each = 0; each < STEPS && !failed_line; each++)
        step();
    EXPECT(kept() == before && refused == 0);
}

/* Some of the checks below look at one CPU, whose translations they make themselves. */
#define CONTEXT 0x100
static void use(uint32_t space, uintptr_t keep)
{
    vmi_set_cr3(aspace_cr3(&spaces[space]) | (CONTEXT + space) | keep, 0);
}

static void map(uint32_t space, uint32_t frame)
{
    pte_write(&spaces[space], aspace_entry(&spaces[space], USER_DATA, true), USER_DATA,
              pte_value(frame, KERNEL_PAGE));
}

static uint64_t found(uint32_t space)
{
    use(space, CR3_KEEP);
    return accessed(USER_DATA) >> PAGE_SHIFT;
}

/* Two address spaces have had frames 1 and 2, and have 3 and 4 now; the second is in use. */
static void both_stale(uintptr_t cr4)
{
    start(cr4);
    on(0);
    for (uint32_t i = 0; i < 2; i++) {
        map(i, 1 + i);
        use(i, 0);
        EXPECT(accessed(USER_DATA) >> PAGE_SHIFT == 1 + i);
        map(i, 3 + i);
    }
    EXPECT(accessed(USER_DATA) >> PAGE_SHIFT == 2);
    EXPECT(vmi_get_cr3() == (aspace_cr3(&spaces[1]) | (CONTEXT + 1)));
}

/* SetCR3: all of what is loaded, or nothing. */
static void a_load_drops_one_identifier(void)
{
    both_stale(CR4_WITH);
    EXPECT(found(0) == 1 && found(1) == 2);
    use(0, 0);
    EXPECT(found(1) == 2 && found(0) == 3);
}

static void a_page_is_dropped_of_the_identifier_in_use(void)
{
    both_stale(CR4_WITH);
    vmi_inval_page(USER_DATA);
    EXPECT(found(1) == 4 && found(0) == 1);
}

static void a_flush_is_of_the_identifier_in_use(void)
{
    both_stale(CR4_WITH);
    vmi_flush_tlb(VMI_FLUSH_TLB);
    EXPECT(found(1) == 4 && found(0) == 1 && here->dropped == 0);
}

/* With global translations and without. */
static void a_flush_of_global_ones_is_of_all_identifiers(void)
{
    both_stale(CR4_WITH);
    vmi_flush_tlb(VMI_FLUSH_TLB | VMI_FLUSH_GLOBAL);
    EXPECT(found(1) == 4 && found(0) == 3 && here->dropped == 2);
    EXPECT(vmi_get_cr4() == CR4_WITH);
    both_stale(CR4_WITH & ~(uintptr_t)CR4_PGE);
    vmi_flush_tlb(VMI_FLUSH_TLB | VMI_FLUSH_GLOBAL);
    EXPECT(found(1) == 4 && found(0) == 3);
    EXPECT(vmi_get_cr4() == (CR4_WITH & ~(uintptr_t)CR4_PGE));
}

/* Linux: asm/unistd_64.h, asm-generic/mman-common.h. */
#define SYS_MPROTECT64 10
#define PROT_ALL       7

/* Each form of InvalPCID drops what is asked for; that without the instruction everything. */
static void identifiers_are_dropped_by_number(void)
{
    static const struct vmi_invpcid first = {.pcid = CONTEXT, .address = USER_DATA};
    static uint8_t code[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
    void (*inval_pcid)(uintptr_t, const struct vmi_invpcid *) = (void *)code;
    uint32_t forms = 0;

    call64(SYS_MPROTECT64, (uintptr_t)code, (void *)sizeof(code), PROT_ALL, 0);
    for (const struct vmi__form *form = vmi__forms; form < vmi__forms_end; form++) {
        bool last = form->feature == VMI__FORM_LAST;

        if (form->entry != (const uint8_t *)vmi_inval_pcid)
            continue;
        forms++;
        memcpy(code, form->code, VMI__FORM_ROOM);
        for (uint32_t type = VMI_INVPCID_ADDRESS; type <= VMI_INVPCID_ALL; type++) {
            both_stale(CR4_WITH);
            inval_pcid(type, &first);
            EXPECT(found(0) == 3);
            EXPECT(found(1) == (last || type >= VMI_INVPCID_ALL_GLOBAL ? 4 : 2));
            EXPECT(vmi_get_cr4() == CR4_WITH && refused == 0);
        }
    }
    EXPECT(forms == 2);
}

/* What CR4.PCIDE may be turned on with, and off. */
static void what_the_processor_refuses(void)
{
    both_stale(CR4_WITH);
    vmi_set_cr4(CR4_BEFORE);
    EXPECT(refused == 0 && here->dropped == 1);
    vmi_set_cr4(CR4_WITH);
    EXPECT(refused == 1);
    start(CR4_BEFORE);
    on(0);
    use(0, CR3_KEEP);
    EXPECT(refused == 1);
}

static const struct played_check checks[] = {
    CHECK(nothing_stale_is_found),
    CHECK(without_identifiers),
    CHECK(a_load_drops_one_identifier),
    CHECK(a_page_is_dropped_of_the_identifier_in_use),
    CHECK(a_flush_is_of_the_identifier_in_use),
    CHECK(a_flush_of_global_ones_is_of_all_identifiers),
    CHECK(identifiers_are_dropped_by_number),
    CHECK(what_the_processor_refuses),
};

void run(void) __attribute__((noreturn, used));
void run(void)
{
    play(checks, sizeof(checks) / sizeof(checks[0]));
}

__asm__(".text\n.globl _start\n_start: lea stack + 8192(%rip), %rsp\n\tcall run");
