/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A flat 64-bit kernel for a PC, as docs/port-x86-64.md finds it: memory is mapped where it lies, a
 * serial port is the console, the local APIC's timer ticks. It is compiled and never linked.
 */
#include <stdint.h>

#define SERIAL       0x3f8u
#define APIC         0xfee00000ul
#define TICKS        10u
#define VECTOR_TIMER 0x40u

extern void (*interrupt_handler)(void);
void interrupt_entry(void);
void kernel(void);

static volatile uint32_t ticks;
static uint64_t idt[2 * 256] __attribute__((aligned(4096)));

/* step: console */
static void out(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void print(const char *text)
{
    while (*text)
        out(SERIAL, (uint8_t)*text++);
}
/* end */

/* step: gates */
static void set_gate(uint32_t vector, void (*entry)(void))
{
    uint64_t address = (uintptr_t)entry;
    uint16_t selector;

    __asm__("mov %%cs, %0" : "=r"(selector));
    idt[2 * vector] = (address & 0xffff) | (uint64_t)selector << 16 | 0x8e00ull << 32 |
                      (address >> 16 & 0xffff) << 48;
    idt[2 * vector + 1] = address >> 32;
}

static void load_gates(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) dtr = {sizeof(idt) - 1, (uintptr_t)idt};

    set_gate(VECTOR_TIMER, interrupt_entry);
    __asm__ volatile("lidt %0" : : "m"(dtr));
}
/* end */

/* step: timer */
static void apic_write(uint32_t offset, uint32_t value)
{
    *(volatile uint32_t *)(APIC + offset) = value;
}

static void on_timer(void)
{
    ticks++;
    apic_write(0xb0, 0);
}

static void start_timer(void)
{
    interrupt_handler = on_timer;
    apic_write(0xf0, 0x1ff);
    apic_write(0x320, 0x20000 | VECTOR_TIMER);
    apic_write(0x380, 10000000); /* of a clock that somebody has measured */
}
/* end */

/* step: idle */
static void wait(void)
{
    __asm__ volatile("cli");
    while (ticks < TICKS)
        __asm__ volatile("sti; hlt; cli" : : : "memory");
}
/* end */

/* step: end */
static void power_off(void)
{
    __asm__ volatile("outw %0, %1" : : "a"((uint16_t)0x2000), "Nd"((uint16_t)0x604));
}

void kernel(void)
{
    load_gates();
    start_timer();
    wait();
    print("10 ticks\r\n");
    power_off();
}
/* end */
