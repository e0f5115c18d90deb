/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Generated from vmi.yaml by the template flavour.S.j2; do not edit. */
/*
 * Entry points of a flavour: those of a library, with a function called before each call and
 * another after it (runtime/flavour.h). The library's own are vmi__inner_NAME there
 * (codegen/vmiflavour.py). All registers and flags are what the contract makes of them.
 */
        .cfi_sections .debug_frame

        /* Calls a hook with all registers saved. Keeps them all, and the flags. */
        .macro vmi__hook name, ordinal
        pushf
        .cfi_adjust_cfa_offset 8
        push %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r15, 0
        push %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r14, 0
        push %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r13, 0
        push %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r12, 0
        push %r11
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r11, 0
        push %r10
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r10, 0
        push %r9
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r9, 0
        push %r8
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r8, 0
        push %rdi
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rdi, 0
        push %rsi
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rsi, 0
        push %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        push %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        push %rdx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rdx, 0
        push %rcx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rcx, 0
        push %rax
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rax, 0
        cld
        mov %rsp, %rsi
        mov $\ordinal, %rdi
        mov %rsp, %rbx
        .cfi_def_cfa_register %rbx
        and $-16, %rsp
        call \name
        mov %rbx, %rsp
        .cfi_def_cfa_register %rsp
        pop %rax
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rax
        pop %rcx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rcx
        pop %rdx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rdx
        pop %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbx
        pop %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbp
        pop %rsi
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rsi
        pop %rdi
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rdi
        pop %r8
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r8
        pop %r9
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r9
        pop %r10
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r10
        pop %r11
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r11
        pop %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r12
        pop %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r13
        pop %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r14
        pop %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r15
        popf
        .cfi_adjust_cfa_offset -8
        .endm

        .text

/* Probe (0) */
        .globl vmi_probe
        .type vmi_probe, @function
        .balign 16
vmi_probe:
        .cfi_startproc
        vmi__hook vmi__flavour_enter, 0
        call vmi__inner_probe
        vmi__hook vmi__flavour_leave, 0
        ret
        .cfi_endproc
        .size vmi_probe, . - vmi_probe

/* Load (1) */
        .globl vmi_load
        .type vmi_load, @function
        .balign 16
vmi_load:
        .cfi_startproc
        vmi__hook vmi__flavour_enter, 1
        call vmi__inner_load
        vmi__hook vmi__flavour_leave, 1
        ret
        .cfi_endproc
        .size vmi_load, . - vmi_load

/* Store (2) */
        .globl vmi_store
        .type vmi_store, @function
        .balign 16
vmi_store:
        .cfi_startproc
        vmi__hook vmi__flavour_enter, 2
        call vmi__inner_store
        vmi__hook vmi__flavour_leave, 2
        ret
        .cfi_endproc
        .size vmi_store, . - vmi_store

/* Clock (3) */
        .globl vmi_clock
        .type vmi_clock, @function
        .balign 16
vmi_clock:
        .cfi_startproc
        vmi__hook vmi__flavour_enter, 3
        call vmi__inner_clock
        vmi__hook vmi__flavour_leave, 3
        ret
        .cfi_endproc
        .size vmi_clock, . - vmi_clock

/* Return (4) */
        .globl vmi_return
        .type vmi_return, @function
        .balign 16
vmi_return:
        .cfi_startproc
        .cfi_undefined 16
        vmi__hook vmi__flavour_enter, 4
        jmp vmi__inner_return
        .cfi_endproc
        .size vmi_return, . - vmi_return

/* Fetch (128) */
        .globl vmi_fetch
        .type vmi_fetch, @function
        .balign 16
vmi_fetch:
        .cfi_startproc
        vmi__hook vmi__flavour_enter, 128
        call vmi__inner_fetch
        vmi__hook vmi__flavour_leave, 128
        ret
        .cfi_endproc
        .size vmi_fetch, . - vmi_fetch

/* Stop (129) */
        .globl vmi_stop
        .type vmi_stop, @function
        .balign 16
vmi_stop:
        .cfi_startproc
        vmi__hook vmi__flavour_enter, 129
        call vmi__inner_stop
        vmi__hook vmi__flavour_leave, 129
        ret
        .cfi_endproc
        .size vmi_stop, . - vmi_stop

/* Base (130) */
        .globl vmi_base
        .type vmi_base, @function
        .balign 16
vmi_base:
        .cfi_startproc
        vmi__hook vmi__flavour_enter, 130
        call vmi__inner_base
        vmi__hook vmi__flavour_leave, 130
        ret
        .cfi_endproc
        .size vmi_base, . - vmi_base

/* Gate (131) */
        .globl vmi_gate
        .type vmi_gate, @function
        .balign 16
vmi_gate:
        .cfi_startproc
        vmi__hook vmi__flavour_enter, 131
        call vmi__inner_gate
        vmi__hook vmi__flavour_leave, 131
        ret
        .cfi_endproc
        .size vmi_gate, . - vmi_gate

        .section .note.GNU-stack, "", @progbits
