/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Hardware's part of the process model: the way to long mode, the system-call entry, and returns.
 */
#include "calls.h"

#define PHYSICAL(symbol) ((symbol) - IMAGE_BASE)

#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0x00010003 /* page-aligned modules, memory, addresses below */

#define CS_KERNEL 0x08
#define DS_KERNEL 0x10
#define DS_USER   0x23
#define CS_USER   0x2b

#define PRESENT_WRITE 3
#define LARGE         0x83

#define MSR_EFER   0xc0000080
#define EFER_BITS  0x901 /* SCE, LME, NXE */
#define CR4_PAE    0x20
#define CR0_BITS   0x80010033 /* PG, WP, NE, ET, MP, PE */
#define DIRECT_SLOT 272

        .section .multiboot, "a"
        .balign 4
header: .long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)
        .long PHYSICAL(header), PHYSICAL(image_start), PHYSICAL(data_end), PHYSICAL(bss_end), PHYSICAL(start)

/* Protected mode. The first GiB is mapped at the image's base, in the direct map and, until long mode, at 0. */
        .section .text.entry, "ax"
        .code32
        .globl start
start:  cli
        cld
        mov $PHYSICAL(boot_stack_top), %esp
        xor %ecx, %ecx
1:      mov %ecx, %eax
        shl $21, %eax
        or $LARGE, %eax
        mov %eax, PHYSICAL(directory)(, %ecx, 8)
        inc %ecx
        cmp $512, %ecx
        jne 1b
        movl $PHYSICAL(directory) + PRESENT_WRITE, PHYSICAL(pointers_low)
        movl $PHYSICAL(directory) + PRESENT_WRITE, PHYSICAL(pointers_high) + 8 * 510
        movl $PHYSICAL(pointers_low) + PRESENT_WRITE, PHYSICAL(boot_root)
        movl $PHYSICAL(pointers_low) + PRESENT_WRITE, PHYSICAL(boot_root) + 8 * DIRECT_SLOT
        movl $PHYSICAL(pointers_high) + PRESENT_WRITE, PHYSICAL(boot_root) + 8 * 511
        mov $CR4_PAE, %eax
        mov %eax, %cr4
        mov $PHYSICAL(boot_root), %eax
        mov %eax, %cr3
        mov $MSR_EFER, %ecx
        rdmsr
        or $EFER_BITS, %eax
        wrmsr
        mov $CR0_BITS, %eax
        mov %eax, %cr0
        lgdt PHYSICAL(gdtr32)
        ljmp $CS_KERNEL, $PHYSICAL(long_mode)
        .code64
long_mode:
        mov $high, %rax
        jmp *%rax
high:   lgdt gdtr
        mov $DS_KERNEL, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov $boot_stack_top, %rsp
        movq $0, boot_root
        mov %cr3, %rax
        mov %rax, %cr3
        call native_main
        ud2

/* From SYSCALL. rcx: rip, r11: rflags, rsp: the process's; all others are the process's. */
        .globl native_syscall
native_syscall:
        swapgs
        mov %rsp, %gs:PERCPU_SCRATCH
        mov %gs:PERCPU_KERNEL_STACK, %rsp
        push $DS_USER
        push %gs:PERCPU_SCRATCH
        push %r11
        push $CS_USER
        push %rcx
        jmp *native_syscall_target

        .globl vmi_swap_gs
vmi_swap_gs:
        swapgs
        ret

/* rsp: rip, cs, rflags, rsp, ss. */
        .globl vmi_iret
vmi_iret:
        testb $3, 8(%rsp)
        jz 1f
        swapgs
1:      iretq

/*
 * rsp: rip, cs, rflags, rsp, ss. SYSRET to an address that is not canonical would fault in ring 0
 * on the process's stack: such a frame goes by IRET.
 */
        .globl vmi_sysret
vmi_sysret:
        mov (%rsp), %rcx
        mov %rcx, %r11
        shr $47, %r11
        jnz vmi_iret
        mov 16(%rsp), %r11
        mov 24(%rsp), %rsp
        swapgs
        sysretq

        .data
        .balign 8
        .globl native_gdt
native_gdt:
        .quad 0
        .quad 0x00af9b000000ffff /* 08 kernel's code */
        .quad 0x00cf93000000ffff /* 10 kernel's data */
        .quad 0x00cffb000000ffff /* 18 32-bit code of processes: SYSRET counts from here */
        .quad 0x00cff3000000ffff /* 20 data of processes */
        .quad 0x00affb000000ffff /* 28 code of processes */
        .quad 0, 0               /* 30 TSS */
gdt_end:
gdtr32: .short gdt_end - native_gdt - 1
        .long PHYSICAL(native_gdt)
gdtr:   .short gdt_end - native_gdt - 1
        .quad native_gdt

        .bss
        .balign 4096
        .globl boot_root
boot_root:
        .skip 4096
pointers_low:
        .skip 4096
pointers_high:
        .skip 4096
directory:
        .skip 4096
        .skip 4096
boot_stack_top:

        .section .note.GNU-stack, "", @progbits
