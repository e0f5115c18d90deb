/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Pages that hold no code, on processors that can tell. */
#ifndef NO_EXECUTE_H
#define NO_EXECUTE_H

#include <stdbool.h>
#include <stdint.h>
#include <vmi/vmi.h>

/* PTE_NO_EXECUTE if the kernel uses it, else 0. */
extern uint64_t pte_no_execute;
/* Whether CPUID has it. */
bool no_execute_there(void);
/*
 * Has the kernel use it where the processor has it, but with option leave_off=nx; the library has
 * turned it on.
 */
void paging_use_no_execute(const struct vmi_boot_info *boot);

#endif
