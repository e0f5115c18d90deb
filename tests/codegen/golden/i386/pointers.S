/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Generated from vmi.yaml by the template pointers.S.j2; do not edit. */
/*
 * The table that calls go through in code that is compiled with VMI_POINTER (vmi/vmi.h): by
 * ordinal, the library's entry points.
 */
        .data
        .balign 4
        .globl vmi__pointers
vmi__pointers:
        .org vmi__pointers + 4 * 0
        .long vmi_probe
        .org vmi__pointers + 4 * 1
        .long vmi_load
        .org vmi__pointers + 4 * 2
        .long vmi_store
        .org vmi__pointers + 4 * 3
        .long vmi_clock
        .org vmi__pointers + 4 * 4
        .long vmi_return
        .org vmi__pointers + 4 * 128
        .long vmi_fetch
        .org vmi__pointers + 4 * 129
        .long vmi_stop
        .org vmi__pointers + 4 * 131
        .long vmi_gate

        .section .note.GNU-stack, "", @progbits
