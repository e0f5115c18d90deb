/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Generated from vmi.yaml and bare/backend.yaml by the template stubs.S.j2; do not edit. */
/*
 * Entry points of the library for Bare: every call of the interface. A line above each says which
 * registers hold what on entry and on return, and which are destroyed besides; all others are kept.
 */
#include "bare/hypercalls.h"

        .cfi_sections .debug_frame
        .text

/* ---- processor ---- */

/*
 * Probe (0), routine: Ask for two words.
 * In: rax leaf; out: rax low, rbx high; destroyed: rcx.
 */
        .globl vmi_probe
        .type vmi_probe, @function
        .balign 16
vmi_probe:
        .cfi_startproc
        .cfi_undefined %rbx
        pushf
        .cfi_adjust_cfa_offset 8
        push %rdx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rdx, 0
        push %rsi
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rsi, 0
        push %rdi
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rdi, 0
        push %r8
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r8, 0
        push %r9
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r9, 0
        push %r10
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r10, 0
        push %r11
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r11, 0
        sub $16, %rsp
        .cfi_adjust_cfa_offset 16
        mov %rax, %rdi
        mov %rsp, %rsi
        lea 8(%rsp), %rdx
        call vmi__bare_probe
        pop %rax
        .cfi_adjust_cfa_offset -8
        mov %eax, %eax
        pop %rbx
        .cfi_adjust_cfa_offset -8
        mov %ebx, %ebx
        pop %r11
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r11
        pop %r10
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r10
        pop %r9
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r9
        pop %r8
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r8
        pop %rdi
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rdi
        pop %rsi
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rsi
        pop %rdx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rdx
        popf
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size vmi_probe, . - vmi_probe

/*
 * Load (1), instruction: Load a value.
 * In: rdi value; out: nothing; destroyed: rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11, flags.
 * Chosen when the library starts: mov %rdi, %cr3 with fast, else vmi__bare_load with wide, else mov
 * %rdi, %cr2.
 */
        .globl vmi_load
        .type vmi_load, @function
        .balign 16
vmi_load:
        .cfi_startproc
        mov %rdi, %cr2
        ret
        .org vmi_load + 32, 0xcc
        .cfi_endproc
        .size vmi_load, . - vmi_load

/*
 * Return (4), instruction: Return from an interrupt.
 * Entered by a jump with the stack of the instruction; does not return. In: nothing.
 */
        .globl vmi_return
        .type vmi_return, @function
        .balign 16
vmi_return:
        .cfi_startproc
        .cfi_undefined 16
        iretq
        .cfi_endproc
        .size vmi_return, . - vmi_return

/*
 * Stop (129), routine: Stop.
 * In: nothing; does not return; destroyed: rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11, flags.
 */
        .globl vmi_stop
        .type vmi_stop, @function
        .balign 16
vmi_stop:
        .cfi_startproc
        jmp vmi__bare_stop
        .cfi_endproc
        .size vmi_stop, . - vmi_stop

/*
 * Base (130), routine: Write the base and read the old one.
 * In: rcx number, rdx:rax value, r8 deep; out: rdx:rax result; destroyed: r10.
 */
        .globl vmi_base
        .type vmi_base, @function
        .balign 16
vmi_base:
        .cfi_startproc
        pushf
        .cfi_adjust_cfa_offset 8
        push %rcx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rcx, 0
        push %rsi
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rsi, 0
        push %rdi
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rdi, 0
        push %r8
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r8, 0
        push %r9
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r9, 0
        push %r11
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r11, 0
        mov %eax, %eax
        shl $32, %rdx
        or %rdx, %rax
        mov %rcx, %rdi
        mov %rax, %rsi
        mov %r8, %rdx
        call vmi__bare_base
        mov %rax, %rdx
        shr $32, %rdx
        mov %eax, %eax
        pop %r11
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r11
        pop %r9
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r9
        pop %r8
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r8
        pop %rdi
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rdi
        pop %rsi
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rsi
        pop %rcx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rcx
        popf
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size vmi_base, . - vmi_base

/* ---- memory ---- */

/*
 * Store (2), routine: Store a double word.
 * In: rdi low, rsi high, rdx name, rcx mode; out: rax result; destroyed: rcx, rdx, flags.
 */
        .globl vmi_store
        .type vmi_store, @function
        .balign 16
vmi_store:
        .cfi_startproc
        push %rsi
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rsi, 0
        push %rdi
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rdi, 0
        push %r8
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r8, 0
        push %r9
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r9, 0
        push %r10
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r10, 0
        push %r11
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r11, 0
        call vmi__bare_store
        pop %r11
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r11
        pop %r10
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r10
        pop %r9
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r9
        pop %r8
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r8
        pop %rdi
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rdi
        pop %rsi
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rsi
        ret
        .cfi_endproc
        .size vmi_store, . - vmi_store

/*
 * Clock (3), instruction: Read the clock.
 * In: nothing; out: rdx:rax result; destroyed: nothing.
 */
        .globl vmi_clock
        .type vmi_clock, @function
        .balign 16
vmi_clock:
        .cfi_startproc
        rdtsc
        ret
        .cfi_endproc
        .size vmi_clock, . - vmi_clock

/*
 * Fetch (128), unsupported: Fetch the state.
 * In: rdi to, rsi limit; out: rax result; destroyed: rcx, rdx, rsi, rdi, r8, r9, r10, r11, flags.
 * Unsupported: a machine has no | state
 */
        .globl vmi_fetch
        .type vmi_fetch, @function
        .balign 16
vmi_fetch:
        .cfi_startproc
        mov $255, %eax
        ret
        .cfi_endproc
        .size vmi_fetch, . - vmi_fetch

/*
 * Gate (131), instruction: Write a gate.
 * In: rdi table, rsi whole; out: nothing; destroyed: rax, flags.
 */
        .globl vmi_gate
        .type vmi_gate, @function
        .balign 16
vmi_gate:
        .cfi_startproc
        mov %rsi, (%rdi)
        ret
        .cfi_endproc
        .size vmi_gate, . - vmi_gate

/* ---- forms by processor feature (runtime/forms.h) ---- */

        .section .data.rel.ro.forms, "aw"

vmi__form_load_0:
        mov %rdi, %cr3
        ret
        .org vmi__form_load_0 + 32, 0xcc

vmi__form_load_2:
        mov %rdi, %cr2
        ret
        .org vmi__form_load_2 + 32, 0xcc

        .balign 8
        .globl vmi__forms, vmi__forms_end
vmi__forms:
        /* Load: fast; entry point and code; leaf, subleaf; register and bit, whether copied, feature */
        .quad vmi_load, vmi__form_load_0
        .long 0x7, 0
        .byte 1, 3, 1, 0
        .balign 8
        /* Load: wide; entry point and code; leaf, subleaf; register and bit, whether copied, feature */
        .quad vmi_load, vmi__bare_load
        .long 0x80000001, 2
        .byte 3, 31, 0, 1
        .balign 8
        /* Load: the last; entry point and code; leaf, subleaf; register and bit, whether copied, feature */
        .quad vmi_load, vmi__form_load_2
        .long 0, 0
        .byte 0, 0, 1, 255
        .balign 8
vmi__forms_end:

        /* Which library this is, and of which build: kernels that it is linked with say so, and its image. */
        .globl vmi__library
        .type vmi__library, @object
vmi__library:
        .asciz "vmi-library bare 03560cac126e186f92b294cf380d17664ae6c2e1d8e092a66aa68a971206adc0"
        .size vmi__library, . - vmi__library

        .section .note.GNU-stack, "", @progbits
