/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Generated from vmi.yaml and bare/backend.yaml by the template stubs.S.j2; do not edit. */
/*
 * Entry points of the library for Bare: every call of the interface. A line above each says which
 * registers hold what on entry and on return, and which are destroyed besides; all others are kept.
 */
#include "bare/hypercalls.h"

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
 * Load (1), instruction: Load a value.
 * In: eax value; out: nothing; destroyed: eax, ecx, edx, flags.
 */
        .globl vmi_load
        .type vmi_load, @function
        .balign 16
vmi_load:
        mov %eax, %cr3
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
 * Stop (129), routine: Stop.
 * In: nothing; does not return; destroyed: eax, ecx, edx, flags.
 */
        .globl vmi_stop
        .type vmi_stop, @function
        .balign 16
vmi_stop:
        jmp vmi__bare_stop
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
        jmp vmi__bare_store
        .size vmi_store, . - vmi_store

/*
 * Clock (3), instruction: Read the clock.
 * In: nothing; out: edx:eax result; destroyed: nothing.
 */
        .globl vmi_clock
        .type vmi_clock, @function
        .balign 16
vmi_clock:
        rdtsc
        ret
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
        mov $255, %eax
        ret
        .size vmi_fetch, . - vmi_fetch

        .section .note.GNU-stack, "", @progbits
