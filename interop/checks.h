/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * All checks; main.c has them in order.
 */
#ifndef INTEROP_CHECKS_H
#define INTEROP_CHECKS_H

#include "client.h"

/* Maps a page in the client's own tables by calls: `value` is a frame and flags. */
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
check check_wallclock, check_ap;

#endif
