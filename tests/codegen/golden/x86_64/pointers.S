/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Generated from vmi.yaml by the template pointers.S.j2; do not edit. */
/*
 * The table that calls go through in code that is compiled with VMI_POINTER (vmi/vmi.h): by
 * ordinal, the library's entry points.
 */
        .data
        .balign 8
        .globl vmi__pointers
vmi__pointers:
        .org vmi__pointers + 8 * 0
        .quad vmi_probe
        .org vmi__pointers + 8 * 1
        .quad vmi_load
        .org vmi__pointers + 8 * 2
        .quad vmi_store
        .org vmi__pointers + 8 * 3
        .quad vmi_clock
        .org vmi__pointers + 8 * 4
        .quad vmi_return
        .org vmi__pointers + 8 * 128
        .quad vmi_fetch
        .org vmi__pointers + 8 * 129
        .quad vmi_stop
        .org vmi__pointers + 8 * 130
        .quad vmi_base
        .org vmi__pointers + 8 * 131
        .quad vmi_gate

        .section .note.GNU-stack, "", @progbits
