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
 * Load (1), hypercall load: Load a value.
 * In: eax value; out: nothing; destroyed: eax, ecx, edx, flags.
 */
        .globl vmi_load
        .type vmi_load, @function
        .balign 16
vmi_load:
        .cfi_startproc
        push %ebx
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset %ebx, 0
        mov %eax, %ebx
        mov $7, %eax
        lock incl vmi__hyper_call_load_count
        vmi__hyper_transfer
        pop %ebx
        .cfi_adjust_cfa_offset -4
        .cfi_restore %ebx
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
        .cfi_undefined 8
        iret
        .cfi_endproc
        .size vmi_return, . - vmi_return

/*
 * Stop (129), hypercall load: Stop.
 * In: nothing; does not return; destroyed: eax, ecx, edx, flags.
 */
        .globl vmi_stop
        .type vmi_stop, @function
        .balign 16
vmi_stop:
        .cfi_startproc
        push %ebx
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset %ebx, 0
        mov $4294967295, %ebx
        mov $7, %eax
        lock incl vmi__hyper_call_load_count
        vmi__hyper_transfer
        pop %ebx
        .cfi_adjust_cfa_offset -4
        .cfi_restore %ebx
        ret
        .cfi_endproc
        .size vmi_stop, . - vmi_stop

/* ---- memory ---- */

/*
 * Store (2), hypercall store: Store a double word.
 * In: eax low, edx high, ecx name, stack0 mode; out: eax result; destroyed: ecx, edx, flags.
 */
        .globl vmi_store
        .type vmi_store, @function
        .balign 16
vmi_store:
        .cfi_startproc
        push %ebx
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset %ebx, 0
        push %esi
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset %esi, 0
        mov %ecx, %esi
        mov %edx, %ecx
        mov %eax, %edx
        mov 12(%esp), %ebx
        mov $8, %eax
        lock incl vmi__hyper_call_store_count
        vmi__hyper_transfer
        pop %esi
        .cfi_adjust_cfa_offset -4
        .cfi_restore %esi
        pop %ebx
        .cfi_adjust_cfa_offset -4
        .cfi_restore %ebx
        ret
        .cfi_endproc
        .size vmi_store, . - vmi_store

/*
 * Clock (3), routine: Read the clock.
 * In: nothing; out: edx:eax result; destroyed: nothing.
 */
        .globl vmi_clock
        .type vmi_clock, @function
        .balign 16
vmi_clock:
        .cfi_startproc
        pushf
        .cfi_adjust_cfa_offset 4
        push %ecx
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset %ecx, 0
        call vmi__hyper_clock
        pop %ecx
        .cfi_adjust_cfa_offset -4
        .cfi_restore %ecx
        popf
        .cfi_adjust_cfa_offset -4
        ret
        .cfi_endproc
        .size vmi_clock, . - vmi_clock

/*
 * Fetch (128), hypercall fetch, load by routine: Fetch the state.
 * In: eax to, ecx:edx limit; out: eax result; destroyed: ecx, edx, flags.
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

        .balign 8
        .globl vmi__forms, vmi__forms_end
vmi__forms:
vmi__forms_end:

        /* Which library this is, and of which build: kernels that it is linked with say so, and its image. */
        .globl vmi__library
        .type vmi__library, @object
vmi__library:
        .asciz "vmi-library hyper 4c425677d505ab9a0baf3b867da787935942cd7acac3486cf9e1b9c232d1f046"
        .size vmi__library, . - vmi__library

        .section .note.GNU-stack, "", @progbits
