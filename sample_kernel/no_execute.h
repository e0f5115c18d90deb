/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Pages that hold no code, on processors that can tell. */
#ifndef NO_EXECUTE_H
#define NO_EXECUTE_H

#include <stdint.h>
#include <vmi/vmi.h>

/* PTE_NO_EXECUTE if the kernel uses it, else 0. */
extern uint64_t pte_no_execute;
/* Has the kernel use it where the processor has it; the library has turned it on. */
void paging_use_no_execute(void);

#endif
