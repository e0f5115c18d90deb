/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Generated from vmi.yaml by the template flavour.S.j2; do not edit. */
/*
 * Entry points of a flavour: those of a library, with a function called before each call and
 * another after it (runtime/flavour.h). The library's own are vmi__inner_NAME there
 * (codegen/vmiflavour.py). All registers and flags are what the contract makes of them.
 */
#include <vmi/flavour.inc>

        .cfi_sections .debug_frame

        .text

/* Probe (0) */
        .globl vmi_probe
        .type vmi_probe, @function
        .balign 16
vmi_probe:
        .cfi_startproc
        vmi__hook vmi__flavour_enter, $0
        call vmi__inner_probe
        vmi__hook vmi__flavour_leave, $0
        ret
        .cfi_endproc
        .size vmi_probe, . - vmi_probe

/* Load (1) */
        .globl vmi_load
        .type vmi_load, @function
        .balign 16
vmi_load:
        .cfi_startproc
        vmi__hook vmi__flavour_enter, $1
        call vmi__inner_load
        vmi__hook vmi__flavour_leave, $1
        ret
        .cfi_endproc
        .size vmi_load, . - vmi_load

/* Store (2) */
        .globl vmi_store
        .type vmi_store, @function
        .balign 16
vmi_store:
        .cfi_startproc
        vmi__hook vmi__flavour_enter, $2
        call vmi__inner_store
        vmi__hook vmi__flavour_leave, $2
        ret
        .cfi_endproc
        .size vmi_store, . - vmi_store

/* Clock (3) */
        .globl vmi_clock
        .type vmi_clock, @function
        .balign 16
vmi_clock:
        .cfi_startproc
        vmi__hook vmi__flavour_enter, $3
        call vmi__inner_clock
        vmi__hook vmi__flavour_leave, $3
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
        vmi__hook vmi__flavour_enter, $4
        jmp vmi__inner_return
        .cfi_endproc
        .size vmi_return, . - vmi_return

/* Fetch (128) */
        .globl vmi_fetch
        .type vmi_fetch, @function
        .balign 16
vmi_fetch:
        .cfi_startproc
        vmi__hook vmi__flavour_enter, $128
        call vmi__inner_fetch
        vmi__hook vmi__flavour_leave, $128
        ret
        .cfi_endproc
        .size vmi_fetch, . - vmi_fetch

/* Stop (129) */
        .globl vmi_stop
        .type vmi_stop, @function
        .balign 16
vmi_stop:
        .cfi_startproc
        vmi__hook vmi__flavour_enter, $129
        call vmi__inner_stop
        vmi__hook vmi__flavour_leave, $129
        ret
        .cfi_endproc
        .size vmi_stop, . - vmi_stop

/* Base (130) */
        .globl vmi_base
        .type vmi_base, @function
        .balign 16
vmi_base:
        .cfi_startproc
        vmi__hook vmi__flavour_enter, $130
        call vmi__inner_base
        vmi__hook vmi__flavour_leave, $130
        ret
        .cfi_endproc
        .size vmi_base, . - vmi_base

/* Gate (131) */
        .globl vmi_gate
        .type vmi_gate, @function
        .balign 16
vmi_gate:
        .cfi_startproc
        vmi__hook vmi__flavour_enter, $131
        call vmi__inner_gate
        vmi__hook vmi__flavour_leave, $131
        ret
        .cfi_endproc
        .size vmi_gate, . - vmi_gate

        .section .note.GNU-stack, "", @progbits
