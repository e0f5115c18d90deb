/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Where the processor's gate of page faults leads to: an entry for each handler of the kernel's.
 */
#include "../endbr.h"
#include "watch.h"

#include <vmi/flavour.inc>

#ifdef __x86_64__
#define WORD    8
#define SP      %rsp
#define SCRATCH %rax
#define ENDBR   VMI__ENDBR64
#define RETURN  iretq
#else
#define WORD    4
#define SP      %esp
#define SCRATCH %eax
#define ENDBR   VMI__ENDBR32
#define RETURN  iret
#endif

/* Of a page fault's error code (Intel SDM vol. 3A, 4.7): a page that is there was written by the
 * kernel. */
#define ERROR_MASK  7
#define ERROR_WRITE 3

    .section .data
    .balign WORD
    .globl vmi__checked_fault_handlers
    .type vmi__checked_fault_handlers, @object
/* The kernel's handlers, by entry. */
vmi__checked_fault_handlers:
    .skip VMI__FAULT_HANDLERS * WORD
    .size vmi__checked_fault_handlers, VMI__FAULT_HANDLERS * WORD

    .text
    .balign VMI__WATCH_ENTRY_SIZE
    .globl vmi__checked_fault_entries
    .type vmi__checked_fault_entries, @function
/*
 * On the stack: error code, then the frame. All registers are the interrupted code's, and of a
 * process's nothing but the stack segment can be used.
 */
vmi__checked_fault_entries:
    .set handler, 0
    .rept VMI__FAULT_HANDLERS
    .balign VMI__WATCH_ENTRY_SIZE
    ENDBR
#ifdef __x86_64__
    pushq vmi__checked_fault_handlers + handler * WORD(%rip)
#else
    pushl %ss:vmi__checked_fault_handlers + handler * WORD
#endif
    jmp fault
    .set handler, handler + 1
    .endr

/* On the stack: the handler, error code, frame. */
fault:
    push SCRATCH
    mov 2 * WORD(SP), SCRATCH
    and $ERROR_MASK, %al
    cmp $ERROR_WRITE, %al
    pop SCRATCH
    jne 1f
    vmi__hook vmi__checked_page_fault, $0, 0
#ifdef __x86_64__
    cmpq $0, (%rsp)
#else
    cmpl $0, (%esp)
#endif
    je 2f
1:  ret
/* The store is made again. */
2:  lea 2 * WORD(SP), SP
    RETURN
    .size vmi__checked_fault_entries, . - vmi__checked_fault_entries

    .section .note.GNU-stack, "", @progbits
