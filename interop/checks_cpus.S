/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Where a further CPU begins.
 */
    .text

/*
 * Begins here in the state that SetInitialAPState was given, its stack included. All registers are
 * written down before anything else is done; CPUs come one at a time.
 */
    .globl client_ap_entry
client_ap_entry:
    mov %eax, client_ap_seen
    mov %ebx, client_ap_seen + 4
    mov %ecx, client_ap_seen + 8
    mov %edx, client_ap_seen + 12
    mov %esi, client_ap_seen + 16
    mov %edi, client_ap_seen + 20
    mov %ebp, client_ap_seen + 24
    pushf
    pop client_ap_seen + 28
    push $0
    popf
    call client_ap_main

    .section .note.GNU-stack, "", @progbits
