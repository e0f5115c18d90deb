/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Entry by multiboot, and the kernel that is carried along. ebx: the loader's structure.
 */
    .section .multiboot, "a"
    .balign 4
    .long 0x1badb002, 3, -(0x1badb002 + 3)

    .text
    .globl enter
enter:
    mov $stack_top, %esp
    push %ebx
    call load

/* void leave(uint32_t entry, const void *info): as multiboot enters. */
    .globl leave
leave:
    mov 4(%esp), %ecx
    mov 8(%esp), %ebx
    mov $0x2badb002, %eax
    jmp *%ecx

    .globl kernel
    .section .rodata
    .balign 8
kernel:
    .incbin KERNEL

    .bss
    .balign 16
    .skip 16384
stack_top:

    .section .note.GNU-stack, "", @progbits
