/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The kernel of pc.c, ported as docs/port-x86-64.md shows: the same work, by calls.
 */
#include <stdint.h>
#include <vmi/vmi.h>

#define TICKS        10u
#define VECTOR_TIMER 0x40u

extern void (*interrupt_handler)(void);
void interrupt_entry(void);

static volatile uint32_t ticks;
static uint64_t idt[2 * 256] __attribute__((aligned(4096)));

/* step: console */
static void print(const char *text)
{
    uint32_t length = 0;

    while (text[length])
        length++;
    vmi_console_write(text, length);
}
/* end */

/* step: gates */
static void set_gate(uint32_t vector, void (*entry)(void), uint32_t selector)
{
    uint64_t address = (uintptr_t)entry;
    uint64_t low = (address & 0xffff) | (uint64_t)selector << 16 | 0x8e00ull << 32 |
                   (address >> 16 & 0xffff) << 48;

    vmi_write_idt_entry(idt, vector, low, address >> 32);
}

static void load_gates(const struct vmi_boot_info *boot)
{
    struct vmi_dtr dtr = {.limit = sizeof(idt) - 1, .base = (uintptr_t)idt};

    vmi_set_idt(&dtr);
    set_gate(VECTOR_TIMER, interrupt_entry, boot->kernel_cs);
}
/* end */

/* step: timer */
static void on_timer(void)
{
    ticks++;
    vmi_end_of_interrupt(VECTOR_TIMER);
}

static void start_timer(void)
{
    uint64_t period = vmi_get_cycle_frequency() / 100;

    interrupt_handler = on_timer;
    vmi_apic_write(VMI_APIC_LVTT, VECTOR_TIMER);
    vmi_set_alarm(VMI_ALARM_WIRED_LVTT | VMI_ALARM_PERIODIC | VMI_CYCLES_REAL,
                  vmi_get_cycle_counter(VMI_CYCLES_REAL) + period, period);
}
/* end */

/* step: idle */
static void wait(void)
{
    vmi_disable_interrupts();
    while (ticks < TICKS) {
        vmi_halt();
        vmi_disable_interrupts();
    }
}
/* end */

/* step: end */
void kernel_main(const struct vmi_boot_info *boot)
{
    load_gates(boot);
    start_timer();
    wait();
    print("10 ticks\r\n");
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS);
}
/* end */
