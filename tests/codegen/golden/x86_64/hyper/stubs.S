/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Generated from vmi.yaml and hyper/backend.yaml by the template stubs.S.j2; do not edit. */
/*
 * Entry points of the library for Hyper: every call of the interface. A line above each says which
 * registers hold what on entry and on return, and which are destroyed besides; all others are kept.
 */
#include "hyper/hypercalls.h"

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
 * Load (1), hypercall load: Load a value.
 * In: rdi value; out: nothing; destroyed: rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11, flags.
 */
        .globl vmi_load
        .type vmi_load, @function
        .balign 16
vmi_load:
        .cfi_startproc
        mov %edi, %edi
        mov $7, %eax
        lock incl vmi__hyper_call_load_count(%rip)
        vmi__hyper_transfer
        ret
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
 * Stop (129), hypercall load: Stop.
 * In: nothing; does not return; destroyed: rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11, flags.
 */
        .globl vmi_stop
        .type vmi_stop, @function
        .balign 16
vmi_stop:
        .cfi_startproc
        mov $4294967295, %edi
        mov $7, %eax
        lock incl vmi__hyper_call_load_count(%rip)
        vmi__hyper_transfer
        ret
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
 * Store (2), hypercall store: Store a double word.
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
        push %r10
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r10, 0
        push %r11
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r11, 0
        mov %rdx, %r10
        mov %rdi, %rdx
        mov %rcx, %rdi
        mov %edi, %edi
        mov %esi, %esi
        mov %edx, %edx
        mov $8, %eax
        lock incl vmi__hyper_call_store_count(%rip)
        vmi__hyper_transfer
        pop %r11
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r11
        pop %r10
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r10
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
 * Clock (3), routine: Read the clock.
 * In: nothing; out: rdx:rax result; destroyed: nothing.
 */
        .globl vmi_clock
        .type vmi_clock, @function
        .balign 16
vmi_clock:
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
        push %r10
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r10, 0
        push %r11
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r11, 0
        call vmi__hyper_clock
        mov %rax, %rdx
        shr $32, %rdx
        mov %eax, %eax
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
        pop %rcx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rcx
        popf
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size vmi_clock, . - vmi_clock

/*
 * Fetch (128), hypercall fetch, load by routine: Fetch the state.
 * In: rdi to, rsi limit; out: rax result; destroyed: rcx, rdx, rsi, rdi, r8, r9, r10, r11, flags.
 */
        .globl vmi_fetch
        .type vmi_fetch, @function
        .balign 16
vmi_fetch:
        .cfi_startproc
        jmp vmi__hyper_fetch
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

        .balign 8
        .globl vmi__forms, vmi__forms_end
vmi__forms:
vmi__forms_end:

        /* Which library this is, and of which build: kernels that it is linked with say so, and its image. */
        .globl vmi__library
        .type vmi__library, @object
vmi__library:
        .asciz "vmi-library hyper 7c02c6289c162f1c3c177b742881fe022780f8901faa959d128410abad53b187"
        .size vmi__library, . - vmi__library

        .section .note.GNU-stack, "", @progbits
