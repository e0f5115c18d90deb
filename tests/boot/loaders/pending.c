/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Starts the kernel that it carries on a machine as firmware may leave it, with interrupts that
 * nobody has taken: the 8259s ask by vector 8 (the BIOS's numbers), and the local APIC has one in
 * service and more that are requested, of its timer (UEFI's) and others. A kernel that lets
 * interrupts in would get one after the other. Source: Intel SDM vol. 3A, 11; Intel 8259A and 8254
 * data sheets.
 */
#include "multiboot.h"

#define IN_SERVICE 0x50
#define TIMER      0x20
#define REQUESTED  0x31 /* not above what is in service */
#define URGENT     0xfe /* above it */

#define APIC          0xfee00000u
#define SVR           0x0f0
#define ISR           0x100 /* of vectors 0 to 31, and so on */
#define IRR           0x200
#define ICR           0x300
#define ICR_ONE       0x44000 /* to this CPU, fixed */
#define TIMER_ENTRY   0x320
#define TIMER_INITIAL 0x380

static inline void out(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t in(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static volatile uint32_t *apic(uint32_t reg)
{
    return (volatile uint32_t *)(APIC + reg);
}

static void wait(uint32_t reg, uint32_t vector)
{
    while (!(*apic(reg + vector / 32 * 16) >> vector % 32 & 1))
        ;
}

/* Takes one interrupt that is requested, and does not end it. */
static void take(uint32_t vector)
{
    static uint32_t idt[256][2];
    const struct {
        uint16_t limit;
        uint32_t base;
    } __attribute__((packed)) idtr = {sizeof(idt) - 1, (uint32_t)idt};
    uint32_t entry, code;

    __asm__("mov $1f, %0; mov %%cs, %1" : "=r"(entry), "=r"(code));
    idt[vector][0] = code << 16 | (entry & 0xffff);
    idt[vector][1] = (entry & 0xffff0000) | 0x8e00;
    __asm__ volatile("mov %%esp, %%edx\n"
                     "lidt %0\n"
                     "sti\n"
                     "0: hlt\n"
                     "jmp 0b\n"
                     "1: mov %%edx, %%esp"
                     :
                     : "m"(idtr)
                     : "edx", "memory");
}

/* Both chips anew with all lines open, and a tick of the timer, which is line 0. */
static void ask_by_the_8259s(void)
{
    static const uint16_t ports[] = {0x20, 0xa0};
    static const uint8_t words[][3] = {{0x08, 4, 1}, {0x70, 2, 1}};

    for (uint32_t chip = 0; chip < 2; chip++) {
        out(ports[chip], 0x11);
        for (uint32_t i = 0; i < 3; i++)
            out(ports[chip] + 1, words[chip][i]);
        out(ports[chip] + 1, 0);
        out(ports[chip], 0x0a); /* reads give what is requested */
    }
    out(0x43, 0x34); /* channel 0: again and again */
    out(0x40, 0);
    out(0x40, 1);
    while (!(in(0x20) & 1))
        ;
}

void load(struct info *info)
{
    uint32_t entry = place();

    out(0x21, 0xff);
    out(0xa1, 0xff);
    *apic(SVR) = 0x1ff;
    *apic(ICR) = ICR_ONE | IN_SERVICE;
    wait(IRR, IN_SERVICE);
    take(IN_SERVICE);
    wait(ISR, IN_SERVICE);
    *apic(TIMER_ENTRY) = TIMER;
    *apic(TIMER_INITIAL) = 1;
    wait(IRR, TIMER);
    *apic(ICR) = ICR_ONE | REQUESTED;
    wait(IRR, REQUESTED);
    *apic(ICR) = ICR_ONE | URGENT;
    wait(IRR, URGENT);
    ask_by_the_8259s();
    leave(entry, info);
}
