/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Entry by PVH, and the last step into the kernel. Between them is limine.c, in long mode with the first
 * 8 GiB at their own addresses.
 */
#define NOTE_PHYS32_ENTRY 18
#define GIB_MAPPED 8

#define EFER     0xc0000080
#define EFER_SET 0x900 /* LME, NXE */
#define PAT      0x277
#define CR4_PAE  0x20
#define CR0_SET  0x80010011 /* PG, WP, ET, PE */

    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 8, NOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad enter

    .text
    .code32
    .globl enter
/* ebx: hvm_start_info. Fills the tables; edi: next entry, eax: its value, ecx: entries left. */
enter:
    cld
    cli
    mov $stack_top, %esp
    mov $directories, %edi
    mov $0x83, %eax
    xor %edx, %edx
    mov $(512 * GIB_MAPPED), %ecx
1:  mov %eax, (%edi)
    mov %edx, 4(%edi)
    add $0x200000, %eax
    adc $0, %edx
    add $8, %edi
    loop 1b
    mov $directories + 3, %eax
    xor %ecx, %ecx
2:  mov %eax, pointers(, %ecx, 8)
    add $4096, %eax
    inc %ecx
    cmp $GIB_MAPPED, %ecx
    jne 2b
    movl $pointers + 3, root
    mov $CR4_PAE, %eax
    mov %eax, %cr4
    mov $root, %eax
    mov %eax, %cr3
    mov $EFER, %ecx
    rdmsr
    or $EFER_SET, %eax
    wrmsr
    mov $CR0_SET, %eax
    mov %eax, %cr0
    lgdt gdtr
    ljmp $0x28, $3f
    .code64
3:  mov $0x30, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov $stack_top, %rsp
    mov %ebx, %edi
    call load

/*
 * void leave(uint64_t root, uint64_t offset, uint64_t stack, uint64_t entry): rdi, rsi, rdx, rcx. By the
 * direct map at `offset`, where the new tables have this code too, onto these tables, with the descriptor
 * table at its place in the direct map, then into the kernel with all other registers 0.
 */
    .globl leave
leave:
    mov %rdi, %cr3
    mov $4f, %eax
    add %rsi, %rax
    mov %rdx, %rsp
    jmp *%rax
4:  movq $0, (identity)(%rsi) /* the root's first entry, of tables in use */
    mov %rdi, %cr3
    add %rsi, gdtr + 2(%rsi)
    lgdt gdtr(%rsi)
    push $0
    push %rcx
    xor %eax, %eax
    xor %ebx, %ebx
    xor %ecx, %ecx
    xor %edx, %edx
    xor %esi, %esi
    xor %edi, %edi
    xor %ebp, %ebp
    ret

    .globl kernel, kernel_end
    .section .rodata
    .balign 8
kernel:
    .incbin KERNEL
kernel_end:

    .data
    .balign 8
/* As the protocol has it: 16-bit code and data, 32-bit code and data, 64-bit code and data. */
gdt:
    .quad 0, 0x00009b000000ffff, 0x000093000000ffff, 0x00cf9b000000ffff, 0x00cf93000000ffff
    .quad 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_end:
gdtr:
    .word gdt_end - gdt - 1
    .quad gdt

    .bss
    .balign 4096
root:
    .skip 4096
pointers:
    .skip 4096
directories:
    .skip 4096 * GIB_MAPPED
    .skip 65536
stack_top:
    .globl identity
identity: /* the new root */
    .skip 4096

    .section .note.GNU-stack, "", @progbits
