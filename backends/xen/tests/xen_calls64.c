/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Calls of x86-64's alone, control and debug registers, and what a further CPU begins with, as a
 * Linux process: this file plays Xen and the library's other parts, and notes what they get.
 */
#include "xen/builder.h"

#include "xen/arch/x86_64/entries.h"

#include "backends/plain_memory.h"
#include "backends/played.h"

static struct vmi__xen_cpu records[2];
struct vmi__xen_cpu *vmi__xen_cpus[VMI__XEN_CPUS_MAX] = {&records[0], &records[1]};

/* What a process may not do: it has no GS base that leads to the CPU's record. */
#define vmi__xen_this() 0u
#define vmi__xen_self() vmi__xen_cpus[0]

#include "xen/arch/x86_64/calls.c"

#include "xen/processor.c"

#include "xen/arch/x86_64/context.c"

/* Linux, arch/x86/entry/syscalls/syscall_64.tbl, and arch/x86/include/uapi/asm/prctl.h */
#define SYS_ARCH_PRCTL 158
#define ARCH_SET_GS    0x1001

static uint16_t states[4] = {0, 0, VMI__XEN_ROOT, 0};
static xen_pfn_t frames[4] = {0x10, 0x11, 0x12, 0x13};
struct vmi__xen_memory vmi__xen_memory = {.state = states, .linear_pages = 4};
struct vmi_boot_info vmi__boot;

/* ---- what Xen and the other parts were told ---- */

static struct {
    uint32_t call, number;
    uintptr_t a, b;
} queued;

static struct {
    uint16_t type, flags;
    uintptr_t address;
} callbacks[8];
static uint32_t callback_count;

static uint64_t written;
static uint64_t *written_to;
static uintptr_t roots[2];
static uint32_t base_which, debug_index, reports, pinned;
static uintptr_t base, debug_value;
static intptr_t answer;

const char *vmi__xen_trap_entries[VMI__XEN_TRAP_ENTRIES];
const char *vmi__xen_return;
const char vmi__xen_traps[1], vmi__xen_syscall_callback[1], vmi__xen_syscall_callback32[1];
const char vmi__xen_event_callback[1], vmi__xen_failsafe_callback[1];
const unsigned char vmi__xen_iret[1];

void vmi__xen_queue(struct vmi__xen_cpu *cpu, uint32_t by, uint32_t number, uintptr_t a,
                    uintptr_t b, uintptr_t c, uintptr_t d)
{
    EXPECT(cpu == &records[0] && !c && !d);
    queued.call = by;
    queued.number = number;
    queued.a = a;
    queued.b = b;
}

void vmi__xen_carry_out_unless_lazy(struct vmi__xen_cpu *cpu)
{
    EXPECT(cpu == &records[0]);
}

void vmi__xen_write_entry(uint64_t value, uint64_t *entry)
{
    written = value;
    written_to = entry;
}

void vmi__xen_load_roots(uintptr_t root, uintptr_t user)
{
    roots[0] = root;
    roots[1] = user;
}

void vmi__xen_report(uint32_t ordinal, uintptr_t entry, uint64_t value, intptr_t error)
{
    (void)ordinal, (void)entry, (void)value, (void)error;
    reports++;
}

uintptr_t vmi__xen_mfn(uintptr_t pfn)
{
    EXPECT(pfn < sizeof(frames) / sizeof(frames[0]));
    return frames[pfn];
}

intptr_t vmi__xen_pin(uintptr_t pfn)
{
    pinned = (uint32_t)pfn;
    return answer;
}

void vmi__xen_gdt_write(void *gdt, uint32_t index, uint64_t descriptor)
{
    (void)gdt, (void)index, (void)descriptor;
}

void vmi__xen_gate_written(const void *idt, uint32_t index)
{
    (void)idt, (void)index;
}

void vmi__fatal(const char *reason)
{
    put(reason);
    for (;;)
        call(SYS_EXIT, 1, 0, 0);
}

VMI__ROUTINE void vmi__xen_flush_tlb(uint32_t flags)
{
    (void)flags;
}

VMI__ROUTINE void vmi__xen_carry_out_here(void)
{
}

VMI__ROUTINE uint32_t vmi__xen_mask(void)
{
    return 1;
}

VMI__ROUTINE void vmi__xen_enable_interrupts(void)
{
}

HYPERCALL intptr_t vmi__xen_hypercall_callback_op(uint32_t command, const void *argument)
{
    const struct callback_register *entry = argument;

    EXPECT(command == CALLBACKOP_register && callback_count < 8);
    callbacks[callback_count].type = entry->type;
    callbacks[callback_count].flags = entry->flags;
    callbacks[callback_count++].address = entry->address;
    return 0;
}

HYPERCALL intptr_t vmi__xen_hypercall_set_trap_table(const void *table)
{
    (void)table;
    return 0;
}

HYPERCALL intptr_t vmi__xen_hypercall_set_segment_base(uint32_t which, uintptr_t value)
{
    base_which = which;
    base = value;
    return answer;
}

HYPERCALL intptr_t vmi__xen_hypercall_set_debugreg(uint32_t index, uintptr_t value)
{
    debug_index = index;
    debug_value = value;
    return answer;
}

HYPERCALL intptr_t vmi__xen_hypercall_get_debugreg(uint32_t index)
{
    return (intptr_t)(debug_value + index);
}

/* ---- checks ---- */

static void an_entry_is_written_whole(void)
{
    uint64_t entry;

    vmi__xen_set_pxe_long(0x8000123456789067, &entry, VMI_PAGE_PT);
    EXPECT(written == 0x8000123456789067 && written_to == &entry);
}

/* The kernel's pages are without U/S as the kernel sees them, a process's with it. */
static void an_entry_is_shown_as_it_was_written(void)
{
    const uint64_t kernels = 0x8000000012345063, processes = 0x12345067;

    EXPECT(vmi__xen_entry_shown(kernels | VMI__XEN_PTE_KERNEL | VMI__PTE_USER) == kernels);
    EXPECT(vmi__xen_entry_shown(processes | VMI__PTE_GLOBAL) == processes);
}

static void each_root_is_loaded(void)
{
    vmi__xen_set_cr3(0x1000, 0x2000);
    EXPECT(roots[0] == 0x1000 && roots[1] == 0x2000);
    vmi__xen_set_cr3(0x3000, 0);
    EXPECT(roots[0] == 0x3000 && roots[1] == 0);
}

/* The process's stack and GS base are left before another event may come. */
static void each_entry_masks_events(void)
{
    static const uint16_t types[] = {CALLBACKTYPE_event, CALLBACKTYPE_failsafe,
                                     CALLBACKTYPE_syscall, CALLBACKTYPE_syscall32};
    const uintptr_t addresses[] = {
        (uintptr_t)vmi__xen_event_callback, (uintptr_t)vmi__xen_failsafe_callback,
        (uintptr_t)vmi__xen_syscall_callback, (uintptr_t)vmi__xen_syscall_callback32};

    callback_count = 0;
    EXPECT(vmi__xen_callbacks_register() == 0);
    EXPECT(callback_count == 4);
    for (uint32_t i = 0; i < 4; i++) {
        EXPECT(callbacks[i].type == types[i] && callbacks[i].address == addresses[i]);
        EXPECT(callbacks[i].flags & CALLBACKF_mask_events);
    }
}

static void each_base_is_that_which_was_named(void)
{
    vmi__xen_set_fs_base(0x1234567000);
    EXPECT(queued.call == VMI_ORDINAL_SET_FS_BASE && queued.b == 0x1234567000);
    EXPECT(queued.number == __HYPERVISOR_set_segment_base && queued.a == SEGBASE_FS);
    queued.number = 0;
    vmi__xen_set_user_gs_base(0x7654321000);
    EXPECT(queued.call == VMI_ORDINAL_SET_USER_GS_BASE && queued.b == 0x7654321000);
    EXPECT(queued.number == __HYPERVISOR_set_segment_base && queued.a == SEGBASE_GS_USER);
}

/* The library's words go along, and the one that says where they are is the new area's. */
static void an_area_gets_the_librarys_words(void)
{
    static uintptr_t areas[2][VMI_PERCPU_SIZE / sizeof(uintptr_t)];
    const uint32_t self = VMI_PERCPU_SELF / sizeof(uintptr_t);
    long result;

    for (uint32_t i = 0; i < VMI_PERCPU_SIZE / sizeof(uintptr_t); i++)
        areas[0][i] = 0x1000 + i;
    areas[0][self] = (uintptr_t)areas[0];
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(SYS_ARCH_PRCTL), "D"(ARCH_SET_GS), "S"(areas[0])
                     : "rcx", "r11", "memory");
    EXPECT(result == 0);
    answer = 0;
    vmi__xen_set_gs_base((uintptr_t)areas[1]);
    EXPECT(base_which == SEGBASE_GS_KERNEL && base == (uintptr_t)areas[1]);
    for (uint32_t i = 0; i < VMI_PERCPU_SIZE / sizeof(uintptr_t); i++)
        EXPECT(areas[1][i] == (i == self ? (uintptr_t)areas[1] : areas[0][i]));
    /* Its own is not copied onto itself, and stays. */
    vmi__xen_set_gs_base((uintptr_t)areas[0]);
    EXPECT(areas[0][self] == (uintptr_t)areas[0] && areas[0][self + 1] == 0x1001 + self);
}

static void task_switched_is_what_was_asked_for(void)
{
    vmi__xen_set_cr0(0x8005003b);
    EXPECT(queued.number == __HYPERVISOR_fpu_taskswitch && queued.a == 1);
    vmi__xen_set_cr0(0x80050033);
    EXPECT(queued.number == __HYPERVISOR_fpu_taskswitch && queued.a == 0);
    queued.a = 1;
    vmi__xen_clts();
    EXPECT(queued.call == VMI_ORDINAL_CLTS && queued.a == 0);
}

static void debug_registers_have_their_numbers(void)
{
    static const uint32_t numbers[] = {0, 1, 2, 3, 6, 7};

    answer = 0;
    reports = 0;
    for (uint32_t i = 0; i < 6; i++) {
        vmi__xen_set_dr(numbers[i], 0x400000 + i);
        EXPECT(debug_index == numbers[i] && debug_value == 0x400000 + i);
        EXPECT(vmi__xen_get_dr(numbers[i]) == debug_value + numbers[i]);
    }
    EXPECT(reports == 0);
    debug_index = 77;
    vmi__xen_set_dr(4, 0);
    vmi__xen_set_dr(5, 0);
    vmi__xen_set_dr(8, 0);
    EXPECT(debug_index == 77 && reports == 3);
    EXPECT(vmi__xen_get_dr(4) == 0);
    answer = VMI_EINVAL;
    vmi__xen_set_dr(7, 0);
    EXPECT(reports == 4);
    answer = 0;
}

/* Each register its own value, so that none can be another's. */
static void a_cpu_begins_with_all_that_it_was_given(void)
{
    static uintptr_t area[VMI_PERCPU_SIZE / sizeof(uintptr_t)];
    static struct vcpu_guest_context context;
    const struct vmi_ap_state state = {
        .rax = 1,
        .rbx = 2,
        .rcx = 3,
        .rdx = 4,
        .rsi = 5,
        .rdi = 6,
        .rbp = 7,
        .rsp = 8,
        .r8 = 9,
        .r9 = 10,
        .r10 = 11,
        .r11 = 12,
        .r12 = 13,
        .r13 = 14,
        .r14 = 15,
        .r15 = 16,
        .rip = 17,
        .rflags = 0x200,
        .cs = 18,
        .ss = 19,
        .ds = 20,
        .es = 21,
        .fs = 22,
        .gs = 23,
        .fs_base = 24,
        .gs_base = (uintptr_t)area,
        .user_gs_base = 25,
        .cr3 = 0x1000,
        .user_cr3 = 0x2000,
        .cr0 = 0x80000001,
        .cr2 = 26,
        .cr4 = 0x20,
    }; /* clang-format off */
    const uint64_t given[] = {state.rax, state.rbx, state.rcx, state.rdx, state.rsi, state.rdi,
                              state.rbp, state.rsp, state.r8, state.r9, state.r10, state.r11,
                              state.r12, state.r13, state.r14, state.r15, state.rip, state.cs,
                              state.ss, state.ds, state.es, state.fs, state.gs, state.fs_base,
                              state.user_gs_base, state.cr0, state.cr2, state.cr4}; /* clang-format on */

    answer = 0;
    area[VMI_PERCPU_SCRATCH / sizeof(uintptr_t)] = 0x5a;
    EXPECT(vmi__xen_context_of(&records[1], 1, &state, &context) == VMI_OK);
    const uint64_t got[] = {
        context.user_regs.rax, context.user_regs.rbx, context.user_regs.rcx, context.user_regs.rdx,
        context.user_regs.rsi, context.user_regs.rdi, context.user_regs.rbp, context.user_regs.rsp,
        context.user_regs.r8,  context.user_regs.r9,  context.user_regs.r10, context.user_regs.r11,
        context.user_regs.r12, context.user_regs.r13, context.user_regs.r14, context.user_regs.r15,
        context.user_regs.rip, context.user_regs.cs,  context.user_regs.ss,  context.user_regs.ds,
        context.user_regs.es,  context.user_regs.fs,  context.user_regs.gs,  context.fs_base,
        context.gs_base_user,  context.ctrlreg[0],    context.ctrlreg[2],    context.ctrlreg[4]};
    for (uint32_t i = 0; i < sizeof(given) / sizeof(given[0]); i++)
        EXPECT(got[i] == given[i]);
    EXPECT(context.user_regs.rflags == (state.rflags | 2));
    EXPECT(context.kernel_ss == state.ss && context.kernel_sp == state.rsp);
    EXPECT(context.gs_base_kernel == (uintptr_t)area);
    EXPECT(context.ctrlreg[3] == xen_pfn_to_cr3(frames[1]));
    EXPECT(context.ctrlreg[1] == xen_pfn_to_cr3(frames[2]) && pinned == 2);
    EXPECT(records[1].arch.info.evtchn_upcall_mask == 0 && records[1].arch.info.arch.cr2 == 26);
    /* The library's words of this CPU, and nothing else. */
    EXPECT(*(uint32_t *)((uintptr_t)area + VMI_PERCPU_NUMBER) == 1);
    EXPECT(area[VMI_PERCPU_SELF / sizeof(uintptr_t)] == (uintptr_t)area);
    EXPECT(area[VMI_PERCPU_PRIVATE / sizeof(uintptr_t)] == (uintptr_t)&records[1]);
    EXPECT(area[VMI_PERCPU_SCRATCH / sizeof(uintptr_t)] == 0);
}

static const struct played_check checks[] = {
    CHECK(an_entry_is_written_whole),
    CHECK(an_entry_is_shown_as_it_was_written),
    CHECK(each_root_is_loaded),
    CHECK(each_entry_masks_events),
    CHECK(each_base_is_that_which_was_named),
    CHECK(an_area_gets_the_librarys_words),
    CHECK(task_switched_is_what_was_asked_for),
    CHECK(debug_registers_have_their_numbers),
    CHECK(a_cpu_begins_with_all_that_it_was_given),
};

PLAY(checks)
