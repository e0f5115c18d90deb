/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * All checks; main.c has them in order.
 */
#ifndef INTEROP_CHECKS_H
#define INTEROP_CHECKS_H

#include "client.h"

/* The entry for an address in the client's own tables, those made on the way that are missing. */
pxe *client_pxe_of(uint32_t address);

/* Maps a page there by calls: `value` is a frame and flags. */
void client_map(uint32_t address, uint32_t value);

check check_refusals, check_memory, check_relocations;
check check_cpuid, check_msr, check_gdt, check_idt, check_ldt, check_tr;
check check_write_gdt, check_write_ldt, check_write_idt;
check check_cr0, check_cr2, check_cr3, check_cr4, check_wbinvd, check_dr, check_rdtsc;
check check_interrupt_mask, check_iopl, check_io_delay, check_iret;
check check_user_iret, check_user_sysexit;
check check_set_pxe, check_absent, check_update_pxe, check_flush_global, check_clone;
check check_translation, check_linear_mapping, check_lazy;
check check_apic, check_halt;
check check_frequency, check_counters, check_alarm_irq0, check_alarm_irq0_periodic;
check check_alarm_lvtt, check_alarm_lvtt_periodic, check_alarm_lvtt_late;
check check_alarm_past, check_cancel;
check check_wallclock;
check check_cost;
check check_ap, check_alarm_cpus, check_alarm_other_lvtt, check_ap_again;

/* ---- checks_rom.c, for main.c ---- */

/* The loader's information, in words (Multiboot Specification 0.6.96, 3.3). */
extern const uint32_t *client_information;

/* ---- checks_cpus.c, for main.c ---- */

/* Of the command line: processors of the machine. */
extern uint32_t client_cpus;

/* ---- checks_time.c, for others ---- */

/* Cycles: their frequency, their count by now, so many parts of a second. */
uint64_t client_frequency(void);
uint64_t client_now(void);
uint64_t client_fraction(uint32_t parts);

void client_set_alarm(uint32_t flags, uint64_t expiry, uint64_t period);

/* Waits with interrupts let in until so many have come in all; false if they do not come. */
bool client_comes(const volatile uint32_t *interrupts, uint32_t count);

/* Lets interrupts in for so many cycles. */
void client_pass(uint64_t cycles);

/* Seconds until what must come is said not to come: for machines that have other things to do. */
#define PATIENCE 20

#define APIC_SVR      0x0f0
#define APIC_ICR_LOW  0x300
#define APIC_ICR_HIGH 0x310
#define APIC_LVTT     0x320

#define SVR_ENABLE 0x100
#define LVT_MASKED 0x10000
#define ICR_SELF   0x44000 /* fixed, asserted, to this CPU */

#define REQUIRE_CALL(ordinal)                                                                      \
    do {                                                                                           \
        if (!client_has(ordinal))                                                                  \
            return SKIP "no ROM";                                                                  \
    } while (0)

#endif
