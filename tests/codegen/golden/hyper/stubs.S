/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Generated from vmi.yaml and hyper/backend.yaml by the template stubs.S.j2; do not edit. */
/*
 * Entry points of the library for Hyper: every call of the interface. A line above each says which
 * registers hold what on entry and on return, and which are destroyed besides; all others are kept.
 */
#include "hyper/hypercalls.h"

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
        pushf
        push %edx
        sub $8, %esp
        push %esp
        addl $4, (%esp)
        push %esp
        addl $4, (%esp)
        push %eax
        pop %eax
        pop %edx
        pop %ecx
        call vmi__bare_probe
        pop %eax
        pop %ebx
        pop %edx
        popf
        ret
        .size vmi_probe, . - vmi_probe

/*
 * Load (1), hypercall load: Load a value.
 * In: eax value; out: nothing; destroyed: eax, ecx, edx, flags.
 */
        .globl vmi_load
        .type vmi_load, @function
        .balign 16
vmi_load:
        push %ebx
        mov %eax, %ebx
        mov $7, %eax
        lock incl vmi__hyper_call_load_count
        vmi__hyper_transfer
        pop %ebx
        ret
        .size vmi_load, . - vmi_load

/*
 * Return (4), instruction: Return from an interrupt.
 * Entered by a jump with the stack of the instruction; does not return. In: nothing.
 */
        .globl vmi_return
        .type vmi_return, @function
        .balign 16
vmi_return:
        iret
        .size vmi_return, . - vmi_return

/*
 * Stop (129), hypercall load: Stop.
 * In: nothing; does not return; destroyed: eax, ecx, edx, flags.
 */
        .globl vmi_stop
        .type vmi_stop, @function
        .balign 16
vmi_stop:
        push %ebx
        mov $4294967295, %ebx
        mov $7, %eax
        lock incl vmi__hyper_call_load_count
        vmi__hyper_transfer
        pop %ebx
        ret
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
        push %ebx
        push %esi
        mov %ecx, %esi
        mov %edx, %ecx
        mov %eax, %edx
        mov 12(%esp), %ebx
        mov $8, %eax
        lock incl vmi__hyper_call_store_count
        vmi__hyper_transfer
        pop %esi
        pop %ebx
        ret
        .size vmi_store, . - vmi_store

/*
 * Clock (3), routine: Read the clock.
 * In: nothing; out: edx:eax result; destroyed: nothing.
 */
        .globl vmi_clock
        .type vmi_clock, @function
        .balign 16
vmi_clock:
        pushf
        push %ecx
        call vmi__hyper_clock
        pop %ecx
        popf
        ret
        .size vmi_clock, . - vmi_clock

/*
 * Fetch (128), hypercall fetch, load by routine: Fetch the state.
 * In: eax to, ecx:edx limit; out: eax result; destroyed: ecx, edx, flags.
 */
        .globl vmi_fetch
        .type vmi_fetch, @function
        .balign 16
vmi_fetch:
        jmp vmi__hyper_fetch
        .size vmi_fetch, . - vmi_fetch

        .section .note.GNU-stack, "", @progbits
