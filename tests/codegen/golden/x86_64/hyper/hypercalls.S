/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Generated from vmi.yaml and hyper/backend.yaml by the template hypercalls.S.j2; do not edit. */
/*
 * Hypercalls of the library for Hyper as C functions (System V): arguments go into the hypervisor's
 * registers, the hypercall's own counter is raised just before the transfer, the result is in rax;
 * what a C function keeps is kept.
 */
#include "hyper/hypercalls.h"

        .cfi_sections .debug_frame

        .text

/*
 * load (7): Load a value.
 * Loaded: rax number, rdi value; out: rax result.
 */
        .globl vmi__hyper_call_load
        .type vmi__hyper_call_load, @function
        .balign 16
vmi__hyper_call_load:
        .cfi_startproc
        mov %edi, %edi
        mov $7, %eax
        lock incl vmi__hyper_call_load_count(%rip)
        vmi__hyper_transfer
        ret
        .cfi_endproc
        .size vmi__hyper_call_load, . - vmi__hyper_call_load

/*
 * store (8): Store.
 * Loaded: rax number, rdi mode, rsi high, rdx low, r10 name; out: rax result.
 */
        .globl vmi__hyper_call_store
        .type vmi__hyper_call_store, @function
        .balign 16
vmi__hyper_call_store:
        .cfi_startproc
        mov %rcx, %r10
        mov %edi, %edi
        mov %esi, %esi
        mov %edx, %edx
        mov $8, %eax
        lock incl vmi__hyper_call_store_count(%rip)
        vmi__hyper_transfer
        ret
        .cfi_endproc
        .size vmi__hyper_call_store, . - vmi__hyper_call_store

/*
 * fetch (9): Fetch.
 * Loaded: rax number, rdi to, rsi limit; out: rax result.
 */
        .globl vmi__hyper_call_fetch
        .type vmi__hyper_call_fetch, @function
        .balign 16
vmi__hyper_call_fetch:
        .cfi_startproc
        mov $9, %eax
        lock incl vmi__hyper_call_fetch_count(%rip)
        vmi__hyper_transfer
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
