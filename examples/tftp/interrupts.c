/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "interrupts.h"

#include "print.h"

#define VECTORS      256
#define EXCEPTIONS   32
#define VECTOR_ALARM 0x40
#define NONE         UINT32_MAX
/*
 * Of the first device that is bound, and of the others. The local APIC notes of a vector how its
 * last interrupt came, by a message or by a line that is held, and of the end of one that it takes
 * for the other the I/O APIC never hears (Intel SDM vol. 3A, 11.8.4, trigger mode register): a disk
 * with messages and a network on a line have two.
 */
#define VECTOR_FIRST  0x41
#define VECTOR_OTHERS 0x42

#define INTERRUPT_GATE 0x8e00u /* present, for the kernel alone (Intel SDM vol. 3A, 6.11) */

/* A gate has 8 bytes on i386 and 16 on x86-64. */
static uint32_t idt[VECTORS][sizeof(uintptr_t) / 2] __attribute__((aligned(4096)));

static volatile uint32_t came; /* interrupts */

/* Where interrupts enter, and what they call. */
void alarm_entry(void);
void first_entry(void);
void others_entry(void);
void fault_entry(void);
void on_alarm(void);
void on_first(void);
void on_others(void);
void on_fault(void);

/*
 * Keeps the registers that C may destroy, calls, and returns by IRET, which is a jump to the
 * library with the interrupt's frame on the stack. On x86-64 the pushes and the frame leave the
 * stack 8 bytes from a boundary of 16. fault_entry does not come back.
 */
#ifdef __x86_64__
#define ENTRY(name, handler)                                                                       \
    __asm__(name ":\n"                                                                             \
                 "    push %rax; push %rcx; push %rdx; push %rsi; push %rdi\n"                     \
                 "    push %r8; push %r9; push %r10; push %r11; sub $8, %rsp\n"                    \
                 "    cld\n"                                                                       \
                 "    call " handler "\n"                                                          \
                 "    add $8, %rsp; pop %r11; pop %r10; pop %r9; pop %r8\n"                        \
                 "    pop %rdi; pop %rsi; pop %rdx; pop %rcx; pop %rax\n"                          \
                 "    jmp vmi_iret\n")
__asm__("fault_entry:\n"
        "    cld\n"
        "    and $-16, %rsp\n"
        "    call on_fault\n");
#else
#define ENTRY(name, handler)                                                                       \
    __asm__(name ":\n"                                                                             \
                 "    push %eax; push %ecx; push %edx\n"                                           \
                 "    cld\n"                                                                       \
                 "    call " handler "\n"                                                          \
                 "    pop %edx; pop %ecx; pop %eax\n"                                              \
                 "    jmp vmi_iret\n")
__asm__("fault_entry:\n"
        "    cld\n"
        "    and $-16, %esp\n"
        "    call on_fault\n");
#endif
ENTRY("alarm_entry", "on_alarm");
ENTRY("first_entry", "on_first");
ENTRY("others_entry", "on_others");

void on_alarm(void)
{
    came++;
    vmi_end_of_interrupt(VECTOR_ALARM);
}

void on_first(void)
{
    came++;
    vmi_end_of_interrupt(VECTOR_FIRST);
}

void on_others(void)
{
    came++;
    vmi_end_of_interrupt(VECTOR_OTHERS);
}

void on_fault(void)
{
    stop(VMI_STATUS_PANIC, "an exception: this is an error in the kernel");
}

static void set_gate(uint32_t vector, void (*entry)(void), uint32_t selector)
{
    uintptr_t address = (uintptr_t)entry;

    idt[vector][0] = selector << 16 | (address & 0xffff);
    idt[vector][1] = (address & 0xffff0000u) | INTERRUPT_GATE;
#ifdef __x86_64__
    idt[vector][2] = (uint32_t)(address >> 32);
#endif
}

void interrupts_begin(const struct vmi_boot_info *boot)
{
    const struct vmi_dtr dtr = {.limit = sizeof(idt) - 1, .base = (uintptr_t)idt};

    for (uint32_t vector = 0; vector < EXCEPTIONS; vector++)
        set_gate(vector, fault_entry, boot->kernel_cs);
    set_gate(VECTOR_ALARM, alarm_entry, boot->kernel_cs);
    set_gate(VECTOR_FIRST, first_entry, boot->kernel_cs);
    set_gate(VECTOR_OTHERS, others_entry, boot->kernel_cs);
    vmi_set_idt(&dtr);
    vmi_apic_write(VMI_APIC_LVTT, VECTOR_ALARM);
}

void interrupts_bind(uint32_t device, uint32_t queue)
{
    static uint32_t first = NONE;
    const uint32_t source = device << 16 | queue;
    int32_t event;

    if (first == NONE)
        first = device;
    event =
        vmi_event_bind(VMI_EVENT_DEVICE, source, device == first ? VECTOR_FIRST : VECTOR_OTHERS);
    if (event == VMI_EBUSY) /* it is on the first one's line */
        event = vmi_event_bind(VMI_EVENT_DEVICE, source, VECTOR_FIRST);
    if (event < 0 || vmi_event_unmask((uint32_t)event) != VMI_OK)
        stop(VMI_STATUS_FAIL, "a device has no event");
}

uint64_t clock_now(void)
{
    return vmi_get_cycle_counter(VMI_CYCLES_REAL);
}

uint64_t clock_second(void)
{
    return vmi_get_cycle_frequency();
}

uint32_t interrupts_seen(void)
{
    return came;
}

void interrupts_wait(uint32_t seen, uint64_t until)
{
    if (came != seen || clock_now() >= until)
        return;
    vmi_set_alarm(VMI_ALARM_WIRED_LVTT | VMI_CYCLES_REAL, until, 0);
    /* Letting in and waiting are one step, so none that has come before is missed. */
    vmi_halt();
    vmi_disable_interrupts();
}
