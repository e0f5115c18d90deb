/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A kernel that breaks rules of the interface, one after the other, and undoes each: a line
 * `# case NAME` comes before, `# end NAME` behind. With `case=NAME` on its command line it breaks
 * that one alone. Each goes on to where a hypervisor could mind: it loads the tables, and uses the
 * mapping. What it sees of that is a line `# sees WORDS`.
 */
#include <stdbool.h>

#include <vmi/vmi.h>

#define PRESENT 1u
#define TABLE   7u
#define WRITE   3u
#define PAGE    4096u
#define SOURCE  0x80u /* a port that nothing answers at */
#define UNKNOWN 0x12345678u
#define NOTHING 0xffffu /* no device's number */

/* Entries of a table, and the flag of EFLAGS that is always set. */
#define ENTRIES     (PAGE / 8)
#define FLAG_ALWAYS 2u

#ifdef __x86_64__
#define ROOT_KIND    VMI_PAGE_PML4
#define OF_A_POINTER TABLE
typedef uint64_t word;
#else
#define ROOT_KIND    VMI_PAGE_PDP
#define OF_A_POINTER PRESENT /* the entry of a PAE root has no other flags */
typedef uint32_t word;
#endif

/* The image lies at 1 MiB (runtime/arch/ARCH/kernel.ld). */
extern const char vmi_image_start[];

static const struct vmi_boot_info *info;
static uint64_t frames; /* the next one that is free */
/* GDTs, loaded in turn: what is loaded is not stored to. */
static uint64_t tables[2][2 * PAGE / 8] __attribute__((aligned(PAGE)));
static uint64_t gates[PAGE / 8] __attribute__((aligned(PAGE)));
static uint64_t plain[PAGE / 8] __attribute__((aligned(PAGE)));

static void print(const char *text)
{
    uint32_t length = 0;

    while (text[length] != 0)
        length++;
    vmi_console_write(text, length);
}

static void sees(const char *words)
{
    print("# sees ");
    print(words);
    print("\r\n");
}

static uint64_t *at(uint64_t pfn)
{
    return (uint64_t *)(info->linear_base + (word)(pfn * PAGE));
}

/* A page of zeroes. */
static word new_page(void)
{
    word pfn = (word)frames++;

    for (uint32_t i = 0; i < PAGE / 8; i++)
        at(pfn)[i] = 0;
    return pfn;
}

static word new_table(uint32_t kind)
{
    word pfn = new_page();

    vmi_allocate_page(pfn, kind | VMI_PAGE_PAE | VMI_PAGE_ZEROED, 0, 0, 0);
    return pfn;
}

static void release(word pfn, uint32_t kind)
{
    vmi_release_page(pfn, kind | VMI_PAGE_PAE);
}

static void set(uint64_t *entry, uint64_t value, uint32_t flags)
{
#ifdef __x86_64__
    vmi_set_pxe_long(value, entry, flags);
#else
    vmi_set_pxe_long((uint32_t)value, (uint32_t)(value >> 32), entry, flags);
#endif
}

static void load(word root, word user)
{
#ifdef __x86_64__
    vmi_set_cr3(root, user);
#else
    (void)user;
    vmi_set_cr3(root);
#endif
}

/* A root with what the boot tables have. */
static word new_root(void)
{
    word pfn = new_page(), boot = (word)(info->boot_cr3 / PAGE);
#ifdef __x86_64__
    uint32_t first = 256, count = 256;
#else
    /* The one tree that the machine has: its directory of the top GiB is a copy. */
    uint32_t first = 0, count = 3;
    word directory = new_page(), from;
    uint64_t top = at(boot)[3];

    from = (word)(top / PAGE) & 0xfffffu;
    for (uint32_t i = 0; i < PAGE / 8; i++)
        at(directory)[i] = at(from)[i];
    vmi_allocate_page(directory, VMI_PAGE_PD | VMI_PAGE_PAE | VMI_PAGE_CLONE, from, 0, 512);
#endif

    for (uint32_t i = first; i < first + count; i++)
        at(pfn)[i] = at(boot)[i];
    vmi_allocate_page(pfn, ROOT_KIND | VMI_PAGE_PAE | VMI_PAGE_CLONE, boot, first, count);
#ifndef __x86_64__
    set(at(pfn) + 3, (uint64_t)directory * PAGE | PRESENT, VMI_PAGE_PDP);
#endif
    return pfn;
}

/* Tables of the first 2 MiB; `pointers` names directories: on i386 it is the root. */
struct tree {
    word root, pointers, directory, pages;
};

static struct tree new_tree(void)
{
    struct tree tree = {.root = new_root()};

#ifdef __x86_64__
    tree.pointers = new_table(VMI_PAGE_PDP);
    set(at(tree.root), (uint64_t)tree.pointers * PAGE | TABLE, VMI_PAGE_PML4);
#else
    tree.pointers = tree.root;
#endif
    tree.directory = new_table(VMI_PAGE_PD);
    set(at(tree.pointers), (uint64_t)tree.directory * PAGE | OF_A_POINTER, VMI_PAGE_PDP);
    tree.pages = new_table(VMI_PAGE_PT);
    set(at(tree.directory), (uint64_t)tree.pages * PAGE | TABLE, VMI_PAGE_PD);
    return tree;
}

/* Where a tree can have a frame, which is not the place that the linear mapping has for it. */
static uint32_t place_of(word pfn)
{
    return (uint32_t)(pfn + 7) % ENTRIES;
}

/* Has a tree map a frame; its address there. */
static volatile uint64_t *map(const struct tree *tree, word pfn)
{
    set(at(tree->pages) + place_of(pfn), (uint64_t)pfn * PAGE | WRITE, VMI_PAGE_PT);
    return (volatile uint64_t *)(word)(place_of(pfn) * PAGE);
}

static void load_tree(const struct tree *tree)
{
    load(tree->root * PAGE, 0);
}

static void load_boot_tables(void)
{
    load((word)info->boot_cr3, 0);
}

static void release_tree(const struct tree *tree)
{
    load_boot_tables();
    release(tree->root, ROOT_KIND);
#ifdef __x86_64__
    release(tree->pointers, VMI_PAGE_PDP);
#endif
    release(tree->directory, VMI_PAGE_PD);
    release(tree->pages, VMI_PAGE_PT);
}

/* ---- the cases ---- */

/* From the middle of a page on, one down: the bytes above are as they were. */
#define INPUT_CASE(name, call, type)                                                               \
    static void name(void)                                                                         \
    {                                                                                              \
        type *middle = (type *)plain + PAGE / sizeof(type) / 2;                                    \
                                                                                                   \
        middle[-1] = middle[1] = 0x5a;                                                             \
        __asm__ volatile("std" : : : "memory");                                                    \
        call(SOURCE, middle, 2);                                                                   \
        __asm__ volatile("cld" : : : "memory");                                                    \
        sees(middle[1] != 0x5a ? "what came was stored upwards"                                    \
                               : "what came was stored downwards, or not at all");                 \
    }

#define OUTPUT_CASE(name, call)                                                                    \
    static void name(void)                                                                         \
    {                                                                                              \
        __asm__ volatile("std" : : : "memory");                                                    \
        call(SOURCE, plain, 0);                                                                    \
        __asm__ volatile("cld" : : : "memory");                                                    \
    }

INPUT_CASE(insb_backwards, vmi_insb, uint8_t)
INPUT_CASE(insw_backwards, vmi_insw, uint16_t)
INPUT_CASE(insl_backwards, vmi_insl, uint32_t)
OUTPUT_CASE(outsb_backwards, vmi_outsb)
OUTPUT_CASE(outsw_backwards, vmi_outsw)
OUTPUT_CASE(outsl_backwards, vmi_outsl)

static void unknown_register_read(void)
{
    vmi_rdmsr(UNKNOWN);
}

static void unknown_register_written(void)
{
    vmi_wrmsr(UNKNOWN, 0);
}

/* The GDT that the library has made. */
static struct vmi_dtr first_gdt(void)
{
    static struct vmi_dtr first;

    if (!first.base)
        vmi_get_gdt(&first);
    return first;
}

/* The GDT that is not loaded. */
static uint64_t *other_gdt(void)
{
    static uint32_t turn;

    return tables[turn ^= 1];
}

/* Loads a copy of the first GDT, at that offset in its page, with another descriptor, 0: with none.
 * Returns it. */
static volatile uint64_t *gdt_at(uint32_t offset, uint32_t changed, uint64_t value)
{
    const struct vmi_dtr first = first_gdt();
    struct vmi_dtr copy;

    copy = (struct vmi_dtr){.limit = first.limit, .base = (word)other_gdt() + offset};
    for (uint32_t i = 0; i < (first.limit + 1u) / 8; i++)
        ((uint64_t *)copy.base)[i] = ((const uint64_t *)first.base)[i];
    if (changed) {
        if (copy.limit < 8 * changed + 7)
            copy.limit = (uint16_t)(8 * changed + 7);
        ((uint64_t *)copy.base)[changed] = value;
    }
    vmi_set_gdt(&copy);
    return (volatile uint64_t *)copy.base;
}

static void gdt_off_its_page(void)
{
    gdt_at(8, 0, 0);
}

static void code_of_ring_1(void)
{
    gdt_at(0, 20, 0x00cfba000000ffffull);
}

static void data_of_ring_2(void)
{
    gdt_at(0, 20, 0x00cfd2000000ffffull);
}

/* Data of DPL 3 of that limit, and whether it is what the processor has for a selector. */
#define DATA_OF(limit) (0x0040f20000000000ull | (limit))
#define LIMIT          0x1fffu
#define OTHER_LIMIT    0x2fffu

static void look_at(uint32_t selector)
{
    uint32_t limit = 0;

    __asm__ volatile("lsl %1, %0" : "+r"(limit) : "r"(selector) : "cc", "memory");
    sees(limit == OTHER_LIMIT ? "the descriptor is used" : "the descriptor is not used");
}

static void descriptor_stored_in_place(void)
{
    const uint32_t index = 20;
    volatile uint64_t *gdt = gdt_at(0, index, DATA_OF(LIMIT));

    gdt[index] = DATA_OF(OTHER_LIMIT);
    look_at(index << 3 | 3);
    gdt_at(0, 0, 0);
}

#ifdef __i386__
static void descriptor_of_an_ldt_stored_in_place(void)
{
    const uint32_t index = 20;
    uint64_t base = (word)plain;
    volatile uint64_t *ldt = plain;

    ldt[1] = DATA_OF(LIMIT);
    gdt_at(0, index, 15 | (base & 0xffffff) << 16 | 0x82ull << 40 | base >> 24 << 56);
    vmi_set_ldt(index << 3);
    ldt[1] = DATA_OF(OTHER_LIMIT);
    look_at(1 << 3 | 7);
    vmi_set_ldt(0);
    gdt_at(0, 0, 0);
}
#endif

static void selector_left_behind(void)
{
    const uint32_t index = 20;
    uint32_t cs, ss;

    __asm__("mov %%cs, %0\n\tmov %%ss, %1" : "=r"(cs), "=r"(ss));
    if (cs >> 3 < index) {
        gdt_at(0, cs >> 3, 0);
    } else {
        /* A hypervisor's selector: the kernel's own is in SS. */
        gdt_at(0, index, 0x00cff2000000ffffull);
        __asm__ volatile("mov %0, %%ss" : : "r"(index << 3 | 3));
        gdt_at(0, 0, 0);
    }
    vmi_enable_interrupts();
    vmi_yield();
    vmi_disable_interrupts();
    __asm__ volatile("mov %0, %%ss" : : "r"(ss));
    gdt_at(0, 0, 0);
}

#define INVALID_OPCODE 6
#define GATE           0x8e00ull /* an interrupt gate of DPL 0 */

/* Goes on behind UD2, which is 2 bytes long. */
void invalid_opcode(void);
__asm__(".globl invalid_opcode\n"
        "invalid_opcode:\n"
#ifdef __x86_64__
        "    addq $2, (%rsp)\n"
#else
        "    addl $2, (%esp)\n"
#endif
        "    jmp vmi_iret\n");

static void gate_written_in_place(void)
{
    struct vmi_dtr dtr = {.limit = PAGE / 2 - 1, .base = (word)gates}, first;
    word handler = (word)invalid_opcode;
    uint32_t cs;

    __asm__("mov %%cs, %0" : "=r"(cs));
    vmi_get_idt(&first);
    vmi_set_idt(&dtr);
#ifdef __x86_64__
    gates[2 * INVALID_OPCODE] =
        (handler & 0xffff) | (uint64_t)cs << 16 | GATE << 32 | (handler & 0xffff0000u) << 32;
    gates[2 * INVALID_OPCODE + 1] = handler >> 32;
    vmi_write_idt_entry(gates, 5, 0, 0);
#else
    gates[INVALID_OPCODE] =
        (handler & 0xffff) | cs << 16 | (GATE | (uint64_t)(handler & 0xffff0000u)) << 32;
    vmi_write_idt_entry(gates, 5, 0, 0);
#endif
    __asm__ volatile("ud2" : : : "memory");
    sees("the gate is used");
    vmi_set_idt(&first);
}

static void entry_of_a_plain_page(void)
{
    set(at(new_page()), 0, VMI_PAGE_PT);
}

static void entry_of_the_boot_tables(void)
{
    uint64_t *entry = at(info->boot_cr3 / PAGE);

    set(entry, *entry, ROOT_KIND);
}

static void entry_outside_of_the_linear_mapping(void)
{
#ifdef __x86_64__
    set(plain, 0, VMI_PAGE_PT);
#else
    /* The image is in the linear mapping, and so is all that is mapped. */
    set(plain, 0, VMI_PAGE_PD);
#endif
}

static void entry_of_another_kind(void)
{
    word pfn = new_table(VMI_PAGE_PT);

    set(at(pfn), 0, VMI_PAGE_PD);
    release(pfn, VMI_PAGE_PT);
}

static void update_of_a_plain_page(void)
{
    vmi_update_pxe_long(at(new_page()), VMI_PAGE_PT);
}

static void update_of_another_kind(void)
{
    word pfn = new_table(VMI_PAGE_PT);

    vmi_update_pxe_long(at(pfn), VMI_PAGE_PD);
    release(pfn, VMI_PAGE_PT);
}

static void update_of_the_boot_tables(void)
{
    vmi_update_pxe_long(at(info->boot_cr3 / PAGE), ROOT_KIND);
}

static void entry_of_a_released_table(void)
{
    word pfn = new_table(VMI_PAGE_PT);

    release(pfn, VMI_PAGE_PT);
    set(at(pfn), 0, VMI_PAGE_PT);
}

static void table_mapped_writable(void)
{
    struct tree tree = new_tree();
    word pfn = new_page();

    map(&tree, pfn);
    vmi_allocate_page(pfn, VMI_PAGE_PT | VMI_PAGE_PAE | VMI_PAGE_ZEROED, 0, 0, 0);
    set(at(tree.directory) + 1, (uint64_t)pfn * PAGE | TABLE, VMI_PAGE_PD);
    load_tree(&tree);
    release_tree(&tree);
    release(pfn, VMI_PAGE_PT);
}

static void directory_mapped_writable(void)
{
    struct tree tree = new_tree();
    word pfn = new_page();

    map(&tree, pfn);
    vmi_allocate_page(pfn, VMI_PAGE_PD | VMI_PAGE_PAE | VMI_PAGE_ZEROED, 0, 0, 0);
    set(at(tree.pointers) + 1, (uint64_t)pfn * PAGE | OF_A_POINTER, VMI_PAGE_PDP);
    load_tree(&tree);
    release_tree(&tree);
    release(pfn, VMI_PAGE_PD);
}

/* The store maps a page. */
static void table_stored_to_by_a_second_mapping(void)
{
    struct tree tree = new_tree();
    word pfn = new_page();
    volatile uint64_t *entries;

    load_tree(&tree);
    entries = map(&tree, tree.pages);
    entries[place_of(pfn)] = (uint64_t)pfn * PAGE | WRITE;
    *(volatile uint64_t *)(word)(place_of(pfn) * PAGE) = 0x5a;
    sees(*at(pfn) == 0x5a ? "the entry is used" : "the entry is not used");
    release_tree(&tree);
}

/* Uses what a store to a table past the calls has mapped, at an address. */
static void use(word address, word pfn)
{
    *(volatile uint64_t *)address = 0x5a;
    sees(*at(pfn) == 0x5a ? "the entry is used" : "the entry is not used");
}

/* Stores the entry that maps a frame, which is not there yet, to a page table by one address or
 * another. */
static void store_entry(const struct tree *tree, volatile uint64_t *entries)
{
    word pfn = new_page();

    load_tree(tree);
    entries[place_of(pfn)] = (uint64_t)pfn * PAGE | WRITE;
    use(place_of(pfn) * PAGE, pfn);
}

static void entry_stored_in_place(void)
{
    struct tree tree = new_tree();

    store_entry(&tree, at(tree.pages));
    release_tree(&tree);
}

static void entry_stored_and_announced(void)
{
    struct tree tree = new_tree();

    store_entry(&tree, at(tree.pages));
    vmi_update_pxe_long(at(tree.pages), VMI_PAGE_PT);
    release_tree(&tree);
}

static void entry_of_a_directory_stored_in_place(void)
{
    struct tree tree = new_tree();
    word pages = new_table(VMI_PAGE_PT), pfn = new_page();

    set(at(pages), (uint64_t)pfn * PAGE | WRITE, VMI_PAGE_PT);
    load_tree(&tree);
    ((volatile uint64_t *)at(tree.directory))[1] = (uint64_t)pages * PAGE | TABLE;
    use(ENTRIES * PAGE, pfn);
    release_tree(&tree);
    release(pages, VMI_PAGE_PT);
}

#ifdef __x86_64__
/* The page table is one of the image's pages, and written where the image is mapped. */
static void entry_stored_in_the_image(void)
{
    struct tree tree = new_tree();
    word pages = ((word)plain - (word)vmi_image_start) / PAGE + 0x100000 / PAGE;

    for (uint32_t i = 0; i < ENTRIES; i++)
        plain[i] = 0;
    vmi_allocate_page(pages, VMI_PAGE_PT | VMI_PAGE_PAE | VMI_PAGE_ZEROED, 0, 0, 0);
    set(at(tree.directory), (uint64_t)pages * PAGE | TABLE, VMI_PAGE_PD);
    store_entry(&tree, plain);
    release_tree(&tree);
    release(pages, VMI_PAGE_PT);
}
#endif

#define APIC_FRAME 0xfee00u
#define PRIORITY   0x20u

/* The task priority is stored where the page is mapped. */
static void local_apic_mapped(void)
{
    struct tree tree = new_tree();
    volatile uint32_t *apic;

    load_tree(&tree);
    apic = (volatile uint32_t *)map(&tree, APIC_FRAME);
    apic[VMI_APIC_TPR / 4] = PRIORITY;
    sees(vmi_apic_read(VMI_APIC_TPR) == PRIORITY ? "the register is written"
                                                 : "the register is not written");
    vmi_apic_write(VMI_APIC_TPR, 0);
    release_tree(&tree);
}

/* Opens the memory balloon, if there is one; its number. */
static uint32_t open_balloon(void)
{
    struct vmi_device_properties facts;
    struct vmi_device_setup setup = {.queues = 1, .requests = 1, .segments = 1};
    struct vmi_device_memory needs;
    uint32_t number = 0;

    while (vmi_device_info(number, &facts) == VMI_OK && facts.kind != VMI_DEVICE_BALLOON)
        number++;
    if (vmi_device_needs(number, &setup, &needs) != VMI_OK)
        return NOTHING;
    setup.memory = (word)at(frames);
    frames += needs.size / PAGE;
    return vmi_device_open(number, &setup) == VMI_OK ? number : NOTHING;
}

/* To the balloon. */
static void give(const uint32_t *given, uint32_t count)
{
    static uint32_t balloon;
    int32_t result;

    if (!balloon)
        balloon = open_balloon() + 1;
    result = vmi_balloon_inflate(balloon - 1, given, count);
    sees(result == VMI_EBUSY        ? "BalloonInflate returns VMI_EBUSY"
         : result == (int32_t)count ? "BalloonInflate takes the frames"
         : result > 0               ? "BalloonInflate takes the frames before it"
         : balloon - 1 == NOTHING   ? "there is no memory balloon"
                                    : "BalloonInflate returns another error");
}

static void frame_given_while_mapped(void)
{
    struct tree tree = new_tree();
    uint32_t frame = (uint32_t)new_page();
    volatile uint64_t *mapped = map(&tree, frame);

    load_tree(&tree);
    give(&frame, 1);
    *mapped = 0x5a;
    sees(*mapped == 0x5a ? "the frame holds what is stored"
                         : "the frame does not hold what is stored");
    release_tree(&tree);
}

static void table_given_while_named(void)
{
    struct tree tree = new_tree();
    uint32_t given[] = {(uint32_t)new_page(), (uint32_t)tree.pages};

    load_tree(&tree);
    give(given, 2);
    release_tree(&tree);
}

/* A directory that is filled in place before it is made one. */
static void table_named_too_early(void)
{
    struct tree tree = new_tree();
    word directory = new_page(), pfn = new_page();

    at(directory)[0] = (uint64_t)pfn * PAGE | TABLE;
    vmi_allocate_page(directory, VMI_PAGE_PD | VMI_PAGE_PAE, 0, 0, 0);
    set(at(tree.pointers) + 1, (uint64_t)directory * PAGE | OF_A_POINTER, VMI_PAGE_PDP);
    load_tree(&tree);
    vmi_allocate_page(pfn, VMI_PAGE_PT | VMI_PAGE_PAE | VMI_PAGE_ZEROED, 0, 0, 0);
    release_tree(&tree);
    release(directory, VMI_PAGE_PD);
    release(pfn, VMI_PAGE_PT);
}

static void plain_page_named(void)
{
    struct tree tree = new_tree();

    set(at(tree.directory) + 1, (uint64_t)new_page() * PAGE | TABLE, VMI_PAGE_PD);
    load_tree(&tree);
    release_tree(&tree);
}

static void plain_page_named_while_loaded(void)
{
    struct tree tree = new_tree();

    load_tree(&tree);
    set(at(tree.directory) + 1, (uint64_t)new_page() * PAGE | TABLE, VMI_PAGE_PD);
    release_tree(&tree);
}

static void released_from_below(void)
{
    struct tree tree = new_tree();

    load_tree(&tree);
    release(tree.pages, VMI_PAGE_PT);
    load_boot_tables();
    release(tree.root, ROOT_KIND);
#ifdef __x86_64__
    release(tree.pointers, VMI_PAGE_PDP);
#endif
    release(tree.directory, VMI_PAGE_PD);
}

static void root_released_while_loaded(void)
{
    word root = new_root();

    load(root * PAGE, 0);
    release(root, ROOT_KIND);
    load_boot_tables();
}

static void interrupts_let_in_by_rebind(void)
{
    vmi_enable_interrupts();
    vmi_rebind(0);
    vmi_disable_interrupts();
}

static void interrupts_let_in_by_suspend(void)
{
    vmi_enable_interrupts();
    vmi_suspend();
    vmi_disable_interrupts();
}

static void lazy_twice(void)
{
    vmi_set_lazy_mode(VMI_LAZY_MMU);
    vmi_set_lazy_mode(VMI_LAZY_MMU);
    vmi_set_lazy_mode(VMI_LAZY_NONE);
}

static void update_stack(void)
{
#ifdef __x86_64__
    vmi_update_kernel_stack((word)plain + PAGE);
#else
    uint32_t ss;

    __asm__("mov %%ss, %0" : "=r"(ss));
    vmi_update_kernel_stack(ss, (word)plain + PAGE);
#endif
}

/* The other thread uses what the first one has mapped. */
static void thread_changed_while_lazy(void)
{
    struct tree tree = new_tree();
    volatile uint64_t *mapped;

    load_tree(&tree);
    vmi_set_lazy_mode(VMI_LAZY_MMU);
    mapped = map(&tree, new_page());
    update_stack();
    *mapped = 0x5a;
    sees("the mapping is there");
    vmi_set_lazy_mode(VMI_LAZY_NONE);
    release_tree(&tree);
}

static void access_begun_twice(void)
{
    vmi_begin_user_access();
    vmi_begin_user_access();
    vmi_end_user_access();
}

static void thread_changed_with_access(void)
{
    vmi_begin_user_access();
    update_stack();
    vmi_end_user_access();
}

static void xsave_off(void)
{
    vmi_xsetbv(0, 1);
}

static void frame_without_flags(void)
{
    word from;

#ifdef __x86_64__
    __asm__ volatile("mov %%rsp, %%rax\n\t"
                     "mov %%ss, %k0\n\t"
                     "push %0\n\t"
                     "push %%rax\n\t"
                     "push $0\n\t"
                     "mov %%cs, %k0\n\t"
                     "and $0xfffc, %k0\n\t" /* back to the kernel, in whatever ring */
                     "push %0\n\t"
                     "push $1f\n\t"
                     "jmp vmi_iret\n"
                     "1:"
                     : "=&r"(from)
                     :
                     : "rax", "cc", "memory");
#else
    __asm__ volatile("push $0\n\t"
                     "mov %%cs, %0\n\t"
                     "push %0\n\t"
                     "push $1f\n\t"
                     "jmp vmi_iret\n"
                     "1:"
                     : "=&r"(from)
                     :
                     : "cc", "memory");
#endif
}

static void frame_of_no_selector(void)
{
#ifdef __x86_64__
    __asm__ volatile("mov %%rsp, %%rax\n\t"
                     "mov %%ss, %%ecx\n\t"
                     "push %%rcx\n\t"
                     "push %%rax\n\t"
                     "push %0\n\t"
                     "push $0x7f8\n\t"
                     "push $1f\n\t"
                     "jmp vmi_iret\n"
                     "1:"
                     :
                     : "i"(FLAG_ALWAYS)
                     : "rax", "rcx", "cc", "memory");
#else
    __asm__ volatile("push %0\n\t"
                     "push $0x7f8\n\t"
                     "push $1f\n\t"
                     "jmp vmi_iret\n"
                     "1:"
                     :
                     : "i"(FLAG_ALWAYS)
                     : "cc", "memory");
#endif
    sees("the frame was returned by");
}

/* The call is made with the stack at the end of the table's page. */
static void gdt_beside_the_stack(void)
{
    static struct vmi_dtr dtr;
    const struct vmi_dtr first = first_gdt();
    uint64_t *table = other_gdt();
    word argument = (word)&dtr;

    dtr = (struct vmi_dtr){.limit = first.limit, .base = (word)table};
    for (uint32_t i = 0; i < (first.limit + 1u) / 8; i++)
        table[i] = ((const uint64_t *)first.base)[i];
#ifdef __x86_64__
    __asm__ volatile("mov %%rsp, %%rbx\n\t"
                     "mov %1, %%rsp\n\t"
                     "call vmi_set_gdt\n\t"
                     "mov %%rbx, %%rsp"
                     : "+D"(argument)
                     : "r"(table + ENTRIES)
                     : "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "cc", "memory");
#else
    __asm__ volatile("mov %%esp, %%ebx\n\t"
                     "mov %1, %%esp\n\t"
                     "call vmi_set_gdt\n\t"
                     "mov %%ebx, %%esp"
                     : "+a"(argument)
                     : "r"(table + ENTRIES)
                     : "ebx", "ecx", "edx", "cc", "memory");
#endif
}

static void gdt_in_a_page_table(void)
{
    word pfn = new_page();
    const struct vmi_dtr first = first_gdt();
    struct vmi_dtr dtr;

    for (uint32_t i = 0; i < (first.limit + 1u) / 8; i++)
        at(pfn)[i] = ((const uint64_t *)first.base)[i];
    vmi_allocate_page(pfn, VMI_PAGE_PT | VMI_PAGE_PAE, 0, 0, 0);
    dtr = (struct vmi_dtr){.limit = first.limit, .base = (word)at(pfn)};
    vmi_set_gdt(&dtr);
    gdt_at(0, 0, 0);
    release(pfn, VMI_PAGE_PT);
}

#ifdef __x86_64__
static void area_in_the_processes_half(void)
{
    struct tree tree = new_tree();
    uint64_t old = vmi_get_gs_base();
    volatile uint64_t *area = map(&tree, new_page());

    load_tree(&tree);
    vmi_set_gs_base((word)area);
    vmi_set_gs_base(old);
    release_tree(&tree);
}

static void user_root_released_while_loaded(void)
{
    word root = new_root(), user = new_table(VMI_PAGE_PML4);

    load(root * PAGE, user * PAGE);
    release(user, VMI_PAGE_PML4);
    load_boot_tables();
    release(root, VMI_PAGE_PML4);
}

static void address_not_canonical(void)
{
    struct vmi_invpcid what = {.address = 1ull << 60};

    vmi_inval_pcid(0, &what);
}

static void area_off_its_boundary(void)
{
    static uint64_t area[PAGE / 8] __attribute__((aligned(16)));
    uint64_t old = vmi_get_gs_base();

    vmi_set_gs_base((word)&area[1]);
    vmi_set_gs_base(old);
}

static void pcid_off(void)
{
    struct vmi_invpcid what = {.pcid = 1};

    vmi_inval_pcid(1, &what);
}

static void user_root_differs(void)
{
    word root = new_root(), user = new_table(VMI_PAGE_PML4), pointers = new_table(VMI_PAGE_PDP);

    set(at(root), (uint64_t)pointers * PAGE | TABLE, VMI_PAGE_PML4);
    load(root * PAGE, user * PAGE);
    load_boot_tables();
}
#else
static void top_directory_of_boot(void)
{
    word pfn = new_page(), boot = info->boot_cr3 / PAGE;

    for (uint32_t i = 0; i < 4; i++)
        at(pfn)[i] = at(boot)[i];
    vmi_allocate_page(pfn, VMI_PAGE_PDP | VMI_PAGE_PAE | VMI_PAGE_CLONE, boot, 0, 4);
    release(pfn, VMI_PAGE_PDP);
}
#endif

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
#define CASE(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }
    CASE(insb_backwards),
    CASE(insw_backwards),
    CASE(insl_backwards),
    CASE(outsb_backwards),
    CASE(outsw_backwards),
    CASE(outsl_backwards),
    CASE(unknown_register_read),
    CASE(unknown_register_written),
    CASE(entry_of_a_plain_page),
    CASE(entry_of_the_boot_tables),
    CASE(entry_outside_of_the_linear_mapping),
    CASE(entry_of_another_kind),
    CASE(entry_of_a_released_table),
    CASE(update_of_a_plain_page),
    CASE(update_of_another_kind),
    CASE(update_of_the_boot_tables),
    CASE(table_mapped_writable),
    CASE(directory_mapped_writable),
    CASE(table_stored_to_by_a_second_mapping),
    CASE(entry_stored_in_place),
    CASE(entry_stored_and_announced),
    CASE(entry_of_a_directory_stored_in_place),
#ifdef __x86_64__
    CASE(entry_stored_in_the_image),
#endif
    CASE(local_apic_mapped),
    CASE(frame_given_while_mapped),
    CASE(table_given_while_named),
    CASE(table_named_too_early),
    CASE(plain_page_named),
    CASE(plain_page_named_while_loaded),
    CASE(released_from_below),
    CASE(root_released_while_loaded),
    CASE(interrupts_let_in_by_rebind),
    CASE(interrupts_let_in_by_suspend),
    CASE(lazy_twice),
    CASE(thread_changed_while_lazy),
    CASE(access_begun_twice),
    CASE(thread_changed_with_access),
#ifdef __x86_64__
    CASE(area_off_its_boundary),
    CASE(area_in_the_processes_half),
    CASE(user_root_released_while_loaded),
    CASE(pcid_off),
    CASE(user_root_differs),
#else
    CASE(top_directory_of_boot),
#endif
    CASE(frame_without_flags),
    CASE(gdt_off_its_page),
    CASE(gdt_beside_the_stack),
    CASE(gdt_in_a_page_table),
    CASE(code_of_ring_1),
    CASE(data_of_ring_2),
    CASE(descriptor_stored_in_place),
#ifdef __i386__
    CASE(descriptor_of_an_ldt_stored_in_place),
#endif
    CASE(selector_left_behind),
    CASE(gate_written_in_place),
    /* The processor raises an exception for which there is no handler: made only if asked for. */
    CASE(xsave_off),
    CASE(frame_of_no_selector),
#ifdef __x86_64__
    CASE(address_not_canonical),
#endif
};

#ifdef __x86_64__
#define LAST_ONES 3
#else
#define LAST_ONES 2
#endif

/* Is one of the command line's words `case=NAME`, and is there any that begins so? */
static bool is_asked(const char *line, const char *name, bool *any)
{
    const char *const key = "case=";

    for (; *line; line++) {
        uint32_t i = 0, length = 0;

        while (i < 5 && line[i] == key[i])
            i++;
        if (i < 5)
            continue;
        *any = true;
        while (name[length] && line[5 + length] == name[length])
            length++;
        if (!name[length] && (!line[5 + length] || line[5 + length] == ' '))
            return true;
    }
    return false;
}

void kernel_main(const struct vmi_boot_info *boot)
{
    info = boot;
    for (uint32_t i = 0; i < boot->memory_count; i++)
        if (boot->memory[i].kind == VMI_MEMORY_USABLE && boot->memory[i].size > 1024 * PAGE)
            frames = boot->memory[i].base / PAGE + 16;
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool any = false, asked = is_asked(boot->command_line, cases[i].name, &any);

        if (any ? !asked : i >= sizeof(cases) / sizeof(cases[0]) - LAST_ONES)
            continue;
        print("# case ");
        print(cases[i].name);
        print("\r\n");
        cases[i].run();
        print("# end ");
        print(cases[i].name);
        print("\r\n");
    }
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS);
}
