/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A kernel for machines of many CPUs: starts each, interrupts each, has each drop a translation,
 * sends each an NMI, and has each end. It is small, for on an emulated machine they all share a
 * processor or two. On the boot tables and the boot GDT; it ends with the verdict as its status.
 */
#include <stddef.h>
#include <stdint.h>
#include <vmi/vmi.h>

#define CPUS        255
#define STACK_WORDS 512
#define WORDS       ((CPUS + 31) / 32)

#define VECTOR_NMI   2
#define VECTOR_COUNT 0x50
#define VECTOR_FLUSH 0x51
#define VECTOR_END   0x52

#define PATIENCE 120000000000ull /* ns: for all CPUs together */

#define GATE_INTERRUPT 0x8e00u /* present, DPL 0 */

struct frame;

/* What a CPU has done. */
static struct {
    volatile uint32_t up, counted, flushed, nmis, ended;
} cpus[CPUS];

static uintptr_t stacks[CPUS][STACK_WORDS] __attribute__((aligned(16)));
static uint32_t all[WORDS];
static uintptr_t gates[256][sizeof(uintptr_t) == 8 ? 2 : 1][8 / sizeof(uintptr_t)]
    __attribute__((aligned(4096)));
static uint32_t page[1024] __attribute__((aligned(4096)));
#ifdef __x86_64__
static uint8_t areas[CPUS][VMI_PERCPU_SIZE] __attribute__((aligned(16)));
#endif

/* ---- words ---- */

static void print(const char *text)
{
    uint32_t length = 0;

    while (text[length])
        length++;
    vmi_console_write(text, length);
}

static void print_number(const char *name, uint32_t number)
{
    char digits[12], *next = digits + sizeof(digits) - 1;

    *next = 0;
    do {
        *--next = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    print(name);
    print(next);
}

static void __attribute__((noreturn)) fail(const char *reason)
{
    print("\r\nfailed: ");
    print(reason);
    print("\r\n");
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_FAIL);
}

/* ---- interrupts ---- */

static void __attribute__((interrupt)) on_nmi(struct frame *frame)
{
    (void)frame;
    cpus[vmi_current_cpu()].nmis++;
}

static void __attribute__((interrupt)) on_count(struct frame *frame)
{
    (void)frame;
    cpus[vmi_current_cpu()].counted++;
    vmi_end_of_interrupt(VECTOR_COUNT);
}

static void __attribute__((interrupt)) on_flush(struct frame *frame)
{
    (void)frame;
    vmi_inval_page((uintptr_t)page);
    cpus[vmi_current_cpu()].flushed++;
    vmi_end_of_interrupt(VECTOR_FLUSH);
}

static void __attribute__((interrupt)) on_end(struct frame *frame)
{
    (void)frame;
    vmi_end_of_interrupt(VECTOR_END);
    cpus[vmi_current_cpu()].ended = 1;
}

static void set_gate(uint32_t vector, void (*handler)(struct frame *), uint32_t cs)
{
    uintptr_t address = (uintptr_t)handler;
    uint32_t *gate = (uint32_t *)gates[vector];

    gate[0] = cs << 16 | (uint32_t)(address & 0xffff);
    gate[1] = (uint32_t)(address & 0xffff0000) | GATE_INTERRUPT;
#ifdef __x86_64__
    gate[2] = (uint32_t)(address >> 32);
#endif
}

/* ---- CPUs ---- */

static void __attribute__((noreturn, used)) begin(uintptr_t cpu)
{
    cpus[cpu].up = vmi_current_cpu() == cpu ? 1 : 2;
    while (!cpus[cpu].ended) {
        vmi_disable_interrupts();
        if (!cpus[cpu].ended)
            vmi_halt();
    }
    vmi_disable_interrupts();
    cpus[cpu].ended = 2;
    for (;;)
        vmi_halt();
}

static struct vmi_ap_state state_of(const struct vmi_boot_info *boot, uint32_t cpu)
{
    uintptr_t *stack = &stacks[cpu][STACK_WORDS - 4];
    struct vmi_ap_state state = {0};
    struct vmi_dtr gdt;
    uint32_t ss;

    vmi_get_gdt(&gdt);
    __asm__("mov %%ss, %0" : "=r"(ss));
    state.cr0 = vmi_get_cr0();
    state.cr3 = boot->boot_cr3;
    state.cr4 = vmi_get_cr4();
    state.gdtr_base = gdt.base;
    state.gdtr_limit = gdt.limit;
    state.idtr_base = (uintptr_t)gates;
    state.idtr_limit = sizeof(gates) - 1;
    state.cs = (uint16_t)boot->kernel_cs;
    state.ss = state.ds = state.es = (uint16_t)ss;
    /* As if it had been called: the argument where either convention has it, a return address. */
#ifdef __x86_64__
    state.efer = vmi_rdmsr(0xc0000080) & 0x801; /* SCE, NXE: the rest is the library's */
    state.gs_base = (uintptr_t)areas[cpu];
    state.rip = (uintptr_t)begin;
    state.rflags = 2;
    state.rdi = cpu;
    state.rsp = (uintptr_t)(stack - 1);
#else
    state.efer = 0;
    state.eip = (uintptr_t)begin;
    state.eflags = 2;
    stack[1] = cpu;
    state.eax = cpu;
    state.esp = (uintptr_t)stack;
#endif
    return state;
}

/* Waits until a number of each CPU from `first` on is what it is to be. */
static void wait(const volatile uint32_t *of_first, uint32_t first, uint32_t count, uint32_t wanted,
                 const char *what)
{
    uint64_t end = vmi_clock_nanoseconds() + PATIENCE;

    for (uint32_t cpu = first; cpu < count; cpu++) {
        const volatile uint32_t *number =
            (const volatile uint32_t *)((uintptr_t)of_first + cpu * sizeof(cpus[0]));
        while (*number != wanted) {
            if (vmi_clock_nanoseconds() >= end) {
                print_number("\r\nCPU ", cpu);
                print_number(" has ", *number);
                print_number(" of ", wanted);
                fail(what);
            }
            vmi_yield();
        }
    }
}

static void expect(int32_t result, int32_t wanted, const char *what)
{
    if (result != wanted)
        fail(what);
}

static void tell_nodes(const struct vmi_boot_info *boot)
{
    uint32_t second = 0;

    for (uint32_t cpu = 0; cpu < boot->cpu_count; cpu++)
        second += boot->cpus[cpu].node == 1;
    print_number("numa ranges=", boot->numa_count);
    print_number(" cpus_of_node_1=", second);
    print_number(" root=", boot->acpi_root != 0);
    print("\r\n");
}

void kernel_main(const struct vmi_boot_info *boot)
{
    uint32_t count = boot->cpu_count < CPUS ? boot->cpu_count : CPUS;
    struct vmi_dtr idt = {.limit = sizeof(gates) - 1, .base = (uintptr_t)gates};

    print_number("cpus=", boot->cpu_count);
    print("\r\n");
    tell_nodes(boot);
    set_gate(VECTOR_NMI, on_nmi, boot->kernel_cs);
    set_gate(VECTOR_COUNT, on_count, boot->kernel_cs);
    set_gate(VECTOR_FLUSH, on_flush, boot->kernel_cs);
    set_gate(VECTOR_END, on_end, boot->kernel_cs);
    vmi_set_idt(&idt);
    for (uint32_t cpu = 1; cpu < count; cpu++)
        all[cpu / 32] |= 1u << cpu % 32;

    /* Before any other runs, a set with all of them is one of nobody. */
    expect(vmi_send_ipi(all, count, VECTOR_COUNT), VMI_OK, "SendIPI to CPUs that wait");
    expect(vmi_send_ipi(NULL, VMI_CPUS_ALL_BUT_SELF, VECTOR_COUNT), VMI_OK, "SendIPI to no others");
    for (uint32_t cpu = 1; cpu < count; cpu++) {
        struct vmi_ap_state state = state_of(boot, cpu);
        expect(vmi_set_initial_ap_state(&state, boot->cpus[cpu].apic_id), VMI_OK,
               "SetInitialAPState");
    }
    wait(&cpus[0].up, 1, count, 1, "started");
    print("started\r\n");

    expect(vmi_send_ipi(all, count, VECTOR_COUNT), VMI_OK, "SendIPI to a set");
    wait(&cpus[0].counted, 1, count, 1, "interrupts by a set");
    expect(vmi_send_ipi(NULL, VMI_CPUS_ALL_BUT_SELF, VECTOR_COUNT), VMI_OK,
           "SendIPI to the others");
    wait(&cpus[0].counted, 1, count, 2, "interrupts to the others");
    if (cpus[0].counted)
        fail("interrupts of its own");
    print("interrupted\r\n");

    expect(vmi_flush_remote_tlb(all, count, (uintptr_t)page, 1), VMI_ENOSYS, "FlushRemoteTLB");
    expect(vmi_send_ipi(all, count, VECTOR_FLUSH), VMI_OK, "SendIPI to flush");
    wait(&cpus[0].flushed, 1, count, 1, "flushes");
    print("flushed\r\n");

    expect(vmi_send_nmi(NULL, VMI_CPUS_ALL_BUT_SELF), VMI_OK, "SendNMI to the others");
    wait(&cpus[0].nmis, 1, count, 1, "NMIs to the others");
    expect(vmi_send_nmi(all, count), VMI_OK, "SendNMI to a set");
    wait(&cpus[0].nmis, 1, count, 2, "NMIs to a set");
    print("nmis\r\n");

    /* One that does not exist is noticed, whichever word it is in. */
    all[(count - 1) / 32] = 0;
    all[WORDS - 1] |= 0x80000000;
    expect(vmi_send_ipi(all, 32 * WORDS, VECTOR_COUNT), VMI_EINVAL, "SendIPI to nobody");
    expect(vmi_send_ipi(NULL, VMI_CPUS_ALL_BUT_SELF, VECTOR_END), VMI_OK, "SendIPI to end");
    wait(&cpus[0].ended, 1, count, 2, "ends");
    print("ended\r\n");
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS);
}
