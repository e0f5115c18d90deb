/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * For each call: arguments with which it does no harm, and what must be true afterwards. Called
 * with interrupts masked; contract.h says how.
 */
#include <stddef.h>
#include <vmi/vmi.h>

#include "cases.h"
#include "checks.h"
#include "contract.h"
#include "descriptors.h"
#include "frames.h"
#include "layout.h"
#include "paging.h"
#include "string.h"
#include "threads.h"
#include "timer.h"
#include "traps.h"
#include "x86.h"

#define MSR_SYSENTER_CS 0x174 /* Intel SDM vol. 4, table 2-2 */
#define PORT_POST       0x80  /* a PC's firmware shows its progress there; takes anything */
#define VECTOR_UNUSED   0xf0
#define WINDOW_PAGE     (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY)
#define PATTERN         0xa5

#define CASE(symbol)                                                                               \
    void arguments_##symbol(struct contract_registers *in);                                        \
    void arguments_##symbol(struct contract_registers *in)
#define AFTER(symbol)                                                                              \
    void after_##symbol(const struct contract_registers *out);                                     \
    void after_##symbol(const struct contract_registers *out)
/* A call without arguments of which nothing more is to be said. */
#define PLAIN(symbol)                                                                              \
    CASE(symbol)                                                                                   \
    {                                                                                              \
        (void)in;                                                                                  \
    }

static uint8_t buffer[64] __attribute__((aligned(64)));
static struct vmi_dtr dtr;
static uint32_t saved;
static uint32_t frame;
static int32_t event = VMI_ENOENT, reference;

static uint32_t pointer(const void *to)
{
    return (uint32_t)(uintptr_t)to;
}

static void pattern(void)
{
    memset(buffer, PATTERN, sizeof(buffer));
}

/* Nothing from byte `from` of the buffer on was written. */
static void expect_pattern(uint32_t from)
{
    uint32_t written = 0;
    for (uint32_t i = from; i < sizeof(buffer); i++)
        written += buffer[i] != PATTERN;
    contract_expect("bytes written behind the result", written, 0);
}

static volatile uint32_t taken;

static void count(struct trap_frame *trap)
{
    taken++;
    vmi_end_of_interrupt(trap->vector);
}

/* An interrupt that waits to be let in. */
static void raise_pending(void)
{
    trap_handler_set(VECTOR_CHECK, count);
    taken = 0;
    vmi_send_ipi(1, 0, VECTOR_CHECK);
}

/* Lets a pending interrupt in and says whether it came once; leaves interrupts masked. */
static void expect_taken(void)
{
    vmi_enable_interrupts();
    wait_for(&taken, PATIENCE_MILLISECONDS);
    vmi_disable_interrupts();
    contract_expect("times that the pending interrupt was taken", taken, 1);
}

/* ---- processor ---- */

CASE(cpuid)
{
    in->eax = 0;
    in->ecx = 0;
}

AFTER(cpuid)
{
    contract_expect("whether leaf 1 exists", out->eax >= 1, 1);
}

CASE(rdmsr)
{
    contract_may_fault();
    in->ecx = MSR_SYSENTER_CS;
}

CASE(wrmsr)
{
    contract_may_fault();
    in->ecx = MSR_SYSENTER_CS;
    in->eax = SELECTOR(GDT_KERNEL_CODE, 0);
    in->edx = 0;
}

AFTER(wrmsr)
{
    (void)out;
    contract_expect("the register that was written", vmi_rdmsr(MSR_SYSENTER_CS),
                    SELECTOR(GDT_KERNEL_CODE, 0));
}

CASE(rdpmc)
{
    contract_may_fault();
    in->ecx = 0;
}

PLAIN(wbinvd)

/*
 * What a clock or counter said before a call; LEAP is more than passes meanwhile on any machine:
 * half a minute of a processor's cycles, or a minute of nanoseconds. Two halves that were swapped
 * leap.
 */
#define LEAP (1ull << 36)

static uint64_t stamp;

static void expect_between(const struct contract_registers *out, uint64_t later)
{
    uint64_t found = (uint64_t)out->edx << 32 | out->eax;
    contract_expect("whether it went back", found < stamp, 0);
    contract_expect("whether it ran ahead", found > later, 0);
    contract_expect("whether it leapt", later - stamp >= LEAP, 0);
}

CASE(rdtsc)
{
    (void)in;
    stamp = vmi_rdtsc();
}

AFTER(rdtsc)
{
    expect_between(out, vmi_rdtsc());
}

/* ---- descriptor tables ---- */

CASE(set_gdt)
{
    dtr = descriptors_gdt();
    in->eax = pointer(&dtr);
}

CASE(set_idt)
{
    dtr = descriptors_idt();
    in->eax = pointer(&dtr);
}

CASE(set_ldt)
{
    in->eax = 0;
}

/* LTR takes a descriptor that says "available", and makes it "busy". */
CASE(set_tr)
{
    descriptors_add_cpu(0);
    in->eax = tss_selector(0);
}

AFTER(set_tr)
{
    (void)out;
    contract_expect("the task register", vmi_get_tr(), tss_selector(0));
}

static void table_register(struct contract_registers *in)
{
    pattern();
    in->eax = pointer(buffer);
}

static void expect_table(struct vmi_dtr wanted)
{
    struct vmi_dtr found;
    memcpy(&found, buffer, sizeof(found));
    contract_expect("the base", found.base, wanted.base);
    contract_expect("the limit", found.limit, wanted.limit);
    expect_pattern(sizeof(found));
}

CASE(get_gdt)
{
    table_register(in);
}

AFTER(get_gdt)
{
    (void)out;
    expect_table(descriptors_gdt());
}

CASE(get_idt)
{
    table_register(in);
}

AFTER(get_idt)
{
    (void)out;
    expect_table(descriptors_idt());
}

PLAIN(get_ldt)

AFTER(get_ldt)
{
    contract_expect("the LDT's selector", out->eax, 0);
}

PLAIN(get_tr)

AFTER(get_tr)
{
    contract_expect("the task register", out->eax, tss_selector(0));
}

CASE(write_gdt_entry)
{
    struct descriptor entry = descriptor_data(pointer(buffer), sizeof(buffer) - 1);
    in->eax = descriptors_gdt().base;
    in->edx = GDT_SCRATCH;
    in->ecx = entry.low;
    in->stack[0] = entry.high;
}

AFTER(write_gdt_entry)
{
    (void)out;
    vmi_write_gdt_entry((void *)(uintptr_t)descriptors_gdt().base, GDT_SCRATCH, 0, 0);
}

/* A page of its own: the LDT of a hypervisor's guest is read-only while it is loaded. */
static struct descriptor ldt[PAGE_SIZE / sizeof(struct descriptor)]
    __attribute__((aligned(PAGE_SIZE)));

CASE(write_ldt_entry)
{
    struct descriptor table = descriptor_ldt(pointer(ldt), 2 * sizeof(ldt[0]) - 1);
    struct descriptor entry = descriptor_data(pointer(buffer), sizeof(buffer) - 1);
    vmi_write_gdt_entry((void *)(uintptr_t)descriptors_gdt().base, GDT_LDT, table.low, table.high);
    vmi_set_ldt(SELECTOR(GDT_LDT, 0));
    in->eax = pointer(ldt);
    in->edx = 1;
    in->ecx = entry.low;
    in->stack[0] = entry.high;
}

AFTER(write_ldt_entry)
{
    struct descriptor entry = descriptor_data(pointer(buffer), sizeof(buffer) - 1);
    (void)out;
    contract_effect("the descriptor's lower half", ldt[1].low, entry.low);
    contract_expect("the descriptor's upper half", ldt[1].high, entry.high);
    vmi_set_ldt(0);
}

CASE(write_idt_entry)
{
    struct descriptor gate =
        descriptor_gate(pointer(trap_entries) + VECTOR_UNUSED * TRAP_ENTRY_SIZE, 0);
    in->eax = descriptors_idt().base;
    in->edx = VECTOR_UNUSED;
    in->ecx = gate.low;
    in->stack[0] = gate.high;
}

CASE(update_kernel_stack)
{
    in->eax = kernel_ss();
    in->edx = thread_stack_top(thread_current());
}

/* ---- control and debug registers ---- */

CASE(set_cr0)
{
    saved = vmi_get_cr0();
    in->eax = saved ^ CR0_TS;
}

AFTER(set_cr0)
{
    (void)out;
    contract_effect("TS", vmi_get_cr0() & CR0_TS, (saved ^ CR0_TS) & CR0_TS);
    vmi_set_cr0(saved);
}

CASE(clts)
{
    (void)in;
    saved = vmi_get_cr0();
    vmi_set_cr0(saved | CR0_TS);
    if (!(vmi_get_cr0() & CR0_TS))
        contract_skip("TS cannot be set here");
}

AFTER(clts)
{
    (void)out;
    contract_effect("TS", vmi_get_cr0() & CR0_TS, 0);
    vmi_set_cr0(saved);
}

PLAIN(get_cr0)

AFTER(get_cr0)
{
    contract_expect("protection and paging", out->eax & 0x80000001, 0x80000001);
}

CASE(set_cr2)
{
    in->eax = 0x12345678;
}

AFTER(set_cr2)
{
    (void)out;
    contract_effect("CR2", vmi_get_cr2(), 0x12345678);
}

CASE(get_cr2)
{
    (void)in;
    vmi_set_cr2(0x87654320);
}

AFTER(get_cr2)
{
    contract_expect("CR2", out->eax, 0x87654320);
}

CASE(set_cr3)
{
    in->eax = aspace_cr3(&kernel_aspace);
}

AFTER(set_cr3)
{
    (void)out;
    contract_expect("CR3", vmi_get_cr3() & ~0x1fu, aspace_cr3(&kernel_aspace));
}

PLAIN(get_cr3)

AFTER(get_cr3)
{
    contract_expect("CR3", out->eax & ~0x1fu, aspace_cr3(&kernel_aspace));
}

CASE(set_cr4)
{
    in->eax = vmi_get_cr4();
}

PLAIN(get_cr4)

AFTER(get_cr4)
{
    contract_expect("PAE", out->eax & CR4_PAE, CR4_PAE);
}

CASE(set_dr)
{
    in->eax = 1;
    in->edx = pointer(buffer);
}

AFTER(set_dr)
{
    (void)out;
    contract_effect("DR1", vmi_get_dr(1), pointer(buffer));
    vmi_set_dr(1, 0);
}

CASE(get_dr)
{
    vmi_set_dr(2, pointer(buffer) + 4);
    in->eax = 2;
}

AFTER(get_dr)
{
    contract_expect("DR2", out->eax, pointer(buffer) + 4);
    vmi_set_dr(2, 0);
}

/* ---- interrupts ---- */

CASE(enable_interrupts)
{
    (void)in;
    raise_pending();
}

AFTER(enable_interrupts)
{
    (void)out;
    contract_expect("times that the pending interrupt was taken", taken, 1);
}

PLAIN(disable_interrupts)

static void expect_masked(bool wanted)
{
    contract_expect("whether interrupts were masked", wanted, true);
}

AFTER(disable_interrupts)
{
    (void)out;
    taken = 0;
    raise_pending();
    spin_milliseconds(1);
    expect_masked(taken == 0);
    expect_taken();
}

PLAIN(get_interrupt_mask)

CASE(set_interrupt_mask)
{
    in->eax = EFLAGS_IF;
    raise_pending();
}

AFTER(set_interrupt_mask)
{
    (void)out;
    contract_expect("times that the pending interrupt was taken", taken, 1);
}

/*
 * An interrupt that is pending ends the wait. With interrupts let in it is taken before the call,
 * so the alarm has to end the wait.
 */
CASE(halt)
{
    (void)in;
    raise_pending();
    timer_one_shot(20000);
}

AFTER(halt)
{
    (void)out;
    contract_expect("times that the pending interrupt was taken", taken, 1);
    timer_cancel();
}

CASE(iret)
{
    (void)in;
}

CASE(end_of_interrupt)
{
    in->eax = VECTOR_CHECK;
}

CASE(send_ipi)
{
    trap_handler_set(VECTOR_CHECK, count);
    taken = 0;
    in->eax = 1;
    in->edx = 0;
    in->ecx = VECTOR_CHECK;
}

AFTER(send_ipi)
{
    contract_expect("the result", out->eax, VMI_OK);
    expect_taken();
}

/* An interrupt to this CPU: shorthand "self" of the interrupt command (Intel SDM vol. 3A, 11.6.1).
 */
CASE(apic_write)
{
    trap_handler_set(VECTOR_CHECK, count);
    taken = 0;
    in->eax = VMI_APIC_ICR_LOW;
    in->edx = 0x00040000 | VECTOR_CHECK;
}

AFTER(apic_write)
{
    (void)out;
    expect_taken();
}

CASE(apic_read)
{
    in->eax = VMI_APIC_ID;
}

AFTER(apic_read)
{
    contract_expect("this CPU's identifier", out->eax >> 24, checks_boot_info->apic_id[0]);
}

/* ---- page tables ---- */

static bool take_frame(void)
{
    frame = frame_allocate_zeroed();
    if (frame == FRAME_NONE)
        contract_skip("memory is short");
    return frame != FRAME_NONE;
}

static uint64_t *window_entry(void)
{
    return aspace_entry(&kernel_aspace, MAP_WINDOW, false);
}

CASE(set_pxe)
{
    if (!take_frame())
        return;
    vmi_allocate_page(frame, VMI_PAGE_PT | VMI_PAGE_ZEROED, 0, 0, 0);
    in->eax = (uint32_t)pte_value(frame, PTE_PRESENT);
    in->edx = pointer(frame_address(frame));
    in->ecx = VMI_PAGE_PT;
}

static void release_table(void)
{
    vmi_release_page(frame, VMI_PAGE_PT);
    frame_release(frame);
}

AFTER(set_pxe)
{
    (void)out;
    contract_effect("the entry", *(volatile uint32_t *)frame_address(frame),
                    (uint32_t)pte_value(frame, PTE_PRESENT));
    release_table();
}

CASE(update_pxe)
{
    if (!take_frame())
        return;
    vmi_allocate_page(frame, VMI_PAGE_PT | VMI_PAGE_ZEROED, 0, 0, 0);
    in->eax = pointer(frame_address(frame));
    in->edx = VMI_PAGE_PT;
}

AFTER(update_pxe)
{
    (void)out;
    release_table();
}

CASE(set_pxe_long)
{
    if (!take_frame())
        return;
    uint64_t value = pte_value(frame, WINDOW_PAGE);
    *(volatile uint32_t *)frame_address(frame) = 0x600dda7a;
    in->eax = (uint32_t)value;
    in->edx = (uint32_t)(value >> 32);
    in->ecx = pointer(window_entry());
    in->stack[0] = VMI_PAGE_PT;
}

AFTER(set_pxe_long)
{
    (void)out;
    vmi_inval_page(MAP_WINDOW);
    contract_expect("the mapped word", *(volatile uint32_t *)MAP_WINDOW, 0x600dda7a);
    window_map(MAP_WINDOW, 0, 0);
    vmi_inval_page(MAP_WINDOW);
    frame_release(frame);
}

CASE(update_pxe_long)
{
    in->eax = pointer(window_entry());
    in->edx = VMI_PAGE_PT;
}

static uint64_t entry_of_image(void)
{
    return pte_value(frame_of(buffer), PTE_PRESENT);
}

CASE(machine_to_physical)
{
    uint64_t machine = vmi_physical_to_machine(entry_of_image());
    in->eax = (uint32_t)machine;
    in->edx = (uint32_t)(machine >> 32);
}

AFTER(machine_to_physical)
{
    contract_expect("the entry", (uint64_t)out->edx << 32 | out->eax, entry_of_image());
}

CASE(physical_to_machine)
{
    in->eax = (uint32_t)entry_of_image();
    in->edx = (uint32_t)(entry_of_image() >> 32);
}

AFTER(physical_to_machine)
{
    contract_expect("the entry translated back",
                    vmi_machine_to_physical((uint64_t)out->edx << 32 | out->eax), entry_of_image());
}

CASE(allocate_page)
{
    if (!take_frame())
        return;
    in->eax = frame;
    in->edx = VMI_PAGE_PT | VMI_PAGE_PAE | VMI_PAGE_ZEROED;
}

AFTER(allocate_page)
{
    (void)out;
    vmi_release_page(frame, VMI_PAGE_PT | VMI_PAGE_PAE);
    frame_release(frame);
}

CASE(release_page)
{
    if (!take_frame())
        return;
    vmi_allocate_page(frame, VMI_PAGE_PT | VMI_PAGE_PAE | VMI_PAGE_ZEROED, 0, 0, 0);
    in->eax = frame;
    in->edx = VMI_PAGE_PT | VMI_PAGE_PAE;
}

AFTER(release_page)
{
    (void)out;
    *(volatile uint32_t *)frame_address(frame) = 1; /* plain memory again */
    frame_release(frame);
}

CASE(inval_page)
{
    in->eax = MAP_WINDOW;
}

CASE(flush_tlb)
{
    in->eax = VMI_FLUSH_TLB | VMI_FLUSH_GLOBAL;
}

CASE(flush_remote_tlb)
{
    in->eax = 1;
    in->edx = 0;
    in->ecx = MAP_WINDOW;
    in->stack[0] = 1;
}

AFTER(flush_remote_tlb)
{
    contract_expect("whether the result is 0 or ENOSYS",
                    out->eax == VMI_OK || out->eax == (uint32_t)VMI_ENOSYS, true);
}

CASE(set_linear_mapping)
{
    in->eax = 3;
    in->edx = 0;
    in->ecx = 0;
    in->stack[0] = 0;
}

/* Leaving a mode with an update in store carries it out. */
CASE(set_lazy_mode)
{
    if (!take_frame())
        return;
    *(volatile uint32_t *)frame_address(frame) = 0x1a27;
    vmi_set_lazy_mode(VMI_LAZY_MMU);
    window_map(MAP_WINDOW, frame, WINDOW_PAGE);
    in->eax = VMI_LAZY_NONE;
}

AFTER(set_lazy_mode)
{
    (void)out;
    contract_expect("the mapped word", *(volatile uint32_t *)MAP_WINDOW, 0x1a27);
    window_map(MAP_WINDOW, 0, 0);
    vmi_inval_page(MAP_WINDOW);
    frame_release(frame);
}

/* ---- ports ---- */

#define PORT_IN(symbol)                                                                            \
    CASE(symbol)                                                                                   \
    {                                                                                              \
        in->edx = PORT_POST;                                                                       \
    }
PORT_IN(inb)
PORT_IN(inw)
PORT_IN(inl)

#define PORT_OUT(symbol)                                                                           \
    CASE(symbol)                                                                                   \
    {                                                                                              \
        in->eax = 0;                                                                               \
        in->edx = PORT_POST;                                                                       \
    }
PORT_OUT(outb)
PORT_OUT(outw)
PORT_OUT(outl)

#define PORT_IN_ROW(symbol, size)                                                                  \
    CASE(symbol)                                                                                   \
    {                                                                                              \
        pattern();                                                                                 \
        in->edx = PORT_POST;                                                                       \
        in->edi = pointer(buffer);                                                                 \
        in->ecx = 3;                                                                               \
    }                                                                                              \
    AFTER(symbol)                                                                                  \
    {                                                                                              \
        (void)out;                                                                                 \
        expect_pattern(3 * (size));                                                                \
    }
PORT_IN_ROW(insb, 1)
PORT_IN_ROW(insw, 2)
PORT_IN_ROW(insl, 4)

#define PORT_OUT_ROW(symbol)                                                                       \
    CASE(symbol)                                                                                   \
    {                                                                                              \
        in->edx = PORT_POST;                                                                       \
        in->esi = pointer(buffer);                                                                 \
        in->ecx = 3;                                                                               \
    }
PORT_OUT_ROW(outsb)
PORT_OUT_ROW(outsw)
PORT_OUT_ROW(outsl)

PLAIN(io_delay)

CASE(set_iopl_mask)
{
    in->eax = checks_boot_info->kernel_rpl << 12;
}

/* ---- time ---- */

PLAIN(get_cycle_frequency)

AFTER(get_cycle_frequency)
{
    contract_expect("the frequency", (uint64_t)out->edx << 32 | out->eax,
                    vmi_get_cycle_frequency());
}

CASE(get_cycle_counter)
{
    stamp = vmi_get_cycle_counter(VMI_CYCLES_REAL);
    in->eax = VMI_CYCLES_REAL;
}

AFTER(get_cycle_counter)
{
    expect_between(out, vmi_get_cycle_counter(VMI_CYCLES_REAL));
}

CASE(clock_nanoseconds)
{
    (void)in;
    stamp = vmi_clock_nanoseconds();
}

AFTER(clock_nanoseconds)
{
    expect_between(out, vmi_clock_nanoseconds());
}

CASE(get_wallclock_time)
{
    (void)in;
    stamp = vmi_get_wallclock_time();
}

AFTER(get_wallclock_time)
{
    expect_between(out, vmi_get_wallclock_time());
}

CASE(wallclock_updated)
{
    (void)in;
    vmi_wallclock_updated();
}

AFTER(wallclock_updated)
{
    contract_expect("the result", out->eax, 0);
}

CASE(steal_time)
{
    (void)in;
    stamp = vmi_steal_time();
}

AFTER(steal_time)
{
    expect_between(out, vmi_steal_time());
}

CASE(set_alarm)
{
    uint64_t expiry = vmi_get_cycle_counter(VMI_CYCLES_REAL) + timer_cycles(2000000);
    in->eax = VMI_ALARM_WIRED_LVTT | VMI_CYCLES_REAL | VMI_ALARM_ONESHOT;
    in->edx = (uint32_t)expiry;
    in->ecx = (uint32_t)(expiry >> 32);
}

AFTER(set_alarm)
{
    (void)out;
    vmi_cancel_alarm(VMI_ALARM_WIRED_LVTT | VMI_CYCLES_REAL);
}

CASE(cancel_alarm)
{
    uint64_t expiry = vmi_get_cycle_counter(VMI_CYCLES_REAL) + timer_cycles(2000000);
    vmi_set_alarm(VMI_ALARM_WIRED_LVTT | VMI_CYCLES_REAL | VMI_ALARM_ONESHOT, expiry, 0);
    in->eax = VMI_ALARM_WIRED_LVTT | VMI_CYCLES_REAL;
}

/* ---- machine ---- */

/* A CPU that does not exist: one that does is started by a check of its own. */
CASE(set_initial_ap_state)
{
    static struct vmi_ap_state state;
    in->eax = pointer(&state);
    in->edx = 0xfd;
}

AFTER(set_initial_ap_state)
{
    contract_expect("the result", out->eax, (uint32_t)VMI_EINVAL);
}

CASE(console_write)
{
    static const char line[] = "# contract.ConsoleWrite\r\n";
    in->eax = pointer(line);
    in->edx = sizeof(line) - 1;
}

AFTER(console_write)
{
    contract_expect("bytes written", out->eax, 25);
}

CASE(console_read)
{
    pattern();
    in->eax = pointer(buffer);
    in->edx = 8;
}

AFTER(console_read)
{
    contract_expect("whether more came than there was room", out->eax > 8, 0);
    expect_pattern(out->eax & 0xf);
}

/* More rounds than hypervisors want to see before they are told of a wait. */
#define LONG_WAIT 5000

/* What is left to hypercalls only after many rounds finds as many. */
CASE(yield)
{
    uint32_t before = contract_hypercalls();

    (void)in;
    for (uint32_t round = 0; round < LONG_WAIT; round++)
        vmi_yield();
    contract_made(VMI_ORDINAL_YIELD, contract_hypercalls() - before);
}

CASE(kick)
{
    in->eax = 0;
}

AFTER(kick)
{
    contract_expect("whether the result is 0 or ENOSYS",
                    out->eax == VMI_OK || out->eax == (uint32_t)VMI_ENOSYS, true);
}

CASE(share_page)
{
    if (!take_frame())
        return;
    in->eax = frame;
    in->edx = 0;
    in->ecx = VMI_SHARE_READ;
}

AFTER(share_page)
{
    contract_expect("whether the result is a reference", (int32_t)out->eax >= 0, true);
    if ((int32_t)out->eax >= 0)
        contract_expect("taking it back", (uint32_t)vmi_unshare_page(out->eax), VMI_OK);
    frame_release(frame);
}

CASE(unshare_page)
{
    if (!take_frame())
        return;
    reference = vmi_share_page(frame, 0, VMI_SHARE_READ);
    in->eax = (uint32_t)reference;
}

AFTER(unshare_page)
{
    contract_expect("the result", out->eax, VMI_OK);
    frame_release(frame);
}

/* The console's event, where it has one. Taken before the checks that bind it for good. */
static void note_console(struct trap_frame *trap)
{
    char typed[16];

    while (vmi_console_read(typed, sizeof(typed)) > 0)
        ;
    vmi_end_of_interrupt(trap->vector);
}

void cases_bind_console(void)
{
    trap_handler_set(VECTOR_CONSOLE, note_console);
    uint32_t before = contract_hypercalls();
    event = vmi_event_bind(VMI_EVENT_CONSOLE, 0, VECTOR_CONSOLE);
    contract_made(VMI_ORDINAL_EVENT_BIND, contract_hypercalls() - before);
}

int32_t cases_console_event(void)
{
    return event;
}

CASE(event_bind)
{
    in->eax = VMI_EVENT_CONSOLE;
    in->edx = 0;
    in->ecx = VECTOR_CONSOLE;
}

AFTER(event_bind)
{
    contract_expect("the result for what is bound already", out->eax,
                    (uint32_t)(event >= 0 ? VMI_EBUSY : event));
}

static void use_event(struct contract_registers *in)
{
    if (event < 0)
        contract_skip("this console raises no event");
    in->eax = (uint32_t)event;
}

CASE(event_unmask)
{
    use_event(in);
}

AFTER(event_unmask)
{
    contract_expect("the result", out->eax, VMI_OK);
}

CASE(event_notify)
{
    use_event(in);
}

AFTER(event_notify)
{
    contract_expect("the result", out->eax, VMI_OK);
}

/* Checks run on the first CPU; on others behaviour.c asks. */
PLAIN(current_cpu)

AFTER(current_cpu)
{
    contract_expect("the number of this CPU", out->eax, 0);
}
