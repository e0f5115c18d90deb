/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * For forms.c: entry points, their forms, and the calls that vmi__forms_choose makes.
 */

    .macro answer number
    mov $\number, %eax
    ret
    .endm

    .macro form entry, code, leaf, subleaf, register, bit, copied, feature
    .quad \entry, \code
    .long \leaf, \subleaf
    .byte \register, \bit, \copied, \feature
    .balign 8
    .endm

    /* For all processors. */
    .macro last entry, code, copied
    form \entry, \code, 0, 0, 0, 0, \copied, 0xff
    .endm

    .text
    .balign 4096
    .globl entries, entries_end, copied, jumped, alone, short
entries:
copied:
    answer 1
    .org copied + 32, 0xcc
jumped:
    answer 10
    .org jumped + 32, 0xcc
alone:
    answer 100
    .org alone + 32, 0xcc
short:
    jmp short_form
    .org short + 32, 0xcc
entries_end:
short_form: /* near enough for a jump of two bytes */
    answer 1000
    .balign 4096

far_form:
    answer 11

/* eax leaf, ecx subleaf; all but eax, ebx, ecx and edx kept. */
    .globl vmi_cpuid
vmi_cpuid:
    push %rdi
    push %rsi
    push %r8
    push %r9
    push %r10
    push %r11
    push %rbp
    mov %rsp, %rbp
    and $-16, %rsp
    sub $16, %rsp
    mov %eax, (%rsp)
    mov %ecx, 8(%rsp)
    mov %rsp, %rdi
    call test_cpuid
    mov (%rsp), %eax
    mov 4(%rsp), %ebx
    mov 8(%rsp), %ecx
    mov 12(%rsp), %edx
    mov %rbp, %rsp
    pop %rbp
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rsi
    pop %rdi
    ret

    .globl vmi_get_cr0, vmi_set_cr0, vmi_get_cr4, vmi_set_cr4
vmi_get_cr4:
    mov test_cr4(%rip), %rax
    ret
vmi_set_cr4:
    mov %rdi, test_cr4(%rip)
    ret
vmi_get_cr0:
    mov test_cr0(%rip), %rax
    ret
/* Only rax and the flags may die on x86-64. */
vmi_set_cr0:
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    sub $8, %rsp
    call test_set_cr0
    add $8, %rsp
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    ret

    .section .rodata
copy_best:
    answer 3
    .org copy_best + 32, 0xcc
copy_next:
    answer 2
    .org copy_next + 32, 0xcc
copy_1:
    answer 1
    .org copy_1 + 32, 0xcc
copy_10:
    answer 10
    .org copy_10 + 32, 0xcc
copy_100:
    answer 100
    .org copy_100 + 32, 0xcc

    .balign 8
    .globl vmi__forms, vmi__forms_end
vmi__forms:
    form copied, copy_best, 7, 0, 1, 20, 1, 0
    form copied, copy_next, 0x80000001, 0, 3, 31, 1, 1
    last copied, copy_1, 1
    form jumped, far_form, 7, 1, 0, 0, 0, 2
    last jumped, copy_10, 1
    form alone, copy_best, 8, 0, 1, 20, 1, 0
    last alone, copy_100, 1
    form short, copy_best, 7, 1, 0, 1, 1, 31
    last short, short_form, 0
vmi__forms_end:

    .section .note.GNU-stack, "", @progbits
