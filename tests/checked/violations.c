/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A kernel that breaks rules of the interface, one after the other, and undoes each: a line
 * `# case NAME` comes before. With `case=NAME` on its command line it breaks that one alone.
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

#ifdef __x86_64__
#define ROOT_KIND VMI_PAGE_PML4
typedef uint64_t word;
#else
#define ROOT_KIND VMI_PAGE_PDP
typedef uint32_t word;
#endif

static const struct vmi_boot_info *info;
static uint64_t frames; /* the next one that is free */
static uint64_t table[2 * PAGE / 8] __attribute__((aligned(PAGE)));
static uint64_t gates[PAGE / 8] __attribute__((aligned(PAGE)));
static uint64_t plain[PAGE / 8] __attribute__((aligned(PAGE)));

static void print(const char *text)
{
    uint32_t length = 0;

    while (text[length] != 0)
        length++;
    vmi_console_write(text, length);
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

/* ---- the cases ---- */

#define STRING_CASE(name, call, ...)                                                               \
    static void name(void)                                                                         \
    {                                                                                              \
        __asm__ volatile("std" : : : "memory");                                                    \
        call(SOURCE, __VA_ARGS__);                                                                 \
        __asm__ volatile("cld" : : : "memory");                                                    \
    }

STRING_CASE(insb_backwards, vmi_insb, plain, 0)
STRING_CASE(insw_backwards, vmi_insw, plain, 0)
STRING_CASE(insl_backwards, vmi_insl, plain, 0)
STRING_CASE(outsb_backwards, vmi_outsb, plain, 0)
STRING_CASE(outsw_backwards, vmi_outsw, plain, 0)
STRING_CASE(outsl_backwards, vmi_outsl, plain, 0)

static void unknown_register_read(void)
{
    vmi_rdmsr(UNKNOWN);
}

static void unknown_register_written(void)
{
    vmi_wrmsr(UNKNOWN, 0);
}

/* Loads a copy of the first GDT, at that offset in its page, with another descriptor; 0: with none.
 */
static void gdt_at(uint32_t offset, uint32_t changed, uint64_t value)
{
    static struct vmi_dtr first;
    struct vmi_dtr copy;

    if (!first.base)
        vmi_get_gdt(&first);
    copy = (struct vmi_dtr){.limit = first.limit, .base = (word)table + offset};
    for (uint32_t i = 0; i < (first.limit + 1u) / 8; i++)
        ((uint64_t *)copy.base)[i] = ((const uint64_t *)first.base)[i];
    if (changed) {
        if (copy.limit < 8 * changed + 7)
            copy.limit = (uint16_t)(8 * changed + 7);
        ((uint64_t *)copy.base)[changed] = value;
    }
    vmi_set_gdt(&copy);
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

static void selector_left_behind(void)
{
    uint32_t cs;

    __asm__("mov %%cs, %0" : "=r"(cs));
    gdt_at(0, cs >> 3, 0);
    vmi_enable_interrupts();
    vmi_disable_interrupts();
    gdt_at(0, 0, 0);
}

static void gate_written_in_place(void)
{
    struct vmi_dtr dtr = {.limit = PAGE / 2 - 1, .base = (word)gates};

    vmi_set_idt(&dtr);
    gates[6] ^= 1ull << 47;
    vmi_write_idt_entry(gates, 5, 0, 0);
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

static void table_mapped_writable(void)
{
    word pages = new_table(VMI_PAGE_PT), pfn = new_page();
    uint32_t index = (uint32_t)(pfn + 7) % 512;

    set(at(pages) + index, (uint64_t)pfn * PAGE | WRITE, VMI_PAGE_PT);
    vmi_allocate_page(pfn, VMI_PAGE_PT | VMI_PAGE_PAE | VMI_PAGE_ZEROED, 0, 0, 0);
    release(pages, VMI_PAGE_PT);
    release(pfn, VMI_PAGE_PT);
}

static void frame_given_while_mapped(void)
{
    word pages = new_table(VMI_PAGE_PT);
    uint32_t frame = (uint32_t)new_page();

    set(at(pages) + (frame + 7) % 512, (uint64_t)frame * PAGE | WRITE, VMI_PAGE_PT);
    vmi_balloon_inflate(NOTHING, &frame, 1);
    release(pages, VMI_PAGE_PT);
}

static void table_given_while_named(void)
{
    word directory = new_table(VMI_PAGE_PD), pfn = new_table(VMI_PAGE_PT);
    uint32_t given[] = {(uint32_t)new_page(), (uint32_t)pfn};

    set(at(directory), (uint64_t)pfn * PAGE | TABLE, VMI_PAGE_PD);
    vmi_balloon_inflate(NOTHING, given, 2);
    release(directory, VMI_PAGE_PD);
    release(pfn, VMI_PAGE_PT);
}

static void table_named_too_early(void)
{
    word directory = new_table(VMI_PAGE_PD), pfn = new_page();

    set(at(directory), (uint64_t)pfn * PAGE | TABLE, VMI_PAGE_PD);
    vmi_allocate_page(pfn, VMI_PAGE_PT | VMI_PAGE_PAE | VMI_PAGE_ZEROED, 0, 0, 0);
    release(directory, VMI_PAGE_PD);
    release(pfn, VMI_PAGE_PT);
}

static void released_from_below(void)
{
    word directory = new_table(VMI_PAGE_PD), pfn = new_table(VMI_PAGE_PT);

    set(at(directory), (uint64_t)pfn * PAGE | TABLE, VMI_PAGE_PD);
    release(pfn, VMI_PAGE_PT);
    release(directory, VMI_PAGE_PD);
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

static void root_released_while_loaded(void)
{
    word root = new_root();

    load(root * PAGE, 0);
    release(root, ROOT_KIND);
    load((word)info->boot_cr3, 0);
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

static void thread_changed_while_lazy(void)
{
    vmi_set_lazy_mode(VMI_LAZY_MMU);
    update_stack();
    vmi_set_lazy_mode(VMI_LAZY_NONE);
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

#ifdef __x86_64__
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
    load(info->boot_cr3, 0);
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
    CASE(update_of_a_plain_page),
    CASE(table_mapped_writable),
    CASE(frame_given_while_mapped),
    CASE(table_given_while_named),
    CASE(table_named_too_early),
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
    CASE(pcid_off),
    CASE(user_root_differs),
#else
    CASE(top_directory_of_boot),
#endif
    CASE(gdt_off_its_page),
    CASE(code_of_ring_1),
    CASE(data_of_ring_2),
    CASE(selector_left_behind),
    CASE(gate_written_in_place),
    /* The instruction is an invalid opcode then: nothing comes after it. */
    CASE(xsave_off),
};

/* Is `case=NAME` the first word of the command line that begins so? */
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
        line += 5;
        while (name[length] && line[length] == name[length])
            length++;
        return !name[length] && (!line[length] || line[length] == ' ');
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

        if (any ? !asked : i == sizeof(cases) / sizeof(cases[0]) - 1)
            continue;
        print("# case ");
        print(cases[i].name);
        print("\r\n");
        cases[i].run();
    }
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS);
}
