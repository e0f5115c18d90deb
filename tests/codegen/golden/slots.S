/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Generated from vmi.yaml by the template slots.S.j2; do not edit. */
/*
 * The symbols of all calls in a kernel that is bound when it starts: one slot of 16 bytes for each
 * ordinal, which the binder fills with a jump to the provider or with its instructions. Calls
 * through pointers and from code without records go this way; recorded ones do not.
 */
        .section .text.slots, "ax", @progbits
        .balign 16
        .globl vmi__slots
vmi__slots:
        .org vmi__slots + 16 * 0, 0xcc
        .globl vmi_probe
        .type vmi_probe, @function
vmi_probe:
        jmp vmi__unbound
        .size vmi_probe, 16
        .org vmi__slots + 16 * 1, 0xcc
        .globl vmi_load
        .type vmi_load, @function
vmi_load:
        jmp vmi__unbound
        .size vmi_load, 16
        .org vmi__slots + 16 * 2, 0xcc
        .globl vmi_store
        .type vmi_store, @function
vmi_store:
        jmp vmi__unbound
        .size vmi_store, 16
        .org vmi__slots + 16 * 3, 0xcc
        .globl vmi_clock
        .type vmi_clock, @function
vmi_clock:
        jmp vmi__unbound
        .size vmi_clock, 16
        .org vmi__slots + 16 * 4, 0xcc
        .globl vmi_return
        .type vmi_return, @function
vmi_return:
        jmp vmi__unbound
        .size vmi_return, 16
        .org vmi__slots + 16 * 128, 0xcc
        .globl vmi_fetch
        .type vmi_fetch, @function
vmi_fetch:
        jmp vmi__unbound
        .size vmi_fetch, 16
        .org vmi__slots + 16 * 129, 0xcc
        .globl vmi_stop
        .type vmi_stop, @function
vmi_stop:
        jmp vmi__unbound
        .size vmi_stop, 16
        .org vmi__slots + 16 * 130, 0xcc
        .globl vmi__slots_end
vmi__slots_end:

        .section .note.GNU-stack, "", @progbits
