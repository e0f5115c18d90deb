/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Where indirect branches and hardware may lead, in a build with indirect-branch tracking (the
 * option `cet`; Intel SDM vol. 1, 17.3). For C and assembly.
 */
#ifndef VMI_RUNTIME_ENDBR_H
#define VMI_RUNTIME_ENDBR_H

#if defined(__CET__) && (__CET__ & 1)
#define VMI__TRACKED 1
#else
#define VMI__TRACKED 0
#endif

#ifdef __ASSEMBLER__
/* The first instruction of what is reached so, in 64-bit and in 32-bit code; nothing in other
 * builds. */
#if VMI__TRACKED
#define VMI__ENDBR64 endbr64
#define VMI__ENDBR32 endbr32
#else
#define VMI__ENDBR64
#define VMI__ENDBR32
#endif
#else
/*
 * Of functions whose address is taken. The compiler puts the instruction there and nowhere else
 * (-mmanual-endbr); one that does not know that option has it in all functions that other files can
 * call.
 */
#if VMI__TRACKED && defined(VMI_MANUAL_ENDBR)
#define VMI__ADDRESS_TAKEN __attribute__((__cf_check__))
#else
#define VMI__ADDRESS_TAKEN
#endif
#endif

#endif
