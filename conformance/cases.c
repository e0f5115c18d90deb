/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * For each call: arguments with which it does no harm, and what must be true afterwards. Called
 * with interrupts masked; contract.h says how. Calls that an architecture has for itself, or whose
 * arguments are its own, are in arch/ARCH/cases.c.
 */
#include <stddef.h>
#include <vmi/vmi.h>

#include "cases.h"
#include "checks.h"
#include "contract.h"
#include "cpus.h"
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
#define PATTERN         0xa5

static uint8_t buffer[64] __attribute__((aligned(64)));
static struct vmi_dtr dtr;
static uintptr_t saved;
static uint32_t frame;
static int32_t event = VMI_ENOENT, reference;
static const uint32_t first_cpu = 1; /* a set */

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
    cpus_interrupt(1, VECTOR_CHECK);
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
    give_cpuid(in, 0, 0);
}

AFTER(cpuid)
{
    contract_expect("whether leaf 1 exists", result_cpuid_eax(out) >= 1, 1);
}

CASE(rdmsr)
{
    contract_may_fault();
    give_rdmsr(in, MSR_SYSENTER_CS);
}

CASE(wrmsr)
{
    contract_may_fault();
    give_wrmsr(in, MSR_SYSENTER_CS, SELECTOR(GDT_KERNEL_CODE, 0));
}

AFTER(wrmsr)
{
    (void)out;
    contract_expect("the register that was written", vmi_rdmsr(MSR_SYSENTER_CS),
                    SELECTOR(GDT_KERNEL_CODE, 0));
}

/* Bits 0 and 1, x87 and SSE, can be enabled wherever there is XSAVE; else the value is not taken.
 */
static bool xsave_on(void)
{
    uint32_t ecx, ignored;

    vmi_cpuid(1, 0, &ignored, &ignored, &ecx, &ignored);
    if (!(ecx & CPUID_1_ECX_XSAVE))
        return false;
    saved = vmi_get_cr4();
    vmi_set_cr4(saved | CR4_OSXSAVE);
    vmi_cpuid(1, 0, &ignored, &ignored, &ecx, &ignored);
    return ecx & CPUID_1_ECX_OSXSAVE;
}

static uint32_t xcr0(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static uint32_t saved_xcr0;

CASE(xsetbv)
{
    if (!xsave_on())
        contract_skip("this processor has no XSAVE, or CR4.OSXSAVE cannot be turned on");
    else
        saved_xcr0 = xcr0();
    give_xsetbv(in, 0, XCR0_X87 | XCR0_SSE);
}

AFTER(xsetbv)
{
    (void)out;
    contract_effect("XCR0", xcr0(), XCR0_X87 | XCR0_SSE);
    vmi_xsetbv(0, saved_xcr0);
    vmi_set_cr4(saved);
}

CASE(rdpmc)
{
    contract_may_fault();
    give_rdpmc(in, 0);
}

PLAIN(wbinvd)

/*
 * What a clock or counter said before a call; LEAP is more than passes meanwhile on any machine:
 * half a minute of a processor's cycles, or a minute of nanoseconds. Two halves that were swapped
 * leap.
 */
#define LEAP (1ull << 36)

static uint64_t stamp;

static void expect_between(uint64_t found, uint64_t later)
{
    contract_expect("whether it went back", found < stamp, 0);
    contract_expect("whether it ran ahead", found > later, 0);
    contract_expect("whether it leapt", later - stamp >= LEAP, 0);
}

CASE(rdtsc)
{
    give_rdtsc(in);
    stamp = vmi_rdtsc();
}

AFTER(rdtsc)
{
    expect_between(result_rdtsc(out), vmi_rdtsc());
}

/* ---- descriptor tables ---- */

CASE(set_gdt)
{
    dtr = descriptors_gdt();
    give_set_gdt(in, &dtr);
}

CASE(set_idt)
{
    dtr = descriptors_idt();
    give_set_idt(in, &dtr);
}

/* LTR takes a descriptor that says "available", and makes it "busy". */
CASE(set_tr)
{
    descriptors_add_cpu(0);
    give_set_tr(in, tss_selector(0));
}

AFTER(set_tr)
{
    (void)out;
    contract_expect("the task register", vmi_get_tr(), tss_selector(0));
}

static struct vmi_dtr *table_register(void)
{
    pattern();
    return (struct vmi_dtr *)(void *)buffer;
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
    give_get_gdt(in, table_register());
}

AFTER(get_gdt)
{
    (void)out;
    expect_table(descriptors_gdt());
}

CASE(get_idt)
{
    give_get_idt(in, table_register());
}

AFTER(get_idt)
{
    (void)out;
    expect_table(descriptors_idt());
}

PLAIN(get_tr)

AFTER(get_tr)
{
    contract_expect("the task register", result_get_tr(out), tss_selector(0));
}

/* ---- control and debug registers ---- */

CASE(set_cr0)
{
    saved = vmi_get_cr0();
    give_set_cr0(in, saved ^ CR0_TS);
}

AFTER(set_cr0)
{
    (void)out;
    contract_effect("TS", vmi_get_cr0() & CR0_TS, (saved ^ CR0_TS) & CR0_TS);
    vmi_set_cr0(saved);
}

CASE(clts)
{
    give_clts(in);
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
    contract_expect("protection and paging", result_get_cr0(out) & 0x80000001, 0x80000001);
}

CASE(set_cr2)
{
    give_set_cr2(in, 0x12345678);
}

AFTER(set_cr2)
{
    (void)out;
    contract_effect("CR2", vmi_get_cr2(), 0x12345678);
}

CASE(get_cr2)
{
    give_get_cr2(in);
    vmi_set_cr2(0x87654320);
}

AFTER(get_cr2)
{
    contract_expect("CR2", result_get_cr2(out), 0x87654320);
}

PLAIN(get_cr3)

AFTER(get_cr3)
{
    contract_expect("CR3", result_get_cr3(out) & ~(uintptr_t)0x1f, aspace_cr3(&kernel_aspace));
}

CASE(set_cr4)
{
    give_set_cr4(in, vmi_get_cr4());
}

PLAIN(get_cr4)

AFTER(get_cr4)
{
    contract_expect("PAE", result_get_cr4(out) & CR4_PAE, CR4_PAE);
}

CASE(set_dr)
{
    give_set_dr(in, 1, (uintptr_t)buffer);
}

AFTER(set_dr)
{
    (void)out;
    contract_effect("DR1", vmi_get_dr(1), (uintptr_t)buffer);
    vmi_set_dr(1, 0);
}

CASE(get_dr)
{
    vmi_set_dr(2, (uintptr_t)buffer + 4);
    give_get_dr(in, 2);
}

AFTER(get_dr)
{
    contract_expect("DR2", result_get_dr(out), (uintptr_t)buffer + 4);
    vmi_set_dr(2, 0);
}

/* ---- interrupts ---- */

CASE(enable_interrupts)
{
    give_enable_interrupts(in);
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
    give_set_interrupt_mask(in, EFLAGS_IF);
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
    give_halt(in);
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
    give_end_of_interrupt(in, VECTOR_CHECK);
}

/* To nobody: an NMI would come in the middle of the probe. behaviour.c sends some. */
CASE(send_nmi)
{
    static const uint32_t nobody;
    give_send_nmi(in, &nobody, 1);
}

AFTER(send_nmi)
{
    contract_expect("the result", (uint32_t)result_send_nmi(out), VMI_OK);
}

CASE(send_ipi)
{
    trap_handler_set(VECTOR_CHECK, count);
    taken = 0;
    give_send_ipi(in, &first_cpu, 1, VECTOR_CHECK);
}

AFTER(send_ipi)
{
    contract_expect("the result", result_send_ipi(out), VMI_OK);
    expect_taken();
}

/* An interrupt to this CPU: shorthand "self" of the interrupt command (Intel SDM vol. 3A, 11.6.1).
 */
CASE(apic_write)
{
    trap_handler_set(VECTOR_CHECK, count);
    taken = 0;
    give_apic_write(in, VMI_APIC_ICR_LOW, 0x00040000 | VECTOR_CHECK);
}

AFTER(apic_write)
{
    (void)out;
    expect_taken();
}

CASE(apic_read)
{
    give_apic_read(in, VMI_APIC_ID);
}

AFTER(apic_read)
{
    contract_expect("this CPU's identifier", result_apic_read(out) >> 24,
                    checks_boot_info->cpus[0].apic_id);
}

/* ---- page tables ---- */

uint32_t cases_take_frame(void)
{
    uint32_t pfn = frame_allocate_zeroed();
    if (pfn == FRAME_NONE)
        contract_skip("memory is short");
    return pfn;
}

static bool take_frame(void)
{
    frame = cases_take_frame();
    return frame != FRAME_NONE;
}

static uint64_t *window_entry(void)
{
    return aspace_entry(&kernel_aspace, MAP_WINDOW, false);
}

CASE(set_pxe_long)
{
    if (!take_frame())
        return;
    uint64_t value = pte_value(frame, WINDOW_PAGE);
    *(volatile uint32_t *)frame_address(frame) = 0x600dda7a;
    cases_give_entry(in, value, window_entry());
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
    give_update_pxe_long(in, window_entry(), VMI_PAGE_PT);
}

static uint64_t entry_of_image(void)
{
    return pte_value(frame_of(buffer), PTE_PRESENT);
}

CASE(machine_to_physical)
{
    uint64_t machine = vmi_physical_to_machine(entry_of_image());
    give_machine_to_physical(in, machine);
}

AFTER(machine_to_physical)
{
    contract_expect("the entry", result_machine_to_physical(out), entry_of_image());
}

CASE(physical_to_machine)
{
    give_physical_to_machine(in, entry_of_image());
}

AFTER(physical_to_machine)
{
    contract_expect("the entry translated back",
                    vmi_machine_to_physical(result_physical_to_machine(out)), entry_of_image());
}

CASE(allocate_page)
{
    if (!take_frame())
        return;
    give_allocate_page(in, frame, VMI_PAGE_PT | VMI_PAGE_PAE | VMI_PAGE_ZEROED, 0, 0, 0);
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
    give_release_page(in, frame, VMI_PAGE_PT | VMI_PAGE_PAE);
}

AFTER(release_page)
{
    (void)out;
    *(volatile uint32_t *)frame_address(frame) = 1; /* plain memory again */
    frame_release(frame);
}

CASE(inval_page)
{
    give_inval_page(in, MAP_WINDOW);
}

/* Where the processor has SMAP, the flag says whether pages of processes may be accessed; else both
 * calls are nothing. */
static uintptr_t access_flag(void)
{
    uint32_t highest, ebx, ignored;

    vmi_cpuid(0, 0, &highest, &ignored, &ignored, &ignored);
    if (highest < 7)
        return 0;
    vmi_cpuid(7, 0, &ignored, &ebx, &ignored, &ignored);
    return ebx & CPUID_7_EBX_SMAP ? EFLAGS_AC : 0;
}

PLAIN(begin_user_access)

AFTER(begin_user_access)
{
    contract_expect("EFLAGS.AC", out->flags & EFLAGS_AC, access_flag());
}

CASE(end_user_access)
{
    in->flags |= access_flag();
    give_end_user_access(in);
}

AFTER(end_user_access)
{
    contract_expect("EFLAGS.AC", out->flags & EFLAGS_AC, 0);
}

CASE(flush_tlb)
{
    give_flush_tlb(in, VMI_FLUSH_TLB | VMI_FLUSH_GLOBAL);
}

CASE(flush_remote_tlb)
{
    give_flush_remote_tlb(in, &first_cpu, 1, MAP_WINDOW, 1);
}

AFTER(flush_remote_tlb)
{
    int32_t result = result_flush_remote_tlb(out);
    contract_expect("whether the result is 0 or ENOSYS", result == VMI_OK || result == VMI_ENOSYS,
                    true);
}

CASE(set_linear_mapping)
{
    give_set_linear_mapping(in, 3, 0, 0, 0);
}

/* Leaving a mode with an update in store carries it out. */
CASE(set_lazy_mode)
{
    if (!take_frame())
        return;
    *(volatile uint32_t *)frame_address(frame) = 0x1a27;
    vmi_set_lazy_mode(VMI_LAZY_MMU);
    window_map(MAP_WINDOW, frame, WINDOW_PAGE);
    give_set_lazy_mode(in, VMI_LAZY_NONE);
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
        give_##symbol(in, PORT_POST);                                                              \
    }
PORT_IN(inb)
PORT_IN(inw)
PORT_IN(inl)

#define PORT_OUT(symbol)                                                                           \
    CASE(symbol)                                                                                   \
    {                                                                                              \
        give_##symbol(in, 0, PORT_POST);                                                           \
    }
PORT_OUT(outb)
PORT_OUT(outw)
PORT_OUT(outl)

#define PORT_IN_ROW(symbol, size)                                                                  \
    CASE(symbol)                                                                                   \
    {                                                                                              \
        pattern();                                                                                 \
        give_##symbol(in, PORT_POST, buffer, 3);                                                   \
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
        give_##symbol(in, PORT_POST, buffer, 3);                                                   \
    }
PORT_OUT_ROW(outsb)
PORT_OUT_ROW(outsw)
PORT_OUT_ROW(outsl)

PLAIN(io_delay)

/* ---- time ---- */

PLAIN(get_cycle_frequency)

AFTER(get_cycle_frequency)
{
    contract_expect("the frequency", result_get_cycle_frequency(out), vmi_get_cycle_frequency());
}

CASE(get_cycle_counter)
{
    stamp = vmi_get_cycle_counter(VMI_CYCLES_REAL);
    give_get_cycle_counter(in, VMI_CYCLES_REAL);
}

AFTER(get_cycle_counter)
{
    expect_between(result_get_cycle_counter(out), vmi_get_cycle_counter(VMI_CYCLES_REAL));
}

CASE(clock_nanoseconds)
{
    give_clock_nanoseconds(in);
    stamp = vmi_clock_nanoseconds();
}

AFTER(clock_nanoseconds)
{
    expect_between(result_clock_nanoseconds(out), vmi_clock_nanoseconds());
}

CASE(get_wallclock_time)
{
    give_get_wallclock_time(in);
    stamp = vmi_get_wallclock_time();
}

AFTER(get_wallclock_time)
{
    expect_between(result_get_wallclock_time(out), vmi_get_wallclock_time());
}

CASE(wallclock_updated)
{
    give_wallclock_updated(in);
    vmi_wallclock_updated();
}

AFTER(wallclock_updated)
{
    contract_expect("the result", result_wallclock_updated(out), 0);
}

CASE(steal_time)
{
    give_steal_time(in);
    stamp = vmi_steal_time();
}

AFTER(steal_time)
{
    expect_between(result_steal_time(out), vmi_steal_time());
}

CASE(set_alarm)
{
    uint64_t expiry = vmi_get_cycle_counter(VMI_CYCLES_REAL) + timer_cycles(2000000);
    give_set_alarm(in, VMI_ALARM_WIRED_LVTT | VMI_CYCLES_REAL | VMI_ALARM_ONESHOT, expiry, 0);
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
    give_cancel_alarm(in, VMI_ALARM_WIRED_LVTT | VMI_CYCLES_REAL);
}

/* ---- machine ---- */

/* A CPU that does not exist: one that does is started by a check of its own. */
CASE(set_initial_ap_state)
{
    static struct vmi_ap_state state;
    give_set_initial_ap_state(in, &state, 0xfd);
}

AFTER(set_initial_ap_state)
{
    contract_expect("the result", (uint32_t)result_set_initial_ap_state(out), (uint32_t)VMI_EINVAL);
}

CASE(console_write)
{
    static const char line[] = "# contract.ConsoleWrite\r\n";
    give_console_write(in, line, sizeof(line) - 1);
}

AFTER(console_write)
{
    contract_expect("bytes written", (uint32_t)result_console_write(out), 25);
}

CASE(console_read)
{
    pattern();
    give_console_read(in, buffer, 8);
}

AFTER(console_read)
{
    uint32_t came = (uint32_t)result_console_read(out);
    contract_expect("whether more came than there was room", came > 8, 0);
    expect_pattern(came & 0xf);
}

/* More rounds than hypervisors want to see before they are told of a wait. */
#define LONG_WAIT 5000

/* What is left to hypercalls only after many rounds finds as many. */
CASE(yield)
{
    uint32_t before = contract_hypercalls();

    give_yield(in);
    for (uint32_t round = 0; round < LONG_WAIT; round++)
        vmi_yield();
    contract_made(VMI_ORDINAL_YIELD, contract_hypercalls() - before);
}

CASE(kick)
{
    give_kick(in, 0);
}

AFTER(kick)
{
    int32_t result = result_kick(out);
    contract_expect("whether the result is 0 or ENOSYS", result == VMI_OK || result == VMI_ENOSYS,
                    true);
}

CASE(share_page)
{
    if (!take_frame())
        return;
    give_share_page(in, frame, 0, VMI_SHARE_READ);
}

AFTER(share_page)
{
    int32_t shared = result_share_page(out);
    contract_expect("whether the result is a reference", shared >= 0, true);
    if (shared >= 0)
        contract_expect("taking it back", (uint32_t)vmi_unshare_page((uint32_t)shared), VMI_OK);
    frame_release(frame);
}

CASE(unshare_page)
{
    if (!take_frame())
        return;
    reference = vmi_share_page(frame, 0, VMI_SHARE_READ);
    give_unshare_page(in, (uint32_t)reference);
}

AFTER(unshare_page)
{
    contract_expect("the result", (uint32_t)result_unshare_page(out), VMI_OK);
    frame_release(frame);
}

/* Where a PC has no memory and, in the rigs, no device. */
#define HOLE 0xe0000000u

static void *device;
static int32_t device_result;

/* A hypervisor may give a guest nothing there: then every call says so. */
static void look_at_hole(void)
{
    device_result = vmi_map_device(HOLE, PAGE_SIZE, VMI_CACHE_WRITE_COMBINING, &device);
    if (device_result == VMI_OK)
        vmi_unmap_device((uintptr_t)device);
    else if (device_result != VMI_EIO)
        device_result = VMI_OK; /* the call's own check tells */
    device = NULL;
}

CASE(map_device)
{
    look_at_hole();
    give_map_device(in, HOLE, PAGE_SIZE, VMI_CACHE_WRITE_COMBINING, &device);
}

AFTER(map_device)
{
    contract_expect("the result", (uint32_t)result_map_device(out), (uint32_t)device_result);
    contract_expect("whether there is an address", device != NULL, device_result == VMI_OK);
    contract_expect("whether the address is on a page", (uintptr_t)device % PAGE_SIZE, 0);
    contract_expect("unmapping it", (uint32_t)vmi_unmap_device((uintptr_t)device),
                    device_result == VMI_OK ? VMI_OK : (uint32_t)VMI_EINVAL);
}

CASE(unmap_device)
{
    look_at_hole();
    vmi_map_device(HOLE, PAGE_SIZE, VMI_CACHE_WRITE_COMBINING, &device);
    give_unmap_device(in, (uintptr_t)device);
}

AFTER(unmap_device)
{
    contract_expect("the result", (uint32_t)result_unmap_device(out),
                    device_result == VMI_OK ? VMI_OK : (uint32_t)VMI_EINVAL);
    contract_expect("unmapping it again", (uint32_t)vmi_unmap_device((uintptr_t)device),
                    (uint32_t)VMI_EINVAL);
}

/* ---- devices: of which there may be none ---- */

#define NO_DEVICE 0xffff

static struct vmi_device_properties info;
static struct vmi_device_memory needs;
static const struct vmi_device_setup setup = {.queues = 1, .requests = 1, .segments = 1};
static struct vmi_completion completion;
static const struct vmi_balloon_statistics statistics;
static uint8_t random[16];

#define NO_DEVICE_FOUND(symbol)                                                                    \
    AFTER(symbol)                                                                                  \
    {                                                                                              \
        contract_expect("the result", (uint32_t)result_##symbol(out), (uint32_t)VMI_ENOENT);       \
    }

CASE(device_info)
{
    memset(&info, PATTERN, sizeof(info));
    give_device_info(in, NO_DEVICE, &info);
}

AFTER(device_info)
{
    contract_expect("the result", (uint32_t)result_device_info(out), (uint32_t)VMI_ENOENT);
    contract_expect("what was stored", info.name[0], PATTERN);
}

CASE(device_needs)
{
    give_device_needs(in, NO_DEVICE, &setup, &needs);
}
NO_DEVICE_FOUND(device_needs)

CASE(device_open)
{
    give_device_open(in, NO_DEVICE, &setup);
}
NO_DEVICE_FOUND(device_open)

CASE(device_close)
{
    give_device_close(in, NO_DEVICE);
}
NO_DEVICE_FOUND(device_close)

CASE(device_keep)
{
    give_device_keep(in, NO_DEVICE, 0, 1);
}
NO_DEVICE_FOUND(device_keep)

CASE(device_release)
{
    give_device_release(in, NO_DEVICE);
}
NO_DEVICE_FOUND(device_release)

CASE(balloon_inflate)
{
    give_balloon_inflate(in, NO_DEVICE, NULL, 0);
}
NO_DEVICE_FOUND(balloon_inflate)

CASE(balloon_deflate)
{
    give_balloon_deflate(in, NO_DEVICE, NULL, 0);
}
NO_DEVICE_FOUND(balloon_deflate)

CASE(balloon_report)
{
    give_balloon_report(in, NO_DEVICE, &statistics);
}
NO_DEVICE_FOUND(balloon_report)

CASE(block_submit)
{
    give_block_submit(in, NO_DEVICE, 0, NULL, 0);
}
NO_DEVICE_FOUND(block_submit)

CASE(block_reap)
{
    give_block_reap(in, NO_DEVICE, 0, &completion, 1);
}
NO_DEVICE_FOUND(block_reap)

CASE(net_post)
{
    give_net_post(in, NO_DEVICE, 0, NULL, 0);
}
NO_DEVICE_FOUND(net_post)

CASE(net_received)
{
    give_net_received(in, NO_DEVICE, 0, &completion, 1);
}
NO_DEVICE_FOUND(net_received)

CASE(net_send)
{
    give_net_send(in, NO_DEVICE, 0, NULL, 0);
}
NO_DEVICE_FOUND(net_send)

CASE(net_sent)
{
    give_net_sent(in, NO_DEVICE, 0, &completion, 1);
}
NO_DEVICE_FOUND(net_sent)

CASE(fill_entropy)
{
    memset(random, PATTERN, sizeof(random));
    give_fill_entropy(in, NO_DEVICE, random, sizeof(random));
}

AFTER(fill_entropy)
{
    contract_expect("the result", (uint32_t)result_fill_entropy(out), (uint32_t)VMI_ENOENT);
    contract_expect("what was stored", random[0], PATTERN);
    contract_expect("the result for no byte",
                    (uint32_t)vmi_fill_entropy(VMI_ENTROPY_ANY, random, 0), (uint32_t)VMI_EINVAL);
}

CASE(rebind)
{
    give_rebind(in, 0);
}

AFTER(rebind)
{
    contract_expect("the result", (uint32_t)result_rebind(out), VMI_OK);
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
    give_event_bind(in, VMI_EVENT_CONSOLE, 0, VECTOR_CONSOLE);
}

AFTER(event_bind)
{
    contract_expect("the result for what is bound already", (uint32_t)result_event_bind(out),
                    (uint32_t)(event >= 0 ? VMI_EBUSY : event));
}

static uint32_t use_event(void)
{
    if (event < 0)
        contract_skip("this console raises no event");
    return (uint32_t)event;
}

CASE(event_unmask)
{
    give_event_unmask(in, use_event());
}

AFTER(event_unmask)
{
    contract_expect("the result", (uint32_t)result_event_unmask(out), VMI_OK);
}

CASE(event_mask)
{
    give_event_mask(in, use_event());
}

AFTER(event_mask)
{
    contract_expect("the result", (uint32_t)result_event_mask(out), VMI_OK);
    vmi_event_unmask((uint32_t)event);
}

CASE(event_unbind)
{
    give_event_unbind(in, use_event());
}

AFTER(event_unbind)
{
    contract_expect("the result", (uint32_t)result_event_unbind(out), VMI_OK);
    contract_expect("masking it then", (uint32_t)vmi_event_mask((uint32_t)event),
                    (uint32_t)VMI_EINVAL);
    cases_bind_console();
    contract_expect("whether it can be bound again", event >= 0, true);
    vmi_event_unmask((uint32_t)event);
}

CASE(event_move)
{
    give_event_move(in, use_event(), 0);
}

AFTER(event_move)
{
    contract_expect("the result", (uint32_t)result_event_move(out), VMI_OK);
}

static int32_t message_event;

CASE(event_message)
{
    pattern();
    message_event = vmi_event_bind(VMI_EVENT_MSI, 0, VECTOR_CHECK);
    give_event_message(in, (uint32_t)message_event, (struct vmi_message *)(void *)buffer);
}

AFTER(event_message)
{
    struct vmi_message message;

    memcpy(&message, buffer, sizeof(message));
    contract_expect("the result", (uint32_t)result_event_message(out), VMI_OK);
    /* The range of the local APICs, and this CPU's (Intel SDM vol. 3A, 11.11). */
    contract_expect("the address", message.address,
                    0xfee00000 | checks_boot_info->cpus[0].apic_id << 12);
    contract_expect("the data", message.data, VECTOR_CHECK);
    expect_pattern(sizeof(message));
    vmi_event_unbind((uint32_t)message_event);
}

CASE(event_notify)
{
    give_event_notify(in, use_event());
}

AFTER(event_notify)
{
    contract_expect("the result", (uint32_t)result_event_notify(out), VMI_OK);
}

/* Nobody asks for anything. */
PLAIN(take_request)

AFTER(take_request)
{
    contract_expect("the request", result_take_request(out), VMI_REQUEST_NONE);
}

/* Nor for this. */
PLAIN(suspend)

AFTER(suspend)
{
    contract_expect("the result", (uint32_t)result_suspend(out), (uint32_t)VMI_EAGAIN);
}

/* The first CPU does not stop; another one is stopped by a check of its own. */
PLAIN(stop_cpu)

AFTER(stop_cpu)
{
    contract_expect("the result", (uint32_t)result_stop_cpu(out), (uint32_t)VMI_EBUSY);
}

/* A CPU that does not exist. */
CASE(cpu_state)
{
    give_cpu_state(in, 0xfffe);
}

AFTER(cpu_state)
{
    contract_expect("the result", (uint32_t)result_cpu_state(out), (uint32_t)VMI_ENOENT);
}

/* Checks run on the first CPU; on others behaviour.c asks. */
PLAIN(current_cpu)

AFTER(current_cpu)
{
    contract_expect("the number of this CPU", result_current_cpu(out), 0);
}
