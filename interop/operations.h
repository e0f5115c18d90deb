/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Operations as the kernels of the time had them: what is sensitive is called through a table of
 * pointers, and at boot each such call is rewritten. Without a ROM it becomes the instruction,
 * nothing, or a direct call of the kernel's own routine. With a ROM the table is filled from the
 * ROM's answers, and only the calls that let interrupts in or mask them are rewritten.
 *
 * Facts: Linux 2.6.21 to 2.6.36, arch/x86/kernel/vmi_32.c, paravirt.c and paravirt_patch_32.c.
 */
#ifndef INTEROP_OPERATIONS_H
#define INTEROP_OPERATIONS_H

#include "client.h"

enum operation {
    IRQ_DISABLE,
    IRQ_ENABLE,
    SAVE_FLAGS,
    RESTORE_FLAGS,
    READ_CR2,
    WRITE_CR3,
    SET_PTE,        /* one entry of a table of pages */
    SET_PTE_AT,     /* the same, of a known address space */
    SET_PTE_ATOMIC, /* in one piece: with PAE two stores otherwise */
    SET_PMD,        /* one entry of a directory */
    PTE_UPDATE,     /* an entry was changed in place */
    ALLOC_PTE,      /* a page becomes a table */
    ALLOC_PMD_CLONE,
    RELEASE_PTE,
    RELEASE_PMD,
    FLUSH_ALL,
    FLUSH_ONE,
    LAZY_ENTER,
    LAZY_LEAVE,
    OPERATIONS
};

/* Arguments in eax, edx, ecx, a 64-bit one in edx and ecx. */
extern const void *client_operations[OPERATIONS];

struct operation_site {
    uint8_t *address;
    uint32_t operation;
};

extern const struct operation_site client_operation_sites[], client_operation_sites_end[];

/* Fills the table and rewrites all calls. After client_activate, if there is a ROM. */
void client_operations_init(void);

/*
 * One operation; eax is the result. The site is six bytes: a call through a pointer. eax, edx and
 * ecx die, as for a C function.
 */
#define OPERATE(operation, eax_, edx_, ecx_)                                                       \
    ({                                                                                             \
        uint32_t a_ = (uint32_t)(eax_), d_ = (uint32_t)(edx_), c_ = (uint32_t)(ecx_);              \
        __asm__ volatile("771: call *client_operations + 4 * %c3;"                                 \
                         ".pushsection .client.operations, \"a\";"                                 \
                         ".long 771b, %c3;"                                                        \
                         ".popsection"                                                             \
                         : "+a"(a_), "+d"(d_), "+c"(c_)                                            \
                         : "i"(operation)                                                          \
                         : "memory", "cc");                                                        \
        a_;                                                                                        \
    })

#endif
