/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Generated from vmi.yaml and hyper/backend.yaml by the template hypercalls.S.j2; do not edit. */
/*
 * Hypercalls of the library for Hyper as C functions (cdecl): arguments from the stack go into
 * registers, the hypercall's own counter is raised just before the transfer, the result is in eax;
 * ebx, esi, edi and ebp are kept.
 */
#include "hyper/hypercalls.h"

        .cfi_sections .debug_frame

        .text

/*
 * load (7): Load a value.
 * In: the stack; loaded: eax number, ebx value; out: eax result.
 */
        .globl vmi__hyper_call_load
        .type vmi__hyper_call_load, @function
        .balign 16
vmi__hyper_call_load:
        .cfi_startproc
        push %ebx
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset %ebx, 0
        mov 8(%esp), %ebx
        mov $7, %eax
        lock incl vmi__hyper_call_load_count
        vmi__hyper_transfer
        pop %ebx
        .cfi_adjust_cfa_offset -4
        .cfi_restore %ebx
        ret
        .cfi_endproc
        .size vmi__hyper_call_load, . - vmi__hyper_call_load

/*
 * store (8): Store.
 * In: the stack; loaded: eax number, ebx mode, ecx high, edx low, esi name; out: eax result.
 */
        .globl vmi__hyper_call_store
        .type vmi__hyper_call_store, @function
        .balign 16
vmi__hyper_call_store:
        .cfi_startproc
        push %ebx
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset %ebx, 0
        push %esi
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset %esi, 0
        mov 12(%esp), %ebx
        mov 16(%esp), %ecx
        mov 20(%esp), %edx
        mov 24(%esp), %esi
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
        .size vmi__hyper_call_store, . - vmi__hyper_call_store

/*
 * fetch (9): Fetch.
 * In: the stack; loaded: eax number, ebx to, edx:ecx limit; out: eax result.
 */
        .globl vmi__hyper_call_fetch
        .type vmi__hyper_call_fetch, @function
        .balign 16
vmi__hyper_call_fetch:
        .cfi_startproc
        push %ebx
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset %ebx, 0
        mov 8(%esp), %ebx
        mov 12(%esp), %ecx
        mov 16(%esp), %edx
        mov $9, %eax
        lock incl vmi__hyper_call_fetch_count
        vmi__hyper_transfer
        pop %ebx
        .cfi_adjust_cfa_offset -4
        .cfi_restore %ebx
        ret
        .cfi_endproc
        .size vmi__hyper_call_fetch, . - vmi__hyper_call_fetch

/* How often each was made. */
        .bss
        .balign 4
        .globl vmi__hyper_call_load_count
        .type vmi__hyper_call_load_count, @object
        .size vmi__hyper_call_load_count, 4
vmi__hyper_call_load_count:
        .skip 4
        .globl vmi__hyper_call_store_count
        .type vmi__hyper_call_store_count, @object
        .size vmi__hyper_call_store_count, 4
vmi__hyper_call_store_count:
        .skip 4
        .globl vmi__hyper_call_fetch_count
        .type vmi__hyper_call_fetch_count, @object
        .size vmi__hyper_call_fetch_count, 4
vmi__hyper_call_fetch_count:
        .skip 4

        .section .note.GNU-stack, "", @progbits
