/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Generated from vmi.yaml by the template slots.S.j2; do not edit. */
/*
 * The symbols of all calls in a kernel that is bound when it starts: one slot of 16 bytes for each
 * ordinal, which the binder fills with a jump to the provider or with its instructions. Calls
 * through pointers and from code without records go this way; recorded ones do not.
 */
        .cfi_sections .debug_frame
        .section .text.slots, "ax", @progbits
        .balign 16
        .globl vmi__slots
vmi__slots:
        .org vmi__slots + 16 * 0, 0xcc
        .globl vmi_probe
        .type vmi_probe, @function
vmi_probe:
        .cfi_startproc
        jmp vmi__unbound
        .org vmi__slots + 16 * 1, 0xcc
        .cfi_endproc
        .size vmi_probe, 16
        .org vmi__slots + 16 * 1, 0xcc
        .globl vmi_load
        .type vmi_load, @function
vmi_load:
        .cfi_startproc
        jmp vmi__unbound
        .org vmi__slots + 16 * 2, 0xcc
        .cfi_endproc
        .size vmi_load, 16
        .org vmi__slots + 16 * 2, 0xcc
        .globl vmi_store
        .type vmi_store, @function
vmi_store:
        .cfi_startproc
        jmp vmi__unbound
        .org vmi__slots + 16 * 3, 0xcc
        .cfi_endproc
        .size vmi_store, 16
        .org vmi__slots + 16 * 3, 0xcc
        .globl vmi_clock
        .type vmi_clock, @function
vmi_clock:
        .cfi_startproc
        jmp vmi__unbound
        .org vmi__slots + 16 * 4, 0xcc
        .cfi_endproc
        .size vmi_clock, 16
        .org vmi__slots + 16 * 4, 0xcc
        .globl vmi_return
        .type vmi_return, @function
vmi_return:
        .cfi_startproc
        jmp vmi__unbound
        .org vmi__slots + 16 * 5, 0xcc
        .cfi_endproc
        .size vmi_return, 16
        .org vmi__slots + 16 * 128, 0xcc
        .globl vmi_fetch
        .type vmi_fetch, @function
vmi_fetch:
        .cfi_startproc
        jmp vmi__unbound
        .org vmi__slots + 16 * 129, 0xcc
        .cfi_endproc
        .size vmi_fetch, 16
        .org vmi__slots + 16 * 129, 0xcc
        .globl vmi_stop
        .type vmi_stop, @function
vmi_stop:
        .cfi_startproc
        jmp vmi__unbound
        .org vmi__slots + 16 * 130, 0xcc
        .cfi_endproc
        .size vmi_stop, 16
        .org vmi__slots + 16 * 131, 0xcc
        .globl vmi_gate
        .type vmi_gate, @function
vmi_gate:
        .cfi_startproc
        jmp vmi__unbound
        .org vmi__slots + 16 * 132, 0xcc
        .cfi_endproc
        .size vmi_gate, 16
        .org vmi__slots + 16 * 132, 0xcc
        .globl vmi__slots_end
vmi__slots_end:

        .section .note.GNU-stack, "", @progbits
