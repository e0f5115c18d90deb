/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Entries of the IDT that a kernel begins with, VMI__FAULT_ENTRY_SIZE bytes apart.
 */
#include "../../faults.h"

    .text
    .balign VMI__FAULT_ENTRY_SIZE
    .globl vmi__fault_entries
    .type vmi__fault_entries, @function
/* On the stack: an error code for some vectors, then the frame. */
vmi__fault_entries:
    .set vector, 0
    .rept VMI__FAULT_VECTORS
    .balign VMI__FAULT_ENTRY_SIZE
    VMI__ENDBR32
    push $vector
    jmp common
    .set vector, vector + 1
    .endr

/*
 * On the stack: the vector, then as above. Data segments may be what the kernel was about to load:
 * they become the stack's. eax: vector; edx: error code or 0; ecx: eip.
 */
common:
    cld
    pop %eax
    push %ss
    pop %ds
    push %ss
    pop %es
    xor %edx, %edx
    mov $VMI__FAULT_HAS_ERROR, %ecx
    bt %eax, %ecx
    jnc 1f
    pop %edx
1:  pop %ecx
    xor %ebp, %ebp /* ends a walk along frame pointers */
    and $-16, %esp
    call vmi__fault
    .size vmi__fault_entries, . - vmi__fault_entries

    .section .note.GNU-stack, "", @progbits
