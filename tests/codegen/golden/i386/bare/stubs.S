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
 * In: eax leaf; out: eax low, ebx high; destroyed: ecx.
 */
        .globl vmi_probe
        .type vmi_probe, @function
        .balign 16
vmi_probe:
        .cfi_startproc
        .cfi_undefined %ebx
        pushf
        .cfi_adjust_cfa_offset 4
        push %edx
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset %edx, 0
        sub $8, %esp
        .cfi_adjust_cfa_offset 8
        push %esp
        .cfi_adjust_cfa_offset 4
        addl $4, (%esp)
        push %esp
        .cfi_adjust_cfa_offset 4
        addl $4, (%esp)
        push %eax
        .cfi_adjust_cfa_offset 4
        pop %eax
        .cfi_adjust_cfa_offset -4
        pop %edx
        .cfi_adjust_cfa_offset -4
        pop %ecx
        .cfi_adjust_cfa_offset -4
        call vmi__bare_probe
        pop %eax
        .cfi_adjust_cfa_offset -4
        pop %ebx
        .cfi_adjust_cfa_offset -4
        pop %edx
        .cfi_adjust_cfa_offset -4
        .cfi_restore %edx
        popf
        .cfi_adjust_cfa_offset -4
        ret
        .cfi_endproc
        .size vmi_probe, . - vmi_probe

/*
 * Load (1), instruction: Load a value.
 * In: eax value; out: nothing; destroyed: eax, ecx, edx, flags.
 * Chosen when the library starts: mov %eax, %cr3 with fast, else vmi__bare_load with wide, else
 * push %eax; mov %eax, %cr2; pop %eax.
 */
        .globl vmi_load
        .type vmi_load, @function
        .balign 16
vmi_load:
        .cfi_startproc
        jmp vmi__form_load_2
        .org vmi_load + 32, 0xcc
        .cfi_endproc
        .size vmi_load, . - vmi_load
        .balign 16
vmi__form_load_2:
        .cfi_startproc
        push %eax
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset %eax, 0
        mov %eax, %cr2
        pop %eax
        .cfi_adjust_cfa_offset -4
        .cfi_restore %eax
        ret
        .cfi_endproc

/*
 * Return (4), instruction: Return from an interrupt.
 * Entered by a jump with the stack of the instruction; does not return. In: nothing.
 */
        .globl vmi_return
        .type vmi_return, @function
        .balign 16
vmi_return:
        .cfi_startproc
        .cfi_undefined 8
        iret
        .cfi_endproc
        .size vmi_return, . - vmi_return

/*
 * Stop (129), routine: Stop.
 * In: nothing; does not return; destroyed: eax, ecx, edx, flags.
 */
        .globl vmi_stop
        .type vmi_stop, @function
        .balign 16
vmi_stop:
        .cfi_startproc
        jmp vmi__bare_stop
        .cfi_endproc
        .size vmi_stop, . - vmi_stop

/* ---- memory ---- */

/*
 * Store (2), routine: Store a double word.
 * In: eax low, edx high, ecx name, stack0 mode; out: eax result; destroyed: ecx, edx, flags.
 */
        .globl vmi_store
        .type vmi_store, @function
        .balign 16
vmi_store:
        .cfi_startproc
        jmp vmi__bare_store
        .cfi_endproc
        .size vmi_store, . - vmi_store

/*
 * Clock (3), instruction: Read the clock.
 * In: nothing; out: edx:eax result; destroyed: nothing.
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
 * In: eax to, ecx:edx limit; out: eax result; destroyed: ecx, edx, flags.
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
 * Gate (131), routine: Write a gate.
 * In: eax table, edx low, ecx high; out: nothing; destroyed: eax, ecx, edx, flags.
 */
        .globl vmi_gate
        .type vmi_gate, @function
        .balign 16
vmi_gate:
        .cfi_startproc
        jmp vmi__bare_gate
        .cfi_endproc
        .size vmi_gate, . - vmi_gate

/* ---- forms by processor feature (runtime/forms.h) ---- */

        .section .data.rel.ro.forms, "aw"

vmi__form_load_0:
        mov %eax, %cr3
        ret
        .org vmi__form_load_0 + 32, 0xcc

        .balign 8
        .globl vmi__forms, vmi__forms_end
vmi__forms:
        /* Load: fast; entry point and code; leaf, subleaf; register and bit, whether copied, feature */
        .long vmi_load, vmi__form_load_0
        .long 0x7, 0
        .byte 1, 3, 1, 0
        .balign 4
        /* Load: wide; entry point and code; leaf, subleaf; register and bit, whether copied, feature */
        .long vmi_load, vmi__bare_load
        .long 0x80000001, 2
        .byte 3, 31, 0, 1
        .balign 4
        /* Load: the last; entry point and code; leaf, subleaf; register and bit, whether copied, feature */
        .long vmi_load, vmi__form_load_2
        .long 0, 0
        .byte 0, 0, 0, 255
        .balign 4
vmi__forms_end:

        /* Which library this is, and of which build: kernels that it is linked with say so, and its image. */
        .globl vmi__library
        .type vmi__library, @object
vmi__library:
        .asciz "vmi-library bare b96c8011bad51421b3a03e220f7e95e43064120c30ca29a42b3fdd5c97aa3f66"
        .size vmi__library, . - vmi__library

        .section .note.GNU-stack, "", @progbits
