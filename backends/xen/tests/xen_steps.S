/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The library's entries and returns as part of a Linux process, for xen_steps.c, with the way into
 * them and the places that they lead to.
 */
#define __ASSEMBLY__
#include "xen/tests/xen_steps.h"
#include "xen/domain.h"

    .text
    .globl steps_begin, steps_end
steps_begin:
#include "xen/arch/i386/mask.S"
#include "xen/arch/i386/events.S"
    .text
steps_end:

/*
 * void enter(target, words, count): in eax, edx, ecx. Pushes the words, loads registers with values
 * that are known, and goes to the target, with a trap after each instruction. Returns when `landing`
 * is reached.
 */
    .globl enter
enter:
    push %ebp
    push %ebx
    push %esi
    push %edi
    mov %esp, outer_esp
    mov %eax, target
1:  push (%edx)
    add $4, %edx
    dec %ecx
    jnz 1b
    mov %esp, started_esp
    mov $REGISTER(0), %eax
    mov $REGISTER(1), %ecx
    mov $REGISTER(2), %edx
    mov $REGISTER(3), %ebx
    mov $REGISTER(4), %ebp
    mov $REGISTER(5), %esi
    mov $REGISTER(6), %edi
    pushf
    orl $FLAG_TRAP, (%esp)
    popf
    jmp *target

/* Where all ways lead to: what is found is kept in `landed`. Data segments may be null. */
    .globl landing, landing_end
landing:
    mov %eax, %ss:landed
    mov %ecx, %ss:landed + 4
    mov %edx, %ss:landed + 8
    mov %ebx, %ss:landed + 12
    mov %ebp, %ss:landed + 16
    mov %esi, %ss:landed + 20
    mov %edi, %ss:landed + 24
    mov %esp, %ss:landed_esp
    pushf
    pop %ss:landed_flags
    mov %ds, %ss:landed_ds
    mov %es, %ss:landed_es
    mov %ss, %eax
    mov %eax, %ds
    mov %eax, %es
    mov outer_esp, %esp
    pop %edi
    pop %esi
    pop %ebx
    pop %ebp
    ret
landing_end:

/* Where C returns to, instead of to its caller: the traps are on again from here. Flags are lost. */
    .globl from_c
from_c:
    push back_from_c
    pushf
    orl $FLAG_TRAP, (%esp)
    popf
    ret

/* The kernel's handler of VECTOR; on the stack: eip, cs, eflags. */
    .globl on_vector
on_vector:
    push %ds
    push %es
    pushal
    mov %ss, %eax
    mov %eax, %ds
    mov %eax, %es
    mov 40(%esp), %eax
    call on_interrupt
    popal
    pop %es
    pop %ds
    jmp vmi__xen_iret

/* The kernel's handler of #GP; on the stack: error code, eip, cs, eflags. */
    .globl on_fault
on_fault:
    push %eax
    mov 4(%esp), %eax
    mov %eax, %ss:fault_error
    pop %eax
    add $4, %esp
    movl $landing, (%esp)
    movl $SELECTOR_KERNEL, 4(%esp)
    jmp vmi__xen_iret

    .globl restorer
restorer:
    mov $173, %eax /* rt_sigreturn (arch/x86/entry/syscalls/syscall_32.tbl) */
    int $0x80

    .section .note.GNU-stack, "", @progbits
