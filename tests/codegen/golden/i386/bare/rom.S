/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Generated from vmi.yaml and bare/backend.yaml by the template rom.S.j2; do not edit. */
/*
 * What a provider image of the library for Bare says of itself (runtime/image/rom.h): its name, its
 * priority, the sign of what it is for, and for each call the entry point and the instructions that
 * can stand at a call's site instead.
 */
#include "image/rom.h"

        .globl vmi__rom_priority
        .set vmi__rom_priority, 0

        .globl vmi__rom_sign_leaf, vmi__rom_sign_leaves, vmi__rom_sign_registers
        .globl vmi__rom_sign_eax, vmi__rom_sign_ebx, vmi__rom_sign_ecx, vmi__rom_sign_edx
        .set vmi__rom_sign_leaf, 0x0
        .set vmi__rom_sign_leaves, 1
        .set vmi__rom_sign_registers, 0
        .set vmi__rom_sign_eax, 0x0
        .set vmi__rom_sign_ebx, 0x0
        .set vmi__rom_sign_ecx, 0x0
        .set vmi__rom_sign_edx, 0x0

        .section .rodata.rom_name, "a"
        .globl vmi__rom_name
vmi__rom_name:
        .asciz "bare"

        .section .rodata.rom_product, "a"
        .globl vmi__rom_product
vmi__rom_product:
        .asciz "VMI library for Bare"

        .section .rodata.rom_calls, "a"
        .balign 4
        .globl vmi__rom_calls
vmi__rom_calls:
        /* Probe */
        .long vmi_probe
        .short 0
        .byte VMI__ROM_CALL, 0
        .long 0
        /* Load */
        .long vmi_load
        .short 1
        .byte VMI__ROM_NONE, 2f - 1f
        .long 1f
        .pushsection .rodata.rom_inline, "a"
1:
        push %eax
        mov %eax, %cr2
        pop %eax
2:
        .popsection
        /* Store */
        .long vmi_store
        .short 2
        .byte VMI__ROM_CALL, 0
        .long 0
        /* Clock */
        .long vmi_clock
        .short 3
        .byte VMI__ROM_NONE, 2f - 1f
        .long 1f
        .pushsection .rodata.rom_inline, "a"
1:
        rdtsc
2:
        .popsection
        /* Return */
        .long vmi_return
        .short 4
        .byte VMI__ROM_NONE, 2f - 1f
        .long 1f
        .pushsection .rodata.rom_inline, "a"
1:
        iret
2:
        .popsection
        /* Fetch */
        .long vmi_fetch
        .short 128
        .byte VMI__ROM_CALL, 0
        .long 0
        /* Stop */
        .long vmi_stop
        .short 129
        .byte VMI__ROM_CALL, 0
        .long 0
        /* Gate */
        .long vmi_gate
        .short 131
        .byte VMI__ROM_CALL, 0
        .long 0
        .globl vmi__rom_calls_end
vmi__rom_calls_end:

        /* Calls with a form for a feature of the processor; the first whose feature is there holds. */
        .section .rodata.rom_forms, "a"
        .balign 4
        .globl vmi__rom_forms, vmi__rom_forms_end
vmi__rom_forms:
        /* Load: fast */
        .short 1
        .byte VMI__ROM_NONE, 2f - 1f
        .long 1f
        .pushsection .rodata.rom_inline, "a"
1:
        mov %eax, %cr3
2:
        .popsection
        .long 0x7, 0
        .byte 1, 3, 0, 0
        /* Load: wide */
        .short 1
        .byte VMI__ROM_CALL, 0
        .long 0
        .long 0x80000001, 2
        .byte 3, 31, 1, 0
vmi__rom_forms_end:

        /* Calls that are done by instructions alone, longer ones included: ordinals. */
        .section .rodata.rom_bare, "a"
        .balign 2
        .globl vmi__rom_bare, vmi__rom_bare_end
vmi__rom_bare:
        .short 1 /* Load */
        .short 3 /* Clock */
        .short 4 /* Return */
vmi__rom_bare_end:

        .section .note.GNU-stack, "", @progbits
