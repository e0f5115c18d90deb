/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Two processes that take turns, by the calls of calls.h alone. Each has its own root and user
 * root, FS and GS base, stack and data at the same addresses.
 */
#include "calls.h"

#define PAGE         4096u
#define ENTRIES      512u
#define PRESENT      1u
#define WRITE        2u
#define USER         4u
#define FRAME        0x000ffffffffff000ull
#define KERNEL_SLOTS 256u /* the root's upper half */

#define CODE  0x400000u
#define STACK 0x401000u
#define DATA  0x402000u

#define RFLAGS_IF 0x200u

#define PROCESSES 2

struct frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

struct process {
    uint64_t root, user, stack_pointer, stack_top, fs, gs;
    uint32_t said, breakpoints, faults;
    bool ended;
};

/* The kernel's own per-CPU data comes behind the library's. */
struct area {
    struct percpu library;
    uint64_t mark;
};

extern const char program[], program_end[];
void entry_3(void), entry_13(void), entry_14(void), entry_syscall(void), first_return(void);
void switch_stack(uint64_t *old, uint64_t new);
void exception_handler(struct frame *frame);
void syscall_handler(struct frame *frame);

static const struct boot *boot;
static uint64_t next_frame;
static struct process processes[PROCESSES], *current;
static uint64_t main_stack;
static struct area area = {.mark = 0x6d61726b};
static uint32_t failures;

static void print(const char *text)
{
    uint64_t length = 0;

    while (text[length])
        length++;
    vmi_console_write(text, length);
}

static void print_number(const char *name, uint64_t value)
{
    char digits[19] = "0x";

    for (int i = 0; i < 16; i++)
        digits[2 + i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
    print(name);
    vmi_console_write(digits, 18);
}

static void expect(const char *what, bool holds)
{
    if (holds)
        return;
    failures++;
    print("wrong: ");
    print(what);
    print("\r\n");
}

/* ---- memory ---- */

static uint64_t *linear(uint64_t frame)
{
    return (uint64_t *)(LINEAR_BASE + frame * PAGE);
}

static uint64_t take(void)
{
    if (next_frame == boot->end_frame) {
        print("no memory\r\n");
        vmi_shutdown(false);
    }
    for (uint32_t i = 0; i < ENTRIES; i++)
        linear(next_frame)[i] = 0;
    return next_frame++;
}

static uint64_t new_table(enum table kind)
{
    uint64_t frame = take();

    vmi_allocate_page(frame, kind);
    return frame;
}

static void map(uint64_t table, uint32_t index, uint64_t frame, uint64_t bits)
{
    vmi_set_pxe(frame << 12 | bits | PRESENT | USER, &linear(table)[index]);
}

/* ---- processes ---- */

static void create(struct process *process, uint64_t number)
{
    uint64_t root = take(), user = take();
    uint64_t pdp = new_table(TABLE_PDP), pd = new_table(TABLE_PD), pt = new_table(TABLE_PT);
    uint64_t code = take(), stack = take(), data = take(), kernel_stack;
    struct frame *frame;

    /* The kernel's half is copied raw; a hypervisor's slots in it are its own affair. */
    for (uint32_t i = KERNEL_SLOTS; i < ENTRIES; i++)
        linear(root)[i] = linear(boot->root >> 12)[i];
    vmi_allocate_page(root, TABLE_PML4);
    vmi_allocate_page(user, TABLE_PML4);
    map(pt, CODE >> 12 & (ENTRIES - 1), code, 0);
    map(pt, STACK >> 12 & (ENTRIES - 1), stack, WRITE);
    map(pt, DATA >> 12 & (ENTRIES - 1), data, WRITE);
    map(pd, CODE >> 21, pt, WRITE);
    map(pdp, 0, pd, WRITE);
    map(root, 0, pdp, WRITE);
    map(user, 0, pdp, WRITE);

    for (uint64_t i = 0; i < (uint64_t)(program_end - program); i++)
        ((char *)linear(code))[i] = program[i];
    linear(data)[0] = 0xda7a0000 + number;
    linear(data)[8] = 0xf5000000 + number; /* at its FS base */
    linear(data)[16] = 0x65000000 + number;
    process->fs = DATA + 8 * sizeof(uint64_t);
    process->gs = DATA + 16 * sizeof(uint64_t);
    process->root = root << 12;
    process->user = boot->user_root ? user << 12 : 0;

    kernel_stack = (uint64_t)linear(take());
    process->stack_top = kernel_stack + PAGE;
    frame = (struct frame *)process->stack_top - 1;
    frame->r12 = number;
    frame->rip = CODE;
    frame->cs = boot->user_cs;
    frame->ss = boot->user_ss;
    frame->rsp = STACK + PAGE;
    frame->rflags = RFLAGS_IF | 2;
    uint64_t *top = (uint64_t *)frame - 7;
    top[6] = (uint64_t)first_return;
    process->stack_pointer = (uint64_t)top;
}

static void load(const struct process *process)
{
    vmi_set_cr3(process->root, process->user);
    vmi_update_kernel_stack(process->stack_top);
    vmi_set_fs_base(process->fs);
    vmi_set_user_gs_base(process->gs);
}

static void give_way(void)
{
    struct process *from = current, *to = current == &processes[0] ? &processes[1] : &processes[0];

    if (to->ended)
        return;
    current = to;
    load(to);
    switch_stack(&from->stack_pointer, to->stack_pointer);
}

static void end_process(void)
{
    uint64_t ignored;

    current->ended = true;
    give_way();
    switch_stack(&ignored, main_stack);
}

/* ---- entries ---- */

static uint64_t kernel_mark(void)
{
    uint64_t mark;

    __asm__ volatile("mov %%gs:%c1, %0" : "=r"(mark) : "i"(__builtin_offsetof(struct area, mark)));
    return mark;
}

void exception_handler(struct frame *frame)
{
    expect("GS base in an exception", kernel_mark() == area.mark);
    if (frame->vector == 3 && frame->cs == boot->user_cs) {
        current->breakpoints++;
        return;
    }
    if (frame->vector == 14 && frame->cs == boot->user_cs) {
        current->faults++;
        frame->rip += 3; /* the load */
        return;
    }
    print_number("exception ", frame->vector);
    print_number(" at ", frame->rip);
    print_number(" error ", frame->error);
    print("\r\n");
    vmi_shutdown(false);
}

void syscall_handler(struct frame *frame)
{
    uint64_t number = (uint64_t)(current - processes);

    expect("GS base in a system call", kernel_mark() == area.mark);
    expect("selectors of a system call", frame->cs == boot->user_cs && frame->ss == boot->user_ss);
    expect("the stack pointer of a system call", frame->rsp == STACK + PAGE);
    switch (frame->rax) {
    case 1:
        expect("what lies at the FS base", frame->rdi == 0xf5000000 + number);
        expect("what lies at the GS base", frame->rsi == 0x65000000 + number);
        expect("its data", frame->rdx == 0xda7a0000 + number);
        expect("a register kept across processes", frame->r10 == number);
        current->said++;
        print(number ? "process 1\r\n" : "process 0\r\n");
        return;
    case 2:
        give_way();
        return;
    default:
        end_process();
    }
}

void kernel_main(const struct boot *info)
{
    boot = info;
    next_frame = boot->first_frame;
    vmi_set_gs_base(&area.library);
    vmi_set_gate(3, entry_3, 3);
    vmi_set_gate(13, entry_13, 0);
    vmi_set_gate(14, entry_14, 0);
    vmi_set_syscall_entry(entry_syscall);
    for (uint32_t i = 0; i < PROCESSES; i++)
        create(&processes[i], i);

    current = &processes[0];
    load(current);
    switch_stack(&main_stack, current->stack_pointer);

    vmi_set_cr3(boot->root, 0);
    for (uint32_t i = 0; i < PROCESSES; i++) {
        expect("three turns", processes[i].said == 3);
        expect("three breakpoints", processes[i].breakpoints == 3);
        expect("one fault at the kernel's memory", processes[i].faults == 1);
        vmi_release_page(processes[i].root >> 12, TABLE_PML4);
    }
    print(failures ? "process model: FAILED\r\n" : "process model: passed\r\n");
    vmi_shutdown(!failures);
}
