/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Entry by multiboot, and the first page tables.
 *
 * Sources: Multiboot Specification 0.6.96, 3.1 and 3.2; Intel SDM vol. 3A, 4.3 and 4.4.
 */
#include "layout.h"
#include "published.h"

#define PHYSICAL(symbol) ((symbol) - LINEAR_BASE)

#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0x00000002

#define PRESENT_WRITE 0x03
#define LARGE         0x80

#define CR0     0x80010033 /* PG, WP, NE, ET, MP, PE */
#define CR4_PSE 0x10
#define CR4_PAE 0x20

    .section .multiboot, "a"
    .balign 4
    .long MULTIBOOT_MAGIC
    .long MULTIBOOT_FLAGS
    .long -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

    .text
/* eax: the loader's magic number; ebx: physical address of its information. Paging is off. */
    .globl client_entry
client_entry:
    cli
    cld
    mov %ebx, %ebp

    /*
     * Memory in order at the linear base, and its beginning at 0 too until the next instructions
     * are fetched from up there; the table of the APIC. ecx: number of the large page; eax: its
     * entry.
     */
    xor %ecx, %ecx
#if CLIENT_PAE
1:  mov %ecx, %eax
    shl $21, %eax
    or $(PRESENT_WRITE | LARGE), %eax
    mov %eax, PHYSICAL(client_directory)(, %ecx, 8)
    inc %ecx
    cmp $(LINEAR_SIZE >> 21), %ecx
    jne 1b
    movl $(PHYSICAL(client_apic_table) + PRESENT_WRITE), \
        PHYSICAL(client_directory) + 8 * ((APIC_LINEAR >> 21) & 511)
    movl $(PHYSICAL(client_directory) + 1), PHYSICAL(client_root) + 8 * (LINEAR_BASE >> 30)
    movl $(PHYSICAL(client_directory) + 1), PHYSICAL(client_root)
    mov $CR4_PAE, %eax
#else
1:  mov %ecx, %eax
    shl $22, %eax
    or $(PRESENT_WRITE | LARGE), %eax
    mov %eax, PHYSICAL(client_root) + 4 * (LINEAR_BASE >> 22)(, %ecx, 4)
    inc %ecx
    cmp $(LINEAR_SIZE >> 22), %ecx
    jne 1b
    movl $(PRESENT_WRITE | LARGE), PHYSICAL(client_root)
    movl $(PHYSICAL(client_apic_table) + PRESENT_WRITE), \
        PHYSICAL(client_root) + 4 * (APIC_LINEAR >> 22)
    mov $CR4_PSE, %eax
#endif
    mov %eax, %cr4
    mov $PHYSICAL(client_root), %eax
    mov %eax, %cr3
    mov $CR0, %eax
    mov %eax, %cr0
    mov $2f, %eax
    jmp *%eax
2:  movl $0, client_root
    mov %cr3, %eax
    mov %eax, %cr3
    mov $client_stack_top, %esp
    push $0
    popf
    mov %ebp, %ebx
    xor %ebp, %ebp
    push $0
    push $0
    push $0
    push %ebx
    call client_main

    .section .note.GNU-stack, "", @progbits
