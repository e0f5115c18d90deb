/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A flavour of a library: the same library with something put between it and the kernel, which may
 * watch each call and change nothing that the kernel can tell but time and stack. Made of any
 * library by codegen/vmiflavour.py, of the generated flavour.S and an object with these two
 * functions. The calls that the library makes of itself do not lead through it.
 */
#ifndef VMI_RUNTIME_FLAVOUR_H
#define VMI_RUNTIME_FLAVOUR_H

#include "runtime.h"

#define VMI__FLAG_INTERRUPT 0x200u

/* The caller's registers, in the order of the specification's list, and what it left on the stack.
 */
struct vmi__flavour_frame {
#ifdef __x86_64__
    uintptr_t rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15, flags;
#else
    uintptr_t eax, ecx, edx, ebx, ebp, esi, edi, flags;
#endif
    /* Where the call came from, then words of the stack; of a call that is reached by a jump, the
     * words alone. */
    uintptr_t stack[];
};

/*
 * Called before and after each call of the kernel's, on its stack, with its interrupt mask and
 * whatever else is its own (on x86-64 the GS base may be a process's). The second one sees results;
 * it is not called for a call that does not come back. Either may be interrupted, and called again
 * meanwhile. What they write to the frame is what the library, or the kernel, gets.
 */
VMI__ROUTINE void vmi__flavour_enter(uint32_t ordinal, struct vmi__flavour_frame *frame);
VMI__ROUTINE void vmi__flavour_leave(uint32_t ordinal, struct vmi__flavour_frame *frame);

/*
 * The calling CPU, by the local APIC's first identifier (Intel SDM vol. 2A, CPUID leaf 1), for
 * CurrentCPU may look where GS leads to, and that may be a process's place.
 */
static inline uint32_t vmi__flavour_cpu(void)
{
    uint32_t eax = 1, ebx, ecx = 0, edx;

    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ebx >> 24;
}

/* Where a call returns to; 0 for one that is reached by a jump. */
static inline uintptr_t vmi__flavour_caller(uint32_t ordinal,
                                            const struct vmi__flavour_frame *frame)
{
#ifdef __x86_64__
    bool jump = ordinal == VMI_ORDINAL_IRET || ordinal == VMI_ORDINAL_SYSRET;
#else
    bool jump = ordinal == VMI_ORDINAL_IRET || ordinal == VMI_ORDINAL_SYSEXIT;
#endif

    return jump ? 0 : frame->stack[0];
}

#endif
