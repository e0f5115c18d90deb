/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * For kernels that are built to be measured: an entry in front of the library's, which takes the
 * time. Loaders of PCs get here in 32-bit protected mode, so the image is at its physical
 * addresses.
 */

/* Where the image is mapped later on (docs/architecture.md, "Boot contract"). */
#define IMAGE_BASE 0xffffffff80000000

#define PHYSICAL(symbol) ((symbol) - IMAGE_BASE)

#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0x00010003 /* modules on page boundaries; memory information; addresses */

/* In front of the library's header, which names the library's entry: loaders take the first. */
    .section .multiboot, "a"
    .balign 4
header:
    .long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)
    .long PHYSICAL(header), PHYSICAL(vmi_image_start), PHYSICAL(vmi_data_end)
    .long PHYSICAL(vmi_image_end), PHYSICAL(bench_entry)

    .text
    .code32
    .globl bench_entry
    .type bench_entry, @function

/* eax and ebx are the loader's, for the library; ecx and edx are free. */
bench_entry:
    movl %eax, %ecx
    rdtsc
    movl %eax, PHYSICAL(bench_entered)
    movl %edx, PHYSICAL(bench_entered) + 4
    movl %ecx, %eax
    jmp vmi_entry
    .size bench_entry, . - bench_entry
    .code64

    .data
    .balign 8
    .globl bench_entered
    .type bench_entered, @object
bench_entered:
    .quad 0
    .size bench_entered, 8

/* The binder's count (runtime/bind/bind.h), in kernels that it is part of. */
    .weak vmi__bind_ticks
    .globl bench_bind_ticks
    .type bench_bind_ticks, @object
bench_bind_ticks:
    .quad vmi__bind_ticks
    .size bench_bind_ticks, . - bench_bind_ticks

    .section .note.GNU-stack, "", @progbits
