/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Faults of a kernel that has no IDT yet; for C and assembly.
 */
#ifndef VMI_RUNTIME_FAULTS_H
#define VMI_RUNTIME_FAULTS_H

#include "endbr.h"

/* Vectors of the processor's own (Intel SDM vol. 3A, 6.3.1). */
#define VMI__FAULT_VECTORS 32

/* Those of them with an error code, a bit for each: 8, 10 to 14, 17, 21 (Intel SDM vol. 3A, table
 * 6-1), 29 and 30 (AMD APM vol. 2, 8.2). */
#define VMI__FAULT_HAS_ERROR 0x60227d00

/* Bytes from one vector's entry to the next's. */
#if VMI__TRACKED
#define VMI__FAULT_ENTRY_SIZE 16
#else
#define VMI__FAULT_ENTRY_SIZE 8
#endif

#ifndef __ASSEMBLER__

#include "runtime.h"

/* An entry for each vector (arch/ARCH/faults.S). */
extern const char vmi__fault_entries[];

/* Where they lead: prints what happened and ends the machine. `error` is 0 for a vector that has
 * none. */
VMI__ROUTINE void vmi__fault(uint32_t vector, uint32_t error, uintptr_t ip)
    __attribute__((noreturn));

/* Loads an IDT of these entries, by SetIDT; `paged` is false where linear addresses are physical
 * ones. */
VMI__RUN_ONCE void vmi__faults_catch(bool paged);

#endif
#endif
