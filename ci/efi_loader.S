/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The kernel that efi_loader.c carries, and the way to it out of long mode. KERNEL is its file.
 */
#define CODE32 0x08
#define DATA   0x10

#define CR0_PG_BIT    31
#define CR4_PCIDE_BIT 17
#define MSR_EFER     0xc0000080
#define EFER_LME_BIT 8

/* struct leap */
#define LEAP_TO          0
#define LEAP_FROM        4
#define LEAP_SIZE        8
#define LEAP_ENTRY       12
#define LEAP_MAGIC       16
#define LEAP_INFORMATION 20

    .section .kernel, "dr"
    .globl kernel, kernel_end
kernel:
    .incbin KERNEL
kernel_end:
    .byte 0

    .text
    .globl trampoline, trampoline_end
/*
 * Copied to below 4 GiB, where it runs. rcx: struct leap *, below 4 GiB. The firmware is gone: its
 * page tables and descriptor tables may lie where the kernel is going to.
 */
trampoline:
    cli
    mov %ecx, %ebp
    lea gdt(%rip), %rax
    mov %rax, gdt_pointer + 2(%rip)
    lgdt gdt_pointer(%rip)
    lea narrow(%rip), %rax
    mov %eax, narrow_pointer(%rip)
    ljmpl *narrow_pointer(%rip)

    .code32
/* ebp: struct leap *. Multiboot2 has paging off, flat segments, eax and ebx (Multiboot2, 3.3). */
narrow:
    mov $DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %fs
    mov %eax, %gs
    mov %eax, %ss
    /* Paging cannot be turned off while process-context identifiers are on (Intel SDM vol. 3A, 4.10.1). */
    mov %cr4, %eax
    btr $CR4_PCIDE_BIT, %eax
    mov %eax, %cr4
    mov %cr0, %eax
    btr $CR0_PG_BIT, %eax
    mov %eax, %cr0
    mov $MSR_EFER, %ecx
    rdmsr
    btr $EFER_LME_BIT, %eax
    wrmsr
    xor %eax, %eax
    mov %eax, %cr4
    /* edi: where the kernel goes, esi: its copy, ecx: bytes. */
    mov LEAP_TO(%ebp), %edi
    mov LEAP_FROM(%ebp), %esi
    mov LEAP_SIZE(%ebp), %ecx
    cld
    rep movsb
    mov LEAP_MAGIC(%ebp), %eax
    mov LEAP_INFORMATION(%ebp), %ebx
    jmp *LEAP_ENTRY(%ebp)

    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
gdt_pointer:
    .short . - gdt - 1
    .quad 0
narrow_pointer:
    .long 0
    .short CODE32
trampoline_end:
    .code64
