/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * For kernels that check what the last CPU of a domain takes: tables, the handler of one vector,
 * that CPU's start, and checks of what comes to it in every domain. It stays on the boot tables,
 * and halts.
 */
#ifndef XEN_LAST_CPU_H
#define XEN_LAST_CPU_H

#include "xen_ktap.h"

#define VECTOR    0x50
#define CPUS_MOST 256u

#define ATTRIBUTES 0x8e00u /* of an interrupt gate, present, DPL 0 */

#ifdef __x86_64__
#define GATE_WORDS 2
#define FLAT_CODE  0x00af9b000000ffffull
#define FLAT_DATA  0x00cf93000000ffffull
#else
#define GATE_WORDS 1
#define FLAT_CODE  0x00cf9b000000ffffull
#define FLAT_DATA  0x00cf93000000ffffull
#endif

static uint64_t gdt[512] __attribute__((aligned(4096)));
static uint64_t idt[256][GATE_WORDS] __attribute__((aligned(4096)));

/* How often an interrupt of VECTOR came: on the last CPU, once it was started, and on others. */
static volatile uint32_t came_on_last, came;
static volatile uint32_t last_runs, alarm_wanted;
static uint32_t last = UINT32_MAX;

/* An interrupt: registers that C destroys are kept. */
#ifdef __x86_64__
__asm__("    .text\n"
        "    .globl on_vector\n"
        "on_vector:\n"
        "    push %rax; push %rcx; push %rdx; push %rsi; push %rdi\n"
        "    push %r8; push %r9; push %r10; push %r11\n"
        "    call on_interrupt\n"
        "    pop %r11; pop %r10; pop %r9; pop %r8\n"
        "    pop %rdi; pop %rsi; pop %rdx; pop %rcx; pop %rax\n"
        "    jmp vmi_iret\n");
#else
__asm__("    .text\n"
        "    .globl on_vector\n"
        "on_vector:\n"
        "    push %eax; push %ecx; push %edx\n"
        "    call on_interrupt\n"
        "    pop %edx; pop %ecx; pop %eax\n"
        "    jmp vmi_iret\n");
#endif
extern const char on_vector[];
void on_interrupt(void);

void on_interrupt(void)
{
    if (vmi_current_cpu() != last) {
        came++;
    } else {
        came_on_last++;
        if (alarm_wanted) {
            alarm_wanted = 0;
            vmi_apic_write(VMI_APIC_LVTT, VECTOR);
            vmi_set_alarm(VMI_ALARM_WIRED_LVTT | VMI_ALARM_ONESHOT | VMI_CYCLES_REAL,
                          vmi_get_cycle_counter(VMI_CYCLES_REAL), 0);
        }
    }
    vmi_end_of_interrupt(VECTOR);
}

/* Fills the IDT, for the code selector that the kernel runs with. */
static void set_gate(const struct vmi_boot_info *boot)
{
    uintptr_t handler = (uintptr_t)on_vector;

    idt[VECTOR][0] = (handler & 0xffff) | (uint64_t)boot->kernel_cs << 16 |
                     (uint64_t)ATTRIBUTES << 32 | (uint64_t)(handler >> 16 & 0xffff) << 48;
#ifdef __x86_64__
    idt[VECTOR][1] = handler >> 32;
#endif
}

static void last_cpu(void)
{
    last_runs = 1;
    for (;;)
        vmi_halt();
}

/* Does it run, and did as many interrupts come to it, in time? */
static uint32_t last_cpu_had(uint32_t wanted)
{
    uint64_t end = vmi_clock_nanoseconds() + PATIENCE;

    while (!last_runs || came_on_last < wanted) {
        if (vmi_clock_nanoseconds() >= end)
            return 0;
        vmi_yield();
    }
    return 1;
}

/* With the tables above, which the kernel has filled. */
static uint32_t last_cpu_starts(const struct vmi_boot_info *boot)
{
    static uint8_t stack[4096] __attribute__((aligned(16)));
#ifdef __x86_64__
    static uint8_t last_area[256] __attribute__((aligned(16)));
#endif
    const struct vmi_ap_state state = {
        .cr0 = vmi_get_cr0(),
        .cr3 = boot->boot_cr3,
        .cr4 = vmi_get_cr4(),
#ifdef __x86_64__
        .rip = (uintptr_t)last_cpu,
        .rflags = 0x202,
        .rsp = (uintptr_t)stack + sizeof(stack) - 8,
        .gs_base = (uintptr_t)last_area,
        .ss = (uint16_t)boot->kernel_ss,
#else
        .eip = (uintptr_t)last_cpu,
        .eflags = 0x202,
        .esp = (uintptr_t)stack + sizeof(stack) - 4,
        .ss = (uint16_t)(boot->kernel_cs + 8),
        .ds = (uint16_t)(boot->kernel_cs + 8),
        .es = (uint16_t)(boot->kernel_cs + 8),
#endif
        .cs = (uint16_t)boot->kernel_cs,
        .gdtr_limit = sizeof(gdt) - 1,
        .gdtr_base = (uintptr_t)gdt,
        .idtr_limit = sizeof(idt) - 1,
        .idtr_base = (uintptr_t)idt,
    };
    uint32_t apic_id;

    EXPECT(boot->cpu_count > 1 && boot->cpu_count <= CPUS_MOST);
    last = boot->cpu_count - 1;
    apic_id = boot->cpus[last].apic_id;
    EXPECT(vmi_set_initial_ap_state(&state, apic_id) == VMI_OK && last_cpu_had(0));
    EXPECT(vmi_set_initial_ap_state(&state, apic_id) == VMI_EBUSY && !came_on_last);
    return 0;
}

/* A set in which the last CPU is alone. */
static const uint32_t *last_alone(void)
{
    static uint32_t set[CPUS_MOST / 32];

    set[last / 32] = 1u << last % 32;
    return set;
}

static uint32_t last_cpu_is_interrupted(void)
{
    uint32_t before = came_on_last;

    EXPECT(vmi_send_ipi(last_alone(), last + 1, VECTOR) == VMI_OK && last_cpu_had(before + 1));
    EXPECT(came_on_last == before + 1);
    return 0;
}

/* It sets it when it is interrupted. */
static uint32_t last_cpu_takes_its_alarm(void)
{
    uint32_t before = came_on_last;

    alarm_wanted = 1;
    EXPECT(vmi_send_ipi(last_alone(), last + 1, VECTOR) == VMI_OK && last_cpu_had(before + 2));
    EXPECT(came_on_last == before + 2);
    return 0;
}

#endif
