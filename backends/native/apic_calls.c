/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * APICRead and APICWrite where the processor offers x2APIC. Kernels name registers by their places
 * in the page and know one kind of interrupt command, so what differs in x2APIC mode is made up for
 * here. Source: Intel SDM vol. 3A, 11.12.1, tables 11-6 and 11-1.
 */
#include "native.h"

#define REGISTER 0xfffu /* of the address that the calls may be given */

#define DESTINATION_SHIFT 24 /* in the upper half of a command as the page has it */

/* Registers that can be read there, a bit for each 16 bytes of the page up to an end. */
#define READABLE_END 0x400u
#define READABLE                                                                                   \
    (1ull << 0x02 | 1ull << 0x03 | 1ull << 0x08 | 1ull << 0x0a | 1ull << 0x0d | 1ull << 0x0f |     \
     0xffffffull << 0x10 | 1ull << 0x28 | 1ull << 0x30 | 0xfcull << 0x30 | 3ull << 0x38 |          \
     1ull << 0x3e)

/*
 * Registers that can be written there, but for the command and the timer's LVT entry, and the bits
 * that are not reserved. EOI and the error status take 0 alone.
 */
static const struct {
    uint16_t reg;
    uint32_t bits;
} writable[] = {
    {VMI_APIC_TPR, 0xff},
    {VMI_APIC_EOI, 0},
    {VMI_APIC_SVR, 0x1ff},
    {0x280, 0},                     /* error status */
    {0x330, 0x107ff},               /* thermal sensor: vector, delivery, mask */
    {0x340, 0x107ff},               /* performance counters */
    {VMI__APIC_LVT_LINT0, 0x1a7ff}, /* the same, polarity and trigger */
    {VMI__APIC_LVT_LINT1, 0x1a7ff},
    {VMI__APIC_LVT_ERROR, 0x100ff},
    {VMI__APIC_TIMER_INITIAL, ~0u},
    {VMI__APIC_TIMER_DIVIDE, 0xb},
};

#define COMMAND 0xccfffu /* of the lower half: vector to level, trigger, shorthand */

/* The upper half of a command that each CPU has written, for there is no place for it there. */
static uint32_t halves[VMI__CPUS_FEW], *halves_more;

void vmi__native_apic_calls_init(void)
{
    halves_more = vmi__cpu_rows(sizeof(*halves_more));
}

static uint32_t *half(void)
{
    return VMI__CPU_ROW(halves, halves_more, vmi__native_cpu());
}

VMI__ROUTINE uint32_t vmi__native_apic_read_any(uint32_t reg)
{
    uint32_t id;

    reg &= REGISTER;
    if (!vmi__native_x2apic)
        return vmi__native_apic_read(reg);
    if (reg == VMI_APIC_ID) {
        id = vmi__native_apic_id();
        return (id < VMI__APIC_ID_ALL ? id : VMI__APIC_ID_ALL) << DESTINATION_SHIFT;
    }
    if (reg == VMI_APIC_ICR_HIGH)
        return *half();
    return reg < READABLE_END && READABLE >> (reg >> 4) & 1 ? vmi__native_apic_read(reg) : 0;
}

static void write_register(uint32_t reg, uint32_t value)
{
    uint32_t to;

    if (!vmi__native_x2apic) {
        vmi__native_apic_write(reg, value);
        return;
    }
    if (reg == VMI_APIC_ICR_HIGH) {
        *half() = value;
        return;
    }
    if (reg == VMI_APIC_ICR_LOW) {
        to = *half() >> DESTINATION_SHIFT;
        vmi__native_apic_command(to == VMI__APIC_ID_ALL ? VMI__X2APIC_ID_ALL : to, value & COMMAND);
        return;
    }
    for (uint32_t i = 0; i < sizeof(writable) / sizeof(writable[0]); i++) {
        if (writable[i].reg == reg) {
            vmi__native_apic_write(reg, value & writable[i].bits);
            return;
        }
    }
}

/* What is the timer's goes by alarm.c, which shares that with the kernel. */
VMI__ROUTINE void vmi__native_apic_write_any(uint32_t reg, uint32_t value)
{
    reg &= REGISTER;
    if (reg == VMI_APIC_LVTT) {
        vmi__native_alarm_write_lvtt(value);
        return;
    }
    if (reg == VMI__APIC_TIMER_INITIAL)
        vmi__native_alarm_leave_timer();
    write_register(reg, value);
    if (reg == VMI_APIC_SVR)
        vmi__native_alarm_look_at_lvtt();
}
