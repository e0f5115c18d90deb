/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "interrupts.h"

#include "print.h"

#define VECTORS      256
#define EXCEPTIONS   32
#define VECTOR_ALARM 0x40
/*
 * Of the first device, and from there on. The local APIC notes of a vector how its last interrupt
 * came, by a message or by a line that is held, and of the end of one that it takes for the other
 * the I/O APIC never hears (Intel SDM vol. 3A, 11.8.4, trigger mode register): each device has one.
 */
#define VECTOR_DEVICES 0x41
#define DEVICES        3 /* disk, network, entropy */

#define INTERRUPT_GATE 0x8e00u /* present, for the kernel alone (Intel SDM vol. 3A, 6.11) */

/* A gate has 8 bytes on i386 and 16 on x86-64. */
static uint32_t idt[VECTORS][sizeof(uintptr_t) / 2] __attribute__((aligned(4096)));

static volatile uint32_t came; /* interrupts */

/* Where interrupts enter, and what they call. */
void alarm_entry(void);
void device_0_entry(void);
void device_1_entry(void);
void device_2_entry(void);
void fault_entry(void);
void on_fault(void);

/*
 * Keeps the registers that C may destroy, calls on_interrupt(vector), and returns by IRET, which is
 * a jump to the library with the interrupt's frame on the stack. On x86-64 the pushes and the frame
 * leave the stack 8 bytes from a boundary of 16. fault_entry does not come back.
 */
#ifdef __x86_64__
#define ON_INTERRUPT
#define ENTRY(name, vector)                                                                        \
    __asm__(name                                                                                   \
            ":\n"                                                                                  \
            "    push %rax; push %rcx; push %rdx; push %rsi; push %rdi\n"                          \
            "    push %r8; push %r9; push %r10; push %r11; sub $8, %rsp\n"                         \
            "    cld\n"                                                                            \
            "    mov $" TEXT(vector) ", %edi\n"                                                    \
                                     "    call on_interrupt\n"                                     \
                                     "    add $8, %rsp; pop %r11; pop %r10; pop %r9; pop %r8\n"    \
                                     "    pop %rdi; pop %rsi; pop %rdx; pop %rcx; pop %rax\n"      \
                                     "    jmp vmi_iret\n")
__asm__("fault_entry:\n"
        "    cld\n"
        "    and $-16, %rsp\n"
        "    call on_fault\n");
#else
#define ON_INTERRUPT __attribute__((regparm(0))) /* on the stack, whatever the compiler is told */
#define ENTRY(name, vector)                                                                        \
    __asm__(name ":\n"                                                                             \
                 "    push %eax; push %ecx; push %edx\n"                                           \
                 "    cld\n"                                                                       \
                 "    push $" TEXT(vector) "\n"                                                    \
                                           "    call on_interrupt\n"                               \
                                           "    add $4, %esp\n"                                    \
                                           "    pop %edx; pop %ecx; pop %eax\n"                    \
                                           "    jmp vmi_iret\n")
__asm__("fault_entry:\n"
        "    cld\n"
        "    and $-16, %esp\n"
        "    call on_fault\n");
#endif
#define TEXT_OF(number) #number
#define TEXT(number)    TEXT_OF(number)
ENTRY("alarm_entry", VECTOR_ALARM);
ENTRY("device_0_entry", VECTOR_DEVICES);
ENTRY("device_1_entry", VECTOR_DEVICES + 1);
ENTRY("device_2_entry", VECTOR_DEVICES + 2);

ON_INTERRUPT void on_interrupt(uint32_t vector);
ON_INTERRUPT void on_interrupt(uint32_t vector)
{
    came++;
    vmi_end_of_interrupt(vector);
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
    set_gate(VECTOR_DEVICES, device_0_entry, boot->kernel_cs);
    set_gate(VECTOR_DEVICES + 1, device_1_entry, boot->kernel_cs);
    set_gate(VECTOR_DEVICES + 2, device_2_entry, boot->kernel_cs);
    vmi_set_idt(&dtr);
    vmi_apic_write(VMI_APIC_LVTT, VECTOR_ALARM);
}

void interrupts_bind(uint32_t device, uint32_t queue)
{
    static uint32_t bound[DEVICES], count;
    const uint32_t source = device << 16 | queue;
    uint32_t at = 0;
    int32_t event;

    while (at < count && bound[at] != device)
        at++;
    if (at == DEVICES)
        stop(VMI_STATUS_FAIL, "there are more devices than vectors for them");
    if (at == count)
        bound[count++] = device;
    do /* a line that another device has too is bound to that one's vector */
        event = vmi_event_bind(VMI_EVENT_DEVICE, source, VECTOR_DEVICES + at);
    while (event == VMI_EBUSY && at--);
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
