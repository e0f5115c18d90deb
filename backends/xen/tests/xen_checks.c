/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A kernel that checks what the library for Xen does by itself: batches that Xen refuses in part,
 * the interrupt controller in software, returns that fail, descriptors that are changed on their
 * way. It stays on the boot tables. test_xen_boot.py builds and boots it.
 */
#include <stddef.h>
#include <stdint.h>

#include <vmi/vmi.h>

#include <xen/xen.h>

#include <xen/event_channel.h>

#include "xen_common/tests/xen_ktap.h"

#define PAGE_SIZE  4096u
#define PAGE_SHIFT 12
#define PRESENT    0x1u
#define WRITE      0x2u
#define USER       0x4u

#define WINDOW 0xe0000000u /* linear addresses that the boot tables leave free */

#define KERNEL_CS 0x08
#define KERNEL_DS 0x10
#define USER_CS   (0x18 | 3)
#define USER_DS   (0x20 | 3)
#define TSS       0x28
#define GOING     6 /* a data segment whose descriptor goes */
#define GOING_DS  (GOING << 3 | 3)

#define EFLAGS_IF 0x200u

#define MSR_SYSENTER_CS 0x174

#define VECTOR_PROTECTION 13
#define VECTOR_LINE0      0x41
#define VECTOR_LOW        0x50
#define VECTOR_HIGH       0x61
#define VECTOR_SYSTEM     0x80

static const struct vmi_boot_info *boot_info;
static uint64_t gdt[512] __attribute__((aligned(4096)));
static uint64_t idt[256] __attribute__((aligned(4096)));
static uint32_t next_frame;

/* Left by the entry points below. */
uint32_t saved_esp, seen_eax, seen_cs, seen_error, seen_mask;
/* A #GP that nobody waits for ends the machine. */
uint32_t expecting;

/* ---- entry points -------------------------------------------------------------------------- */

__asm__("    .text\n"
        /* uint32_t enter_user(eip, esp): to ring 3 by SYSEXIT; returns what int $0x80 was made
           with in eax. */
        "    .globl enter_user\n"
        "enter_user:\n"
        "    push %ebx; push %esi; push %edi; push %ebp\n"
        "    mov %esp, saved_esp\n"
        "    mov %edx, %ecx\n"
        "    mov %eax, %edx\n"
        "    jmp vmi_sysexit\n"
        "    .globl on_system_call\n"
        "on_system_call:\n"
        "    mov %eax, %ss:seen_eax\n"
        "    mov 4(%esp), %eax\n"
        "    mov %eax, %ss:seen_cs\n"
        "    jmp 1f\n"
        /* void return_to(cs): an IRET that has to fail; returns when #GP has come. */
        "    .globl return_to\n"
        "return_to:\n"
        "    push %ebx; push %esi; push %edi; push %ebp\n"
        "    mov %esp, saved_esp\n"
        "    pushf\n"
        "    push %eax\n"
        "    push $return_to\n"
        "    jmp vmi_iret\n"
        /* void load_data_segment(selector): a load that has to fail; returns when #GP has come. */
        "    .globl load_data_segment\n"
        "load_data_segment:\n"
        "    push %ebx; push %esi; push %edi; push %ebp\n"
        "    mov %esp, saved_esp\n"
        "    mov %eax, %es\n"
        "    ud2\n"
        "    .globl on_protection_fault\n"
        "on_protection_fault:\n"
        "    mov (%esp), %eax\n"
        "    mov %eax, %ss:seen_error\n"
        "    mov %ss, %eax\n"
        "    mov %eax, %ds\n"
        "    mov %eax, %es\n"
        "    cmpl $0, expecting\n"
        "    je on_unexpected_fault\n"
        "    call vmi_get_interrupt_mask\n"
        "    mov %eax, seen_mask\n"
        "1:  mov %ss:saved_esp, %esp\n"
        "    mov %ss, %eax\n"
        "    mov %eax, %ds\n"
        "    mov %eax, %es\n"
        "    mov seen_eax, %eax\n"
        "    pop %ebp; pop %edi; pop %esi; pop %ebx\n"
        "    ret\n"
        /* Interrupts: registers that C destroys are kept, the vector is the argument. */
        "    .macro interrupt name, vector\n"
        "    .globl \\name\n"
        "\\name:\n"
        "    push %eax; push %ecx; push %edx\n"
        "    mov $\\vector, %eax\n"
        "    call on_interrupt\n"
        "    pop %edx; pop %ecx; pop %eax\n"
        "    jmp vmi_iret\n"
        "    .endm\n"
        "    interrupt on_line0, 0x41\n"
        "    interrupt on_low, 0x50\n"
        "    interrupt on_high, 0x61\n");

uint32_t enter_user(uint32_t eip, uint32_t esp) __attribute__((regparm(3)));
void return_to(uint32_t cs) __attribute__((regparm(3), returns_twice));
void load_data_segment(uint32_t selector) __attribute__((regparm(3), returns_twice));
void on_interrupt(uint32_t vector) __attribute__((regparm(3)));
void on_unexpected_fault(void) __attribute__((noreturn));
extern const char on_system_call[], on_protection_fault[], on_line0[], on_low[], on_high[];

void on_unexpected_fault(void)
{
    print("# a protection fault that nobody waits for, error code ");
    print_number(seen_error);
    print("\r\n");
    vmi_shutdown_reason(VMI_SHUTDOWN_CRASH, VMI_STATUS_PANIC);
}

/* ---- machine ------------------------------------------------------------------------------- */

static void *linear(uint64_t physical)
{
    return (void *)(uintptr_t)(boot_info->linear_base + (uint32_t)physical);
}

static uint32_t take_frame(void)
{
    uint32_t *words = linear((uint64_t)next_frame << PAGE_SHIFT);

    for (uint32_t i = 0; i < PAGE_SIZE / 4; i++)
        words[i] = 0;
    return next_frame++;
}

/* A free stretch of memory is enough for all that is taken here. */
static void find_frames(void)
{
    for (uint32_t i = 0; i < boot_info->memory_count; i++) {
        const struct vmi_memory_range *range = &boot_info->memory[i];

        if (range->kind == VMI_MEMORY_USABLE && range->size >= 64 * PAGE_SIZE &&
            range->base >> 32 == 0)
            next_frame = (uint32_t)range->base >> PAGE_SHIFT;
    }
}

static uint64_t *top_directory(void)
{
    const uint64_t *root = linear(boot_info->boot_cr3);

    return linear(vmi_machine_to_physical(root[3]) & 0xfffff000u);
}

static void set_entry(uint64_t *entry, uint32_t pfn, uint32_t flags, uint32_t kind)
{
    vmi_set_pxe_long(pfn << PAGE_SHIFT | flags, 0, entry, kind);
}

#define INTERRUPT_GATE 0x8e00u
#define TRAP_GATE      0x8f00u

static uint64_t gate(const char *handler, uint32_t type, uint32_t dpl)
{
    uint32_t address = (uint32_t)(uintptr_t)handler;
    uint32_t cs = KERNEL_CS | boot_info->kernel_rpl;

    return (uint64_t)((address & 0xffff0000u) | type | dpl << 13) << 32 | cs << 16 |
           (address & 0xffff);
}

static void set_gate(uint32_t vector, const char *handler, uint32_t dpl)
{
    idt[vector] = gate(handler, INTERRUPT_GATE, dpl);
}

static void load_tables(void)
{
    struct vmi_dtr dtr;

    gdt[1] = 0x00cf9b000000ffffull;
    gdt[2] = 0x00cf93000000ffffull;
    gdt[3] = 0x00cffb000000ffffull;
    gdt[4] = 0x00cff3000000ffffull;
    gdt[5] = 0x0000890000000067ull; /* a TSS: stays in the kernel's table */
    dtr.limit = (GOING + 1) * 8 - 1;
    dtr.base = (uint32_t)(uintptr_t)gdt;
    vmi_set_gdt(&dtr);
    __asm__ volatile("push %0; push $1f; lret; 1: mov %1, %%ss; mov %1, %%ds; mov %1, %%es"
                     :
                     : "r"(KERNEL_CS | boot_info->kernel_rpl),
                       "r"(KERNEL_DS | boot_info->kernel_rpl)
                     : "memory");
    set_gate(VECTOR_PROTECTION, on_protection_fault, 0);
    set_gate(VECTOR_LINE0, on_line0, 0);
    set_gate(VECTOR_LOW, on_low, 0);
    set_gate(VECTOR_HIGH, on_high, 0);
    set_gate(VECTOR_SYSTEM, on_system_call, 3);
    dtr.limit = sizeof(idt) - 1;
    dtr.base = (uint32_t)(uintptr_t)idt;
    vmi_set_idt(&dtr);
}

static uint32_t all_hypercalls(void)
{
    uint32_t total = 0;

    for (uint32_t i = 0; i < vmi_hypercalls_count; i++)
        total += *vmi_hypercalls[i].count;
    return total;
}

static uint32_t hypercalls(const char *name)
{
    for (uint32_t i = 0; i < vmi_hypercalls_count; i++) {
        const char *a = vmi_hypercalls[i].name, *b = name;

        while (*a && *a == *b)
            a++, b++;
        if (*a == *b)
            return *vmi_hypercalls[i].count;
    }
    return ~0u;
}

/* ---- checks -------------------------------------------------------------------------------- */

static uint32_t domain_is_named(void)
{
    const char *text = boot_info->loader;
    static const char word[] = ", domain ";

    for (; *text; text++) {
        uint32_t i = 0;

        while (word[i] && text[i] == word[i])
            i++;
        if (!word[i])
            return text[i] ? 0 : __LINE__;
    }
    return __LINE__;
}

static uint32_t descriptors_are_raised(void)
{
    uint32_t rights = 0;
    uint8_t found;

    __asm__("lar %2, %0; sete %1" : "=r"(rights), "=q"(found) : "r"(KERNEL_DS | 1) : "cc");
    EXPECT(found && (rights >> 13 & 3) == 1);
    EXPECT((gdt[2] >> 45 & 3) == 0);
    __asm__("lar %2, %0; sete %1" : "=r"(rights), "=q"(found) : "r"(TSS) : "cc");
    EXPECT(!found);
    EXPECT(gdt[5] == 0x0000890000000067ull);
    return 0;
}

/* One entry in the middle names a page as a table that is none: it alone has to fail. */
static uint32_t batch_is_refused_in_part(void)
{
    uint32_t table = take_frame(), plain = take_frame(), page = take_frame();
    uint64_t *directory = top_directory(), *entries = linear((uint64_t)table << PAGE_SHIFT);
    volatile uint32_t *first = (volatile uint32_t *)WINDOW;
    volatile uint32_t *second = (volatile uint32_t *)(WINDOW + PAGE_SIZE);

    vmi_allocate_page(table, VMI_PAGE_PT | VMI_PAGE_PAE | VMI_PAGE_ZEROED, 0, 0, 0);
    set_entry(&directory[WINDOW >> 21 & 511], table, PRESENT | WRITE | USER, VMI_PAGE_PD);
    vmi_set_lazy_mode(VMI_LAZY_MMU);
    set_entry(&entries[0], page, PRESENT | WRITE, VMI_PAGE_PT);
    set_entry(&directory[(WINDOW >> 21 & 511) + 1], plain, PRESENT | WRITE, VMI_PAGE_PD);
    set_entry(&entries[1], page, PRESENT | WRITE, VMI_PAGE_PT);
    vmi_set_lazy_mode(VMI_LAZY_NONE);
    *first = 0x12345678;
    EXPECT(*second == 0x12345678);
    EXPECT(directory[(WINDOW >> 21 & 511) + 1] == 0);
    return 0;
}

static uint32_t switch_is_one_hypercall(void)
{
    uint32_t stack = hypercalls("stack_switch"), fpu = hypercalls("fpu_taskswitch");
    uint32_t list = hypercalls("multicall"), all = all_hypercalls();

    vmi_set_lazy_mode(VMI_LAZY_CPU);
    vmi_update_kernel_stack(KERNEL_DS | 1, 0xc0000000u);
    vmi_set_cr3((uint32_t)boot_info->boot_cr3);
    vmi_clts();
    vmi_set_lazy_mode(VMI_LAZY_NONE);
    EXPECT(hypercalls("stack_switch") == stack && hypercalls("fpu_taskswitch") == fpu);
    EXPECT(hypercalls("multicall") == list + 1 && all_hypercalls() == all + 1);
    return 0;
}

static uint32_t new_table(uint32_t kind)
{
    uint32_t pfn = take_frame();

    vmi_allocate_page(pfn, kind | VMI_PAGE_PAE | VMI_PAGE_ZEROED, 0, 0, 0);
    return pfn;
}

/* The boot tables' top directory, as a table of another tree. */
static uint32_t clone_top_directory(void)
{
    uint32_t pfn = take_frame();
    const uint64_t *from = top_directory();
    uint64_t *to = linear((uint64_t)pfn << PAGE_SHIFT);

    for (uint32_t i = 0; i < 512; i++)
        to[i] = from[i];
    vmi_allocate_page(pfn, VMI_PAGE_PD | VMI_PAGE_PAE | VMI_PAGE_CLONE,
                      (uint32_t)((const uint8_t *)from - (uint8_t *)linear(0)) >> PAGE_SHIFT, 0,
                      512);
    return pfn;
}

#define LOW_WINDOW 0x40000000u /* in the second GiB, which no table maps */

static volatile uint32_t *word_of(uint32_t pfn)
{
    return linear((uint64_t)pfn << PAGE_SHIFT);
}

/*
 * Stores until the tree is loaded; then one hypercall hands over all its tables. What is released
 * with the root is writable again, what another tree names as well is not.
 */
static uint32_t tree_is_handed_over_at_once(void)
{
    uint32_t before = all_hypercalls(), page = take_frame();
    uint32_t root = new_table(VMI_PAGE_PDP), directory = new_table(VMI_PAGE_PD);
    uint32_t table = new_table(VMI_PAGE_PT), late = new_table(VMI_PAGE_PT);
    uint32_t top = clone_top_directory();
    uint64_t *roots = linear((uint64_t)root << PAGE_SHIFT);
    uint64_t *directories = linear((uint64_t)directory << PAGE_SHIFT);
    uint64_t *entries = linear((uint64_t)table << PAGE_SHIFT);
    uint64_t *late_entries = linear((uint64_t)late << PAGE_SHIFT);
    volatile uint32_t *seen = (volatile uint32_t *)LOW_WINDOW;

    *word_of(page) = 0x12345678;
    set_entry(&entries[0], page, PRESENT | WRITE, VMI_PAGE_PT);
    set_entry(&directories[0], table, PRESENT | WRITE, VMI_PAGE_PD);
    set_entry(&roots[LOW_WINDOW >> 30], directory, PRESENT, VMI_PAGE_PDP);
    set_entry(&roots[3], top, PRESENT, VMI_PAGE_PDP);
    EXPECT(all_hypercalls() == before);

    before = all_hypercalls();
    vmi_set_cr3(root << PAGE_SHIFT);
    EXPECT(all_hypercalls() == before + 1 && *seen == 0x12345678);

    /* A table that comes later, with an entry in it, by one hypercall as well. */
    set_entry(&late_entries[1], page, PRESENT | WRITE, VMI_PAGE_PT);
    before = all_hypercalls();
    set_entry(&directories[1], late, PRESENT | WRITE, VMI_PAGE_PD);
    EXPECT(all_hypercalls() == before + 1);
    EXPECT(*(volatile uint32_t *)(LOW_WINDOW + (1u << 21) + PAGE_SIZE) == 0x12345678);

    vmi_set_cr3((uint32_t)boot_info->boot_cr3);
    before = all_hypercalls();
    vmi_release_page(root, VMI_PAGE_PDP | VMI_PAGE_PAE);
    EXPECT(all_hypercalls() == before + 1);
    vmi_release_page(top, VMI_PAGE_PD | VMI_PAGE_PAE);
    vmi_release_page(directory, VMI_PAGE_PD | VMI_PAGE_PAE);
    vmi_release_page(table, VMI_PAGE_PT | VMI_PAGE_PAE);
    vmi_release_page(late, VMI_PAGE_PT | VMI_PAGE_PAE);
    EXPECT(all_hypercalls() == before + 1);
    *word_of(root) = *word_of(top) = *word_of(directory) = *word_of(table) = *word_of(late) = 1;
    EXPECT(*word_of(late) == 1);
    return 0;
}

static uint32_t shared_table_stays(void)
{
    uint64_t *boot = &top_directory()[(WINDOW >> 21 & 511) + 2];
    uint32_t page = take_frame(), table = new_table(VMI_PAGE_PT), before;
    uint64_t *entries = linear((uint64_t)table << PAGE_SHIFT);
    volatile uint32_t *seen = (volatile uint32_t *)(WINDOW + (2u << 21));
    uint32_t root, top;

    set_entry(&entries[0], page, PRESENT | WRITE, VMI_PAGE_PT);
    set_entry(boot, table, PRESENT | WRITE, VMI_PAGE_PD);
    root = new_table(VMI_PAGE_PDP);
    top = clone_top_directory();
    set_entry(linear(((uint64_t)root << PAGE_SHIFT) + 24), top, PRESENT, VMI_PAGE_PDP);
    vmi_set_cr3(root << PAGE_SHIFT);
    *seen = 0x23456789;
    vmi_set_cr3((uint32_t)boot_info->boot_cr3);
    vmi_release_page(root, VMI_PAGE_PDP | VMI_PAGE_PAE);
    vmi_release_page(top, VMI_PAGE_PD | VMI_PAGE_PAE);
    EXPECT(*word_of(page) == 0x23456789 && *seen == 0x23456789);
    /* Still Xen's: an entry is written by a hypercall. */
    before = all_hypercalls();
    set_entry(&entries[1], page, PRESENT | WRITE, VMI_PAGE_PT);
    EXPECT(all_hypercalls() == before + 1 && seen[PAGE_SIZE / 4] == 0x23456789);
    set_entry(boot, 0, 0, VMI_PAGE_PD);
    vmi_flush_tlb(VMI_FLUSH_TLB);
    vmi_release_page(table, VMI_PAGE_PT | VMI_PAGE_PAE);
    *word_of(table) = 1;
    EXPECT(*word_of(table) == 1);
    return 0;
}

/* mov $0x1234, %eax; int $0x80 */
static const uint8_t program[] = {0xb8, 0x34, 0x12, 0, 0, 0xcd, 0x80};

static uint32_t sysexit_reaches_ring_3(void)
{
    static uint8_t stack[PAGE_SIZE] __attribute__((aligned(16)));
    uint64_t *directory = top_directory();
    uint64_t *entries =
        linear(vmi_machine_to_physical(directory[WINDOW >> 21 & 511]) & 0xfffff000u);
    uint32_t code = take_frame();
    uint8_t *bytes = linear((uint64_t)code << PAGE_SHIFT);

    for (uint32_t i = 0; i < sizeof(program); i++)
        bytes[i] = program[i];
    set_entry(&entries[2], code, PRESENT | WRITE | USER, VMI_PAGE_PT);
    vmi_wrmsr(MSR_SYSENTER_CS, KERNEL_CS);
    EXPECT(vmi_rdmsr(MSR_SYSENTER_CS) == KERNEL_CS);
    vmi_update_kernel_stack(KERNEL_DS | boot_info->kernel_rpl,
                            (uint32_t)(uintptr_t)(stack + sizeof(stack)));
    seen_cs = 0;
    EXPECT(enter_user(WINDOW + 2 * PAGE_SIZE, WINDOW + 3 * PAGE_SIZE) == 0x1234);
    EXPECT((seen_cs & 0xffff) == USER_CS);
    return 0;
}

/* As hardware has it: the selector is the error code, and the gate says whether events are let in.
 */
static uint32_t bad_return_is_a_fault(void)
{
    uint64_t trap = gate(on_protection_fault, TRAP_GATE, 0);

    expecting = 1;
    seen_error = seen_mask = ~0u;
    /* A selector of ring 3 that the table does not have. */
    return_to(0x1003);
    EXPECT(seen_error == 0x1000 && !(seen_mask & EFLAGS_IF));
    vmi_enable_interrupts();
    seen_error = ~0u;
    load_data_segment(0x1003);
    EXPECT(seen_error == 0x1000 && !(seen_mask & EFLAGS_IF));

    vmi_write_idt_entry(idt, VECTOR_PROTECTION, (uint32_t)trap, (uint32_t)(trap >> 32));
    vmi_enable_interrupts();
    seen_error = ~0u;
    load_data_segment(0x1003);
    EXPECT(seen_error == 0x1000 && seen_mask & EFLAGS_IF);
    vmi_disable_interrupts();
    load_data_segment(0x1003);
    EXPECT(!(seen_mask & EFLAGS_IF));
    trap = gate(on_protection_fault, INTERRUPT_GATE, 0);
    vmi_write_idt_entry(idt, VECTOR_PROTECTION, (uint32_t)trap, (uint32_t)(trap >> 32));
    expecting = 0;
    return 0;
}

/* Interrupts a set of CPUs that a word has room for. */
static int32_t interrupt(uint32_t set, uint32_t vector)
{
    return vmi_send_ipi(&set, 32, vector);
}

static volatile uint32_t order[8], ordered, nested, raise_again;

__attribute__((regparm(3))) void on_interrupt(uint32_t vector)
{
    if (ordered < 8)
        order[ordered++] = vector;
    if (vector == VECTOR_HIGH && raise_again) {
        /* In service, so that the low one has to wait though interrupts are let in. */
        raise_again = 0;
        interrupt(1, VECTOR_LOW);
        vmi_enable_interrupts();
        nested = ordered;
        vmi_disable_interrupts();
    }
    vmi_apic_write(VMI_APIC_EOI, 0);
}

static uint32_t vectors_have_priorities(void)
{
    vmi_disable_interrupts();
    ordered = 0;
    interrupt(1, VECTOR_LOW);
    interrupt(1, VECTOR_HIGH);
    vmi_enable_interrupts();
    EXPECT(ordered == 2 && order[0] == VECTOR_HIGH && order[1] == VECTOR_LOW);

    ordered = 0;
    raise_again = 1;
    interrupt(1, VECTOR_HIGH);
    EXPECT(nested == 1);
    EXPECT(ordered == 2 && order[1] == VECTOR_LOW);

    ordered = 0;
    vmi_apic_write(VMI_APIC_TPR, 0x50);
    interrupt(1, VECTOR_LOW);
    EXPECT(ordered == 0 && vmi_apic_read(VMI_APIC_TPR) == 0x50);
    vmi_apic_write(VMI_APIC_TPR, 0);
    EXPECT(ordered == 1);

    ordered = 0;
    vmi_apic_write(VMI_APIC_ICR_LOW, 1u << 18 | VECTOR_LOW);
    EXPECT(ordered == 1);
    vmi_disable_interrupts();
    return 0;
}

/* Lets interrupts in until so many have come, or for PATIENCE; with 0 only what is pending. */
static void wait_for_interrupts(uint32_t wanted)
{
    uint64_t end = vmi_get_cycle_counter(VMI_CYCLES_REAL) + PATIENCE;

    vmi_enable_interrupts();
    while (ordered < wanted && vmi_get_cycle_counter(VMI_CYCLES_REAL) < end)
        ;
    vmi_disable_interrupts();
}

static void load_going(void)
{
    vmi_write_gdt_entry(gdt, GOING, 0xffff, 0x00cff300);
    __asm__ volatile("mov %0, %%es" ::"r"(GOING_DS));
    vmi_write_gdt_entry(gdt, GOING, 0, 0);
}

static uint32_t es(void)
{
    uint32_t selector;

    __asm__ volatile("mov %%es, %0" : "=r"(selector));
    return selector & 0xffff;
}

static void load_flat(void)
{
    __asm__ volatile("mov %0, %%es" ::"r"(USER_DS));
}

/* ES keeps a selector whose descriptor has gone: interrupts come and go as ever. */
static uint32_t stale_segment_is_no_matter(void)
{
    vmi_disable_interrupts();
    ordered = 0;
    load_going();
    interrupt(1, VECTOR_HIGH);
    vmi_enable_interrupts();
    EXPECT(es() == 0);
    load_going();
    interrupt(1, VECTOR_LOW);
    EXPECT(es() == 0);
    /* A lazy mode is left by the library's IRET. */
    load_going();
    vmi_set_lazy_mode(VMI_LAZY_CPU);
    vmi_update_kernel_stack(KERNEL_DS | boot_info->kernel_rpl, 0xc0000000u);
    interrupt(1, VECTOR_LOW);
    vmi_set_lazy_mode(VMI_LAZY_NONE);
    vmi_disable_interrupts();
    load_flat();
    EXPECT(ordered == 3 && order[0] == VECTOR_HIGH && order[1] == VECTOR_LOW);
    return 0;
}

static uint32_t second_cpu_runs;

static void second_cpu(void)
{
    __atomic_store_n(&second_cpu_runs, 1, __ATOMIC_RELEASE);
    for (;;)
        vmi_halt();
}

/* Is the second CPU at rest, in PATIENCE? Its hypercalls would be counted as a later check's. */
static uint32_t second_cpu_rests(uint32_t sched_op_before)
{
    uint64_t end = vmi_get_cycle_counter(VMI_CYCLES_REAL) + PATIENCE;

    while (!__atomic_load_n(&second_cpu_runs, __ATOMIC_ACQUIRE) ||
           hypercalls("sched_op") == sched_op_before) {
        if (vmi_get_cycle_counter(VMI_CYCLES_REAL) >= end)
            return 0;
        __asm__ volatile("pause" ::: "memory");
    }
    return 1;
}

/*
 * The same with GS where Xen loads the segments itself: it runs something else on this CPU while it
 * starts another one.
 */
static uint32_t stale_segment_when_xen_comes_back(void)
{
    static uint32_t stack[1024];
    const struct vmi_ap_state state = {
        .cr0 = vmi_get_cr0(),
        .cr3 = (uint32_t)boot_info->boot_cr3,
        .cr4 = vmi_get_cr4(),
        .eip = (uint32_t)(uintptr_t)second_cpu,
        .eflags = 2,
        .esp = (uint32_t)(uintptr_t)&stack[1000],
        .cs = (uint16_t)(KERNEL_CS | boot_info->kernel_rpl),
        .ss = (uint16_t)(KERNEL_DS | boot_info->kernel_rpl),
        .ds = USER_DS,
        .es = USER_DS,
        .gdtr_limit = (GOING + 1) * 8 - 1,
        .gdtr_base = (uint32_t)(uintptr_t)gdt,
        .idtr_limit = sizeof(idt) - 1,
        .idtr_base = (uint32_t)(uintptr_t)idt,
    };
    uint32_t gs, sched_op;

    EXPECT(boot_info->cpu_count == 2);
    vmi_write_gdt_entry(gdt, GOING, 0xffff, 0x00cff300);
    __asm__ volatile("mov %0, %%gs" ::"r"(GOING_DS));
    vmi_write_gdt_entry(gdt, GOING, 0, 0);
    vmi_enable_interrupts();
    sched_op = hypercalls("sched_op");
    EXPECT(vmi_set_initial_ap_state(&state, boot_info->cpus[1].apic_id) == VMI_OK);
    EXPECT(vmi_get_interrupt_mask() & EFLAGS_IF);
    vmi_disable_interrupts();
    __asm__ volatile("mov %%gs, %0" : "=r"(gs));
    EXPECT((gs & 0xffff) == 0);
    EXPECT(second_cpu_rests(sched_op));
    return 0;
}

static uint32_t output_makes_no_upcalls(void)
{
    static const char line[] = "# 0123456789 0123456789 0123456789 0123456789 0123456789 01234\r\n";
    uint32_t before, room_is_free = 8;

    vmi_enable_interrupts();
    before = all_hypercalls();
    for (uint32_t i = 0; i < room_is_free; i++)
        print(line);
    vmi_disable_interrupts();
    EXPECT(all_hypercalls() == before + room_is_free);
    return 0;
}

/* The sending is one; taking the interrupt, its end, and the way back are none. */
static uint32_t interrupt_is_one_hypercall(void)
{
    uint32_t before = all_hypercalls();

    ordered = 0;
    vmi_disable_interrupts();
    interrupt(1, VECTOR_LOW);
    vmi_enable_interrupts();
    vmi_disable_interrupts();
    EXPECT(ordered == 1 && all_hypercalls() == before + 1);
    return 0;
}

static uint32_t alarm_comes_as_line_0(void)
{
    int32_t event = vmi_event_bind(VMI_EVENT_IRQ, 0, VECTOR_LINE0);
    uint64_t now = vmi_get_cycle_counter(VMI_CYCLES_REAL);

    EXPECT(event >= 0);
    EXPECT(vmi_event_bind(VMI_EVENT_IRQ, 0, VECTOR_LINE0) == VMI_EBUSY);
    EXPECT(vmi_event_notify((uint32_t)event) == VMI_EINVAL);
    ordered = 0;
    vmi_apic_write(VMI_APIC_LVTT, VECTOR_HIGH);
    vmi_set_alarm(VMI_ALARM_WIRED_IRQ0 | VMI_CYCLES_REAL, now + 1000000, 0);
    vmi_set_alarm(VMI_ALARM_WIRED_LVTT | VMI_CYCLES_REAL, now + 2000000, 0);
    /* When the later one comes, the earlier one has gone off, and is masked so far. */
    wait_for_interrupts(1);
    EXPECT(ordered == 1 && order[0] == VECTOR_HIGH);
    EXPECT(vmi_event_unmask((uint32_t)event) == VMI_OK);
    wait_for_interrupts(2);
    EXPECT(ordered == 2 && order[1] == VECTOR_LINE0);
    return 0;
}

/* ---- event channels: the linker has the library's hypercall go through here (--wrap) ---- */

int32_t __real_vmi__xen_hypercall_event_channel_op(uint32_t command, void *argument);
int32_t __wrap_vmi__xen_hypercall_event_channel_op(uint32_t command, void *argument);

static evtchn_port_t peer_sends;
static uint32_t refuse_vcpu;

int32_t __wrap_vmi__xen_hypercall_event_channel_op(uint32_t command, void *argument)
{
    struct evtchn_send send = {.port = peer_sends};
    int32_t result;

    if (command == EVTCHNOP_bind_vcpu && refuse_vcpu)
        return VMI_EINVAL;
    result = __real_vmi__xen_hypercall_event_channel_op(command, argument);
    /*
     * The peer is quick, and so is the CPU that Xen tells, this one: it looks before EventBind has
     * gone on. Xen marks the port before EVTCHNOP_send returns.
     */
    if (command == EVTCHNOP_bind_interdomain && result >= 0 && peer_sends) {
        __real_vmi__xen_hypercall_event_channel_op(EVTCHNOP_send, &send);
        wait_for_interrupts(0);
    }
    return result;
}

/* A channel to this domain itself. */
static uint32_t offer(void)
{
    struct evtchn_alloc_unbound channel = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};

    if (__real_vmi__xen_hypercall_event_channel_op(EVTCHNOP_alloc_unbound, &channel) < 0)
        return 0;
    return channel.port;
}

static uint32_t early_event_is_kept(void)
{
    uint32_t port = offer();
    int32_t event;

    EXPECT(port);
    ordered = 0;
    peer_sends = port;
    event = vmi_event_bind(VMI_EVENT_PEER, (uint32_t)DOMID_SELF << 16 | port, VECTOR_LOW);
    peer_sends = 0;
    EXPECT(event > 0 && ordered == 0);
    EXPECT(vmi_event_unmask((uint32_t)event) == VMI_OK);
    wait_for_interrupts(1);
    EXPECT(ordered == 1 && order[0] == VECTOR_LOW);
    return 0;
}

static uint32_t failed_bind_leaves_nothing(void)
{
    uint32_t port = offer();

    EXPECT(port);
    refuse_vcpu = 1;
    EXPECT(vmi_event_bind(VMI_EVENT_PEER, (uint32_t)DOMID_SELF << 16 | port, VECTOR_LOW) ==
           VMI_EIO);
    refuse_vcpu = 0;
    /* Had this end been kept, the other would not be free. */
    EXPECT(vmi_event_bind(VMI_EVENT_PEER, (uint32_t)DOMID_SELF << 16 | port, VECTOR_LOW) > 0);
    return 0;
}

static uint32_t arguments_are_checked(void)
{
    const uint32_t first = 1, beyond = 1u << boot_info->cpu_count;

    EXPECT(vmi_event_bind(VMI_EVENT_IRQ, 1, VECTOR_LOW) == VMI_EINVAL);
    EXPECT(vmi_event_bind(VMI_EVENT_CONSOLE, 0, 31) == VMI_EINVAL);
    EXPECT(vmi_event_bind(99, 0, VECTOR_LOW) == VMI_EINVAL);
    EXPECT(vmi_event_bind(VMI_EVENT_PEER, 0xfff0u << 16 | 1, VECTOR_LOW) < 0);
    EXPECT(vmi_event_unmask(77) == VMI_EINVAL && vmi_event_notify(77) == VMI_EINVAL);
    EXPECT(vmi_event_unmask(~0u) == VMI_EINVAL && vmi_event_notify(~0u) == VMI_EINVAL);
    EXPECT(vmi_event_mask(77) == VMI_EINVAL && vmi_event_unbind(~0u) == VMI_EINVAL);
    EXPECT(vmi_event_move(77, 0) == VMI_EINVAL && vmi_event_move(0, 99) == VMI_EINVAL);
    EXPECT(vmi_event_bind(VMI_EVENT_MSI, 0, VECTOR_LOW) == VMI_ENOSYS);
    EXPECT(interrupt(1, 31) == VMI_EINVAL && interrupt(1, 256) == VMI_EINVAL);
    EXPECT(interrupt(1u << boot_info->cpu_count, VECTOR_LOW) == VMI_EINVAL);
    EXPECT(vmi_send_ipi(NULL, ~0u - 2, VECTOR_LOW) == VMI_EINVAL);
    EXPECT(vmi_flush_remote_tlb(&beyond, 32, 0, 0) == VMI_EINVAL);
    EXPECT(vmi_flush_remote_tlb(NULL, ~0u - 2, 0, 0) == VMI_EINVAL);
    EXPECT(vmi_flush_remote_tlb(&first, 1, WINDOW, 100) == VMI_OK);
    EXPECT(vmi_flush_remote_tlb(NULL, VMI_CPUS_ALL_BUT_SELF, WINDOW, 1) == VMI_OK);
    EXPECT(vmi_kick(boot_info->cpu_count) == VMI_EINVAL);
    EXPECT(vmi_share_page(~0u, 0, VMI_SHARE_READ) == VMI_EINVAL);
    EXPECT(vmi_share_page(take_frame(), 0, 0) == VMI_EINVAL);
    EXPECT(vmi_unshare_page(~0u) == VMI_EINVAL && vmi_unshare_page(0) == VMI_EINVAL);
    EXPECT(vmi_get_dr(4) == 0 && vmi_get_cycle_counter(9) == 0);
    return 0;
}

void kernel_main(const struct vmi_boot_info *boot)
{
    boot_info = boot;
    plan(17);
    find_frames();
    load_tables();
    check("store.domain_name", domain_is_named());
    check("descriptors.raised", descriptors_are_raised());
    check("lazy.refused_in_part", batch_is_refused_in_part());
    check("lazy.one_hypercall", switch_is_one_hypercall());
    check("sysexit.ring_3", sysexit_reaches_ring_3());
    check("iret.bad_frame", bad_return_is_a_fault());
    check("tables.handed_over", tree_is_handed_over_at_once());
    check("tables.shared", shared_table_stays());
    check("events.priorities", vectors_have_priorities());
    check("events.one_hypercall", interrupt_is_one_hypercall());
    check("events.stale_segment", stale_segment_is_no_matter());
    check("failsafe.stale_segment", stale_segment_when_xen_comes_back());
    check("console.no_upcalls", output_makes_no_upcalls());
    check("events.line_0", alarm_comes_as_line_0());
    check("events.early", early_event_is_kept());
    check("events.failed_bind", failed_bind_leaves_nothing());
    check("arguments.checked", arguments_are_checked());
    end();
}
