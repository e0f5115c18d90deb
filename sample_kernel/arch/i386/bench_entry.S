/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * For kernels that are built to be measured: an entry in front of the library's, which takes the
 * time. Loaders of PCs get here with paging off, so the image is at its physical addresses. It is
 * no part of the sample kernel, which holds no sensitive instruction.
 */

/* Where guest-physical memory is mapped later on (docs/architecture.md, "Boot contract"). */
#define LINEAR_BASE 0xc0000000

    .text
    .globl bench_entry
    .type bench_entry, @function

/* eax and ebx are the loader's, for the library; ecx and edx are free. */
bench_entry:
    movl %eax, %ecx
    rdtsc
    movl %eax, bench_entered - LINEAR_BASE
    movl %edx, bench_entered - LINEAR_BASE + 4
    movl %ecx, %eax
    jmp vmi_entry
    .size bench_entry, . - bench_entry

    .data
    .balign 8
    .globl bench_entered
bench_entered:
    .quad 0
    .size bench_entered, 8

/* The binder's count (runtime/bind/bind.h), in kernels that it is part of. */
    .weak vmi__bind_ticks
    .globl bench_bind_ticks
    .type bench_bind_ticks, @object
bench_bind_ticks:
    .long vmi__bind_ticks
    .size bench_bind_ticks, . - bench_bind_ticks

    .section .note.GNU-stack, "", @progbits
