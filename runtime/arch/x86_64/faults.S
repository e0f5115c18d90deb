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
    VMI__ENDBR64
    push $vector
    jmp common
    .set vector, vector + 1
    .endr

/* On the stack: the vector, then as above. edi: vector; esi: error code or 0; rdx: rip. */
common:
    cld
    pop %rdi
    xor %esi, %esi
    mov $VMI__FAULT_HAS_ERROR, %eax
    bt %edi, %eax
    jnc 1f
    pop %rsi
1:  pop %rdx
    xor %ebp, %ebp /* ends a walk along frame pointers */
    and $-16, %rsp
    call vmi__fault
    .size vmi__fault_entries, . - vmi__fault_entries

    .section .note.GNU-stack, "", @progbits
