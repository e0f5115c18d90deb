/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Whether the emulated processor keeps PAE's page-directory-pointer entries as they are: exit status
 * 0x10 through isa-debug-exit if it does, 0x11 if it sets the accessed bit, which is reserved in them
 * (Intel SDM vol. 3A, table 4-8).
 */
#define PRESENT   0x001
#define ACCESSED  0x020
#define LARGE_RW  0x083
#define CR4_PAE   0x00000020
#define CR0_PG    0x80000000

        .section .multiboot, "a"
        .balign 4
        .long   0x1badb002, 0, -0x1badb002

        .text
        .globl  _start
_start:
        /* The first 2 MiB mapped to themselves by pages that lie within; eax: registers' values. */
        movl    $LARGE_RW, directory
        movl    $(directory + PRESENT), pointers
        movl    %cr4, %eax
        orl     $CR4_PAE, %eax
        movl    %eax, %cr4
        movl    $pointers, %eax
        movl    %eax, %cr3
        movl    %cr0, %eax
        orl     $CR0_PG, %eax
        movl    %eax, %cr0
        jmp     1f
        /* al: the status */
1:      movb    $0x10, %al
        testl   $ACCESSED, pointers
        jz      2f
        movb    $0x11, %al
2:      outb    %al, $0xf4
3:      hlt
        jmp     3b

        .data
        .balign 4096
directory:
        .skip   4096
pointers:
        .skip   4096
