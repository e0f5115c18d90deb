/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Ends of the machine: Shutdown, ShutdownReason, Reboot. Where one way does nothing the next is
 * tried, and if none is left the console says so. Source: ACPI 6.5, 4.8.3 and 4.8.4; port 0x64 as
 * in the PC/AT; QEMU isa-debug-exit and docs/specs/pvpanic.txt.
 */
#include "native.h"
#include <native/routines.h>

#define CONTROL_SCI_ENABLE  0x0001
#define CONTROL_SLEEP_SHIFT 10 /* of the type */
#define CONTROL_SLEEP       0x2000

/* Sleep control register of hardware-reduced machines. */
#define REDUCED_SLEEP_SHIFT 2
#define REDUCED_SLEEP       0x20

#define SPACE_MEMORY 0
#define SPACE_PORT   1

#define KEYBOARD_STATUS 0x64
#define KEYBOARD_BUSY   0x02
#define KEYBOARD_RESET  0xfe /* written there: pulses the processor's reset line */

#define SLOT 5 /* of the device window, for registers in memory; those before are APICs */

#define POLLS_MAX           (1u << 20)
#define SETTLE_MICROSECONDS 500000
#define SETTLE_READS        (1u << 18)

/* QEMU's pvpanic device: a read of its port tells which events it takes. */
#define PVPANIC          0x505
#define PVPANIC_PANICKED 0x01
#define NO_DEVICE        0xff

/*
 * The end may take a moment, in which nothing more must be done. Where the library refuses to run
 * before it knows a clock, reads of a port of the PC/AT's are the time: about a microsecond each.
 */
static void settle(void)
{
    if (vmi__native_tsc_hz) {
        vmi__native_delay(SETTLE_MICROSECONDS);
        return;
    }
    for (uint32_t reads = 0; reads < SETTLE_READS; reads++)
        vmi__inb(KEYBOARD_STATUS);
}

static void write_register(const struct vmi__native_register *reg, uint8_t value)
{
    if (reg->space == SPACE_PORT)
        vmi__outb((uint16_t)reg->address, value);
    else if (reg->space == SPACE_MEMORY && !vmi__native_published)
        *(volatile uint8_t *)vmi__window_map(SLOT, reg->address) = value;
}

void vmi__native_acpi_enable(void)
{
    const struct vmi__native_acpi *acpi = &vmi__native_acpi;
    uint32_t polls = 0;

    if (!acpi->smi_command || !acpi->smi_enable ||
        (vmi__inw((uint16_t)acpi->control_a) & CONTROL_SCI_ENABLE))
        return;
    vmi__outb((uint16_t)acpi->smi_command, acpi->smi_enable);
    while (!(vmi__inw((uint16_t)acpi->control_a) & CONTROL_SCI_ENABLE) && ++polls < POLLS_MAX)
        vmi__pause();
}

static void sleep_port(uint32_t port, uint8_t type)
{
    uint32_t kept = vmi__inw((uint16_t)port) & ~(7u << CONTROL_SLEEP_SHIFT | CONTROL_SLEEP);

    vmi__outw((uint16_t)port,
              (uint16_t)(kept | (type & 7u) << CONTROL_SLEEP_SHIFT | CONTROL_SLEEP));
}

static void power_off(void)
{
    const struct vmi__native_acpi *acpi = &vmi__native_acpi;

    if (!acpi->can_sleep)
        return;
    if (acpi->sleep.address) {
        write_register(&acpi->sleep,
                       (uint8_t)((acpi->sleep_a & 7u) << REDUCED_SLEEP_SHIFT | REDUCED_SLEEP));
    } else {
        vmi__native_acpi_enable();
        if (acpi->control_b)
            sleep_port(acpi->control_b, acpi->sleep_b);
        sleep_port(acpi->control_a, acpi->sleep_a);
    }
    settle();
}

static void keyboard_reset(void)
{
    uint32_t polls = 0;

    while ((vmi__inb(KEYBOARD_STATUS) & KEYBOARD_BUSY) && ++polls < POLLS_MAX)
        vmi__pause();
    vmi__outb(KEYBOARD_STATUS, KEYBOARD_RESET);
    settle();
}

/* An exception with no descriptor table to handle it resets the processor. */
static void __attribute__((noreturn)) triple_fault(void)
{
    struct vmi_dtr nothing = {.limit = 0, .base = 0};

    __asm__ volatile("lidt %0; int3" : : "m"(nothing) : "memory");
    vmi__stop();
}

/* Tells a hypervisor of a crash, which keeps it for whoever runs the machine. */
static void tell_of_crash(void)
{
    uint8_t events;

    if (!(vmi__cpuid(1, 0).ecx & VMI__CPUID_1_ECX_HYPERVISOR))
        return;
    events = vmi__inb(PVPANIC);
    if (events == NO_DEVICE || !(events & PVPANIC_PANICKED))
        return;
    vmi__outb(PVPANIC, PVPANIC_PANICKED);
    settle();
}

VMI__ROUTINE void vmi__native_reboot(uint32_t how)
{
    vmi__irq_save();
    vmi__native_console_drain();
    if (how == VMI_REBOOT_SOFT && vmi__native_acpi.reset.address) {
        write_register(&vmi__native_acpi.reset, vmi__native_acpi.reset_value);
        settle();
    }
    keyboard_reset();
    triple_fault();
}

VMI__ROUTINE void vmi__native_shutdown_reason(uint32_t reason, uint32_t status)
{
    vmi__irq_save();
    vmi__native_console_drain();
    if (reason == VMI_SHUTDOWN_CRASH)
        tell_of_crash();
    if (vmi__boot.debug_exit) {
        vmi__outb((uint16_t)vmi__boot.debug_exit, (uint8_t)status);
        settle();
    }
    if (reason == VMI_SHUTDOWN_REBOOT)
        vmi__native_reboot(VMI_REBOOT_SOFT);
    /* Also when the library refuses to run, before its init has come this far. */
    vmi__native_firmware_init();
    power_off();
    vmi__print("vmi: this machine has no power-off that works; halted\r\n");
    /*
     * A hypervisor may take a processor that halts for good for a machine that was switched off,
     * and so for an end that went well. Where there is no console to say otherwise, a reset does.
     */
    if (status != VMI_STATUS_PASS && !vmi__native_console_present())
        triple_fault();
    vmi__stop();
}

VMI__ROUTINE void vmi__native_shutdown(void)
{
    vmi__native_shutdown_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS);
}
