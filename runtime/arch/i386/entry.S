/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Entry from PC loaders: multiboot 1 (GRUB, QEMU), multiboot 2 (GRUB) and PVH (QEMU, Xen). Both enter in 32-bit protected mode with flat segments and paging off, at physical
 * addresses, on no stack of ours.
 *
 * Sources: Multiboot Specification 0.6.96, 3.1 and 3.2; Xen docs/misc/pvh.pandoc; Intel SDM vol.
 * 3A, 4.4 and 9.9.
 */
#include <vmi/constants.h>

#include "layout.h"
#include "endbr.h"

#define PHYSICAL(symbol) ((symbol) - VMI__LINEAR_BASE)

#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0x00000003 /* modules on page boundaries; memory information wanted */

/* Multiboot2 Specification 2.0, 3.1 and 3.3. */
#define MULTIBOOT2_MAGIC      0xe85250d6
#define MULTIBOOT2_LOADER     0x36d76289 /* in eax at the entry */
#define MULTIBOOT2_ENTRY      3          /* tag: physical address of the entry */
#define MULTIBOOT2_ENTRY_SIZE 12
#define MULTIBOOT2_FRAMEBUFFER 5 /* tag: pixels are welcome; UEFI's GRUB tells of none otherwise */
#define MULTIBOOT2_FRAMEBUFFER_SIZE 20
#define MULTIBOOT2_OPTIONAL 1 /* a flag of tags */
#define MULTIBOOT2_END_SIZE   8

#define NOTE_PHYS32_ENTRY 18

#define CPUID_1_EDX_PAE  6 /* bit numbers; a processor with PAE has 2 MiB pages in it */
#define CPUID_1_EDX_CMOV 15
#define CPUID_EXTENDED   0x80000000
#define CPUID_EXTENDED_1 0x80000001
#define CPUID_EXTENDED_1_EDX_NX 20
#define MSR_EFER         0xc0000080
#define EFER_NXE_BIT     11
#define EFLAGS_ID        0x00200000
#define CR4_PAE          0x00000020
#define CR0_PG           0x80000000
#define CR0_WP           0x00010000
#define CR0_NE           0x00000020
#define CR0_ET           0x00000010
#define CR0_MP           0x00000002
#define CR0_PE           0x00000001

#define PTE_PRESENT 0x001
#define PTE_WRITE   0x002
#define PTE_LARGE   0x080
#define LARGE_SHIFT 21

#define UART_DATA        0x3f8
#define UART_STATUS      0x3fd
#define UART_STATUS_ROOM 0x20
#define UART_STATUS_ABSENT 0xff
#define UART_POLLS_MAX   0x100000

#define BOOT_CS 0x08
#define BOOT_DS 0x10

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
    .long MULTIBOOT_MAGIC
    .long MULTIBOOT_FLAGS
    .long -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)
#endif

    .section .note.Xen, "a", @note
    .balign 4
    .long 4 /* size of the owner's name */
    .long 4 /* size of the value */
    .long NOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long PHYSICAL(vmi_pvh_entry)

    .section .text.entry, "ax"

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
    jne common
    mov $VMI_BOOT_MULTIBOOT2, %edi
    jmp common
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
common:
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
    jz too_old

    /*
     * eax to edx: CPUID leaf 1, if there is one. The C code is compiled for processors that have
     * CMOV.
     */
    xor %eax, %eax
    cpuid
    test %eax, %eax
    jz too_old
    mov $1, %eax
    cpuid
    bt $CPUID_1_EDX_CMOV, %edx
    jnc too_old
    bt $CPUID_1_EDX_PAE, %edx
    jnc no_pae

    /*
     * The linear region in 2 MiB pages; ecx: number of the page, eax: its entry, whose upper half
     * stays zero.
     */
    xor %ecx, %ecx
1:  mov %ecx, %eax
    shl $LARGE_SHIFT, %eax
    or $(PTE_PRESENT | PTE_WRITE | PTE_LARGE), %eax
    mov %eax, PHYSICAL(vmi__boot_pd)(, %ecx, 8)
    inc %ecx
    cmp $(VMI__LINEAR_MAX >> LARGE_SHIFT), %ecx
    jne 1b

    /* The device window's page table, still empty. */
    movl $(PHYSICAL(vmi__window_table) + PTE_PRESENT + PTE_WRITE), \
        PHYSICAL(vmi__boot_pd) + 8 * ((VMI__WINDOW_BASE >> LARGE_SHIFT) & 511)

    /*
     * The top GiB, and for the moment the same as identity mapping at the bottom. Present is all a
     * PDPTE may have.
     */
    movl $(PHYSICAL(vmi__boot_pd) + PTE_PRESENT), \
        PHYSICAL(vmi__boot_pdpt) + 8 * (VMI__LINEAR_BASE >> 30)
    movl $(PHYSICAL(vmi__boot_pd) + PTE_PRESENT), PHYSICAL(vmi__boot_pdpt)

    /* No execute, where the processor has it (Intel SDM vol. 3A, 4.1.4). */
    mov $CPUID_EXTENDED, %eax
    cpuid
    cmp $CPUID_EXTENDED_1, %eax
    jb 10f
    mov $CPUID_EXTENDED_1, %eax
    cpuid
    bt $CPUID_EXTENDED_1_EDX_NX, %edx
    jnc 10f
    mov $MSR_EFER, %ecx
    rdmsr
    bts $EFER_NXE_BIT, %eax
    wrmsr
10:
    mov $CR4_PAE, %eax
    mov %eax, %cr4
    mov $PHYSICAL(vmi__boot_pdpt), %eax
    mov %eax, %cr3
    mov $(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE), %eax
    mov %eax, %cr0

    /* Leave the identity mapping: descriptors, stack, then code, by their linear addresses. */
    lgdt flat_gdtr
    ljmp $BOOT_CS, $2f
2:  mov $BOOT_DS, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %fs
    mov %eax, %gs
    mov %eax, %ss
    mov $vmi_stack_top, %esp
    xor %eax, %eax
    lldt %ax
    mov %ebp, %ebx
    xor %ebp, %ebp /* ends a walk along frame pointers */
    push $0        /* keeps the stack aligned to 16 bytes at the call */
    push %ebx
    push %esi
    push %edi
    call vmi__pc_start

/*
 * Paging cannot be turned on. Segments whose base is minus the linear base let code run at its
 * linear addresses all the same, far enough to read the command line, print the reason and end.
 * edi, esi, ebp: as above.
 */
no_pae:
    lgdt PHYSICAL(offset_gdtr)
    mov $BOOT_DS, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $vmi_stack_top, %esp
    ljmp $BOOT_CS, $3f
3:  mov %ebp, %ebx
    xor %ebp, %ebp
    push $no_pae_text /* four words keep the stack aligned */
    push %ebx
    push %esi
    push %edi
    call vmi__pc_refuse

/* No C can run. */
too_old:
    mov $PHYSICAL(too_old_text), %eax
    call vmi__pc_say
    jmp vmi__pc_halt

/*
 * uint32_t vmi__pc_say(const char *text). In: eax text. Out: eax 1, or 0 if there is no UART that
 * takes it; destroyed: ecx, edx, flags.
 * esi: next byte of the text; ah: that byte; al: the transmitter's status, all ones where there is
 * none; ecx: polls left; edx: port.
 */
    .globl vmi__pc_say
    .type vmi__pc_say, @function
vmi__pc_say:
    push %esi
    mov %eax, %esi
4:  mov (%esi), %ah
    inc %esi
    test %ah, %ah
    jz 7f
    mov $UART_POLLS_MAX, %ecx
    mov $UART_STATUS, %edx
5:  in %dx, %al
    cmp $UART_STATUS_ABSENT, %al
    je 6f
    test $UART_STATUS_ROOM, %al
    loopz 5b
    jz 6f
    mov %ah, %al
    mov $UART_DATA, %edx
    out %al, %dx
    jmp 4b
6:  xor %eax, %eax
    pop %esi
    ret
7:  mov $1, %eax
    pop %esi
    ret
    .size vmi__pc_say, . - vmi__pc_say

/*
 * void vmi__pc_halt(uint32_t told). In: eax what vmi__pc_say returned. A hypervisor may take a halt
 * for good for an end that went well: where nobody was told otherwise, an exception with no
 * descriptor table to handle it resets the machine.
 */
    .globl vmi__pc_halt
    .type vmi__pc_halt, @function
vmi__pc_halt:
    cli
    test %eax, %eax
    jz 9f
8:  hlt
    jmp 8b
9:  push $0
    push $0
    lidt (%esp)
    ud2
    .size vmi__pc_halt, . - vmi__pc_halt

    .section .rodata.entry, "a"
/* A kernel with this entry has it, or does not link: other linker scripts may have another base. */
    .long vmi_linear_base_is_0xC0000000

too_old_text:
    .asciz "vmi: cannot run: the processor is older than the i686 (no CPUID or no CMOV); halted\r\n"
no_pae_text:
    .asciz "the processor has no PAE"

/*
 * Code and data with DPL 0, 4 GiB, accessed already so that loading them writes nothing (Intel SDM
 * vol. 3A, 3.4.5).
 */
    .balign 8
flat_gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
flat_gdt_end:

/* The same with base 0x40000000: linear base + 0x40000000 = 0 modulo 2^32. */
offset_gdt:
    .quad 0
    .quad 0x40cf9b000000ffff
    .quad 0x40cf93000000ffff
offset_gdt_end:

flat_gdtr:
    .word flat_gdt_end - flat_gdt - 1
    .long flat_gdt
    .balign 4
offset_gdtr:
    .word offset_gdt_end - offset_gdt - 1
    .long PHYSICAL(offset_gdt)

    .section .note.GNU-stack, "", @progbits
