/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Entry from PC loaders: multiboot 1 (with the header's own addresses, so that a loader need not
 * know ELF64), multiboot 2, and PVH. All enter in 32-bit protected mode with flat segments and
 * paging off, at physical addresses, on no stack of ours.
 *
 * Sources: Multiboot Specification 0.6.96, 3.1 and 3.2; Multiboot2 Specification 2.0, 3.1 and 3.3;
 * Xen docs/misc/pvh.pandoc; Intel SDM vol. 3A, 4.5 and 9.8.5.
 */
#include <vmi/constants.h>

#include "layout.h"
#include "endbr.h"

#define PHYSICAL(symbol) ((symbol) - VMI__IMAGE_BASE)

#define MULTIBOOT_MAGIC     0x1badb002
#define MULTIBOOT_FLAGS     0x00010003 /* modules on page boundaries; memory information; addresses */
#define MULTIBOOT2_MAGIC    0xe85250d6
#define MULTIBOOT2_LOADER   0x36d76289 /* in eax at the entry */
#define MULTIBOOT2_ENTRY    3          /* tag: physical address of the entry */
#define MULTIBOOT2_ENTRY_SIZE 12
#define MULTIBOOT2_FRAMEBUFFER 5 /* tag: pixels are welcome; UEFI's GRUB tells of none otherwise */
#define MULTIBOOT2_FRAMEBUFFER_SIZE 20
#define MULTIBOOT2_OPTIONAL 1 /* a flag of tags */
#define MULTIBOOT2_END_SIZE 8

#define NOTE_PHYS32_ENTRY 18
#define NOTE_VALUE_SIZE   8 /* QEMU reads a word of the ELF's class */

#define EFLAGS_ID           0x00200000
#define CPUID_EXTENDED      0x80000000
#define CPUID_EXTENDED_1    0x80000001
#define CPUID_EXTENDED_LM   29 /* bit numbers of edx */
#define CPUID_EXTENDED_NX   20
#define MSR_EFER            0xc0000080
#define EFER_LME            0x100
#define EFER_NXE_BIT        11
#define CR4_PAE             0x20
#define CR0_BITS            0x80010033 /* PG, WP, NE, ET, MP, PE */

#define PTE_PRESENT 0x001
#define PTE_WRITE   0x002
#define PTE_LARGE   0x080
#define LARGE_SHIFT 21
#define TABLE       (PTE_PRESENT | PTE_WRITE)

#define UART_DATA        0x3f8
#define UART_LINE        0x3fb
#define UART_LINE_8_BITS 3
#define UART_STATUS      0x3fd
#define UART_STATUS_ROOM 0x20
#define UART_STATUS_ABSENT 0xff
#define UART_POLLS_MAX   0x100000

#define BOOT_CS 0x08
#define BOOT_DS 0x10

#define SLOT(base)          (((base) >> 39) & 511)
#define POINTER(base)       (((base) >> 30) & 511)

/* A library that no multiboot loader could start a kernel with defines VMI__NO_MULTIBOOT. */
#ifndef VMI__NO_MULTIBOOT
    .section .multiboot, "a"
    .balign 8
multiboot2:
    .long MULTIBOOT2_MAGIC, 0, multiboot2_end - multiboot2
    .long -(MULTIBOOT2_MAGIC + (multiboot2_end - multiboot2))
    .short MULTIBOOT2_ENTRY, 0
    .long MULTIBOOT2_ENTRY_SIZE, PHYSICAL(vmi_entry)
    .balign 8
    .short MULTIBOOT2_FRAMEBUFFER, MULTIBOOT2_OPTIONAL
    .long MULTIBOOT2_FRAMEBUFFER_SIZE, 0, 0, 0 /* any width, height and depth */
    .balign 8
    .short 0, 0
    .long MULTIBOOT2_END_SIZE
multiboot2_end:
    .balign 4
multiboot:
    .long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)
    .long PHYSICAL(multiboot), PHYSICAL(vmi_image_start), PHYSICAL(vmi_data_end)
    .long PHYSICAL(vmi_image_end), PHYSICAL(vmi_entry)
#endif

    .section .note.Xen, "a", @note
    .balign 4
    .long 4 /* size of the owner's name */
    .long NOTE_VALUE_SIZE
    .long NOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad PHYSICAL(vmi_pvh_entry)

    .section .text.entry, "ax"
    .code32

/*
 * From multiboot: eax holds the loader's magic number, ebx the physical address of its information.
 */
    .globl vmi_entry
    .type vmi_entry, @function
vmi_entry:
    VMI__ENDBR32
    mov $VMI_BOOT_MULTIBOOT, %edi
    mov %eax, %esi
    cmp $MULTIBOOT2_LOADER, %eax
    jne .Lcommon
    mov $VMI_BOOT_MULTIBOOT2, %edi
    jmp .Lcommon
    .size vmi_entry, . - vmi_entry

/* From PVH: ebx holds the physical address of hvm_start_info. */
    .globl vmi_pvh_entry
    .type vmi_pvh_entry, @function
vmi_pvh_entry:
    VMI__ENDBR32
    mov $VMI_BOOT_PVH, %edi
    xor %esi, %esi
    .size vmi_pvh_entry, . - vmi_pvh_entry

/*
 * From here on edi holds the protocol, esi the magic number, ebp (soon) the address of the loader's
 * structure.
 */
.Lcommon:
    cli
    cld
    mov %ebx, %ebp
    mov $PHYSICAL(vmi_stack_top), %esp
    push $0
    popf

    /* A processor has CPUID if the ID flag can be changed. eax: flags read back. */
    push $EFLAGS_ID
    popf
    pushf
    pop %eax
    push $0
    popf
    test $EFLAGS_ID, %eax
    jz .Lno_long_mode
    mov $CPUID_EXTENDED, %eax
    cpuid
    cmp $CPUID_EXTENDED_1, %eax
    jb .Lno_long_mode
    mov $CPUID_EXTENDED_1, %eax
    cpuid
    bt $CPUID_EXTENDED_LM, %edx
    jnc .Lno_long_mode

    mov %edx, %ebx /* the processor's features */

    /*
     * The bottom of memory in 2 MiB pages; ecx: number of the page, eax: its entry, whose upper
     * half stays zero.
     */
    xor %ecx, %ecx
1:  mov %ecx, %eax
    shl $LARGE_SHIFT, %eax
    or $(PTE_PRESENT | PTE_WRITE | PTE_LARGE), %eax
    mov %eax, PHYSICAL(vmi__boot_directories)(, %ecx, 8)
    inc %ecx
    cmp $(VMI__LINEAR_BOOT >> LARGE_SHIFT), %ecx
    jne 1b

    /* Four directories, in the direct map and for the moment at the bottom. ecx: which. */
    xor %ecx, %ecx
    mov $PHYSICAL(vmi__boot_directories) + TABLE, %eax
2:  mov %eax, PHYSICAL(vmi__boot_pointers_linear)(, %ecx, 8)
    add $4096, %eax
    inc %ecx
    cmp $(VMI__LINEAR_BOOT >> 30), %ecx
    jne 2b
    movl $PHYSICAL(vmi__boot_pointers_linear) + TABLE, PHYSICAL(vmi__boot_root)
    movl $PHYSICAL(vmi__boot_pointers_linear) + TABLE, PHYSICAL(vmi__boot_root) + 8 * SLOT(VMI__LINEAR_BASE)

    /* The image, for the moment by the first directory. */
    movl $PHYSICAL(vmi__boot_pointers_image) + TABLE, PHYSICAL(vmi__boot_root) + 8 * SLOT(VMI__IMAGE_BASE)
    movl $PHYSICAL(vmi__boot_directories) + TABLE, PHYSICAL(vmi__boot_pointers_image) + 8 * POINTER(VMI__IMAGE_BASE)

    mov $CR4_PAE, %eax
    mov %eax, %cr4
    mov $PHYSICAL(vmi__boot_root), %eax
    mov %eax, %cr3

    /*
     * In the order of Intel SDM vol. 3A, 9.8.5, on which QEMU's emulation of SVM insists: with LME
     * and without PAE it loses the outer CR0 when a nested guest is left (helper.c,
     * cpu_x86_update_cr0). No execute, where the processor has it; ebx: its features.
     */
    mov $MSR_EFER, %ecx
    rdmsr
    or $EFER_LME, %eax
    bt $CPUID_EXTENDED_NX, %ebx
    jnc 3f
    bts $EFER_NXE_BIT, %eax
3:  wrmsr
    mov $CR0_BITS, %eax
    mov %eax, %cr0
    lgdt PHYSICAL(low_gdtr)
    ljmp $BOOT_CS, $PHYSICAL(.Llong_mode)

    .code64
/* At the physical address. Descriptors, stack and code by their linear addresses. */
.Llong_mode:
    mov $4f, %rax
    jmp *%rax
4:  lgdt high_gdtr
    mov $BOOT_DS, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    lldt %ax
    mov $vmi_stack_top, %rsp
    push $BOOT_CS
    push $5f
    lretq
5:  mov %ebp, %edx
    xor %ebp, %ebp /* ends a walk along frame pointers */
    mov %edi, %edi
    mov %esi, %esi
    call vmi__pc_start

/*
 * uint32_t vmi__pc_say(const char *text). In: rdi text. Out: eax 1, or 0 if there is no UART that
 * takes it; destroyed: rcx, rdx, rdi, flags.
 * rdi: next byte of the text; ah: that byte; al: the transmitter's status, all ones where there is
 * none; ecx: polls left; edx: port.
 */
    .globl vmi__pc_say
    .type vmi__pc_say, @function
vmi__pc_say:
    mov (%rdi), %ah
    inc %rdi
    test %ah, %ah
    jz 11f
    mov $UART_POLLS_MAX, %ecx
    mov $UART_STATUS, %edx
9:  in %dx, %al
    cmp $UART_STATUS_ABSENT, %al
    je 10f
    test $UART_STATUS_ROOM, %al
    loopz 9b
    jz 10f
    mov %ah, %al
    mov $UART_DATA, %edx
    out %al, %dx
    jmp vmi__pc_say
10: xor %eax, %eax
    ret
11: mov $1, %eax
    ret
    .size vmi__pc_say, . - vmi__pc_say

/*
 * void vmi__pc_halt(uint32_t told). In: edi what vmi__pc_say returned. A hypervisor may take a halt
 * for good for an end that went well: where nobody was told otherwise, an exception with no
 * descriptor table to handle it resets the machine.
 */
    .globl vmi__pc_halt
    .type vmi__pc_halt, @function
vmi__pc_halt:
    cli
    test %edi, %edi
    jz 13f
12: hlt
    jmp 12b
13: push $0
    push $0
    lidt (%rsp)
    ud2
    .size vmi__pc_halt, . - vmi__pc_halt

/*
 * No C can run. esi: next byte of the text; ah: that byte, later the transmitter's status in al;
 * ecx: polls left; edx: port. A UART that takes nothing is left alone.
 */
    .code32
.Lno_long_mode:
    mov $UART_LINE, %edx
    mov $UART_LINE_8_BITS, %al
    out %al, %dx
    mov $PHYSICAL(.Lno_long_mode_text), %esi
6:  mov (%esi), %ah
    inc %esi
    test %ah, %ah
    jz 8f
    mov $UART_POLLS_MAX, %ecx
    mov $UART_STATUS, %edx
7:  in %dx, %al
    test $UART_STATUS_ROOM, %al
    loopz 7b
    jz 8f
    mov %ah, %al
    mov $UART_DATA, %edx
    out %al, %dx
    jmp 6b
8:  cli
    hlt
    jmp 8b

    .section .rodata.entry, "a"
/* A kernel with this entry has it, or does not link: other linker scripts may have another base. */
    .quad vmi_image_base_is_right

.Lno_long_mode_text:
    .asciz "vmi: cannot run: the processor has no long mode, and this kernel is for x86-64; halted\r\n"

/* 64-bit code and data with DPL 0, accessed already so that loading them writes nothing. */
    .balign 8
flat_gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
flat_gdt_end:
low_gdtr:
    .word flat_gdt_end - flat_gdt - 1
    .long PHYSICAL(flat_gdt)
high_gdtr:
    .word flat_gdt_end - flat_gdt - 1
    .quad flat_gdt

    .section .note.GNU-stack, "", @progbits
