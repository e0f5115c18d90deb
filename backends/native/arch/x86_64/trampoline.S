/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Where a further CPU begins: in real mode, at the start of the page that the STARTUP interrupt
 * named. Goes straight to long mode (Intel SDM vol. 3A, 9.8.5) and takes on vmi__native_ap_state.
 */
#include <vmi/constants.h>

#include "../../apic_registers.h"
#include "../../x2apic.inc"
#include "arch/x86_64/ap_state.inc"
#include "layout.h"
#include "endbr.h"

#define CR0 0x80010033 /* PG, WP, NE, ET, MP, PE */

#define MSR_PAT            0x277
#define MSR_EFER           0xc0000080
#define MSR_FS_BASE        0xc0000100
#define MSR_GS_BASE        0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102

#define CS 0x08
#define DS 0x10

#define STATE(field)            vmi__native_ap_state + VMI_OFFSETOF_AP_STATE_##field(%rip)
#define STATE_PART(field, part) vmi__native_ap_state + part + VMI_OFFSETOF_AP_STATE_##field(%rip)

    .section .rodata.trampoline, "a"
    .code16
    .balign 16
    .globl vmi__native_trampoline, vmi__native_trampoline_end
    .globl vmi__native_trampoline_cr3, vmi__native_trampoline_cr4, vmi__native_trampoline_efer
    .globl vmi__native_trampoline_far, vmi__native_trampoline_long, vmi__native_trampoline_entry
/* cs holds the page >> 4, so that offsets from the start are addresses in it. eax, ecx, edx are scratch. */
vmi__native_trampoline:
    cli
    cld
    mov %cs, %ax
    mov %ax, %ds
    lgdtl gdtr - vmi__native_trampoline
    mov vmi__native_trampoline_cr4 - vmi__native_trampoline, %eax
    mov %eax, %cr4
    mov vmi__native_trampoline_cr3 - vmi__native_trampoline, %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    rdmsr
    or vmi__native_trampoline_efer - vmi__native_trampoline, %eax
    wrmsr
    mov $CR0, %eax
    mov %eax, %cr0
    ljmpl *(vmi__native_trampoline_far - vmi__native_trampoline)

    .code64
vmi__native_trampoline_long:
    mov vmi__native_trampoline_entry(%rip), %rax
    jmp *%rax

    .balign 4
vmi__native_trampoline_cr3:
    .long 0
vmi__native_trampoline_cr4:
    .long 0
vmi__native_trampoline_efer:
    .long 0
vmi__native_trampoline_far: /* the address of vmi__native_trampoline_long in the page */
    .long 0
    .word CS
    .balign 8
vmi__native_trampoline_entry: /* vmi__native_ap_long */
    .quad 0
gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
gdt_end:
gdtr:
    .word gdt_end - gdt - 1
    .globl vmi__native_trampoline_gdt, vmi__native_trampoline_gdtr
vmi__native_trampoline_gdtr: /* the address of vmi__native_trampoline_gdt in the page */
    .long 0
    .set vmi__native_trampoline_gdt, gdt
vmi__native_trampoline_end:

    .text
    .globl vmi__native_ap_long
    .type vmi__native_ap_long, @function
/* On the way-up tables, without a stack. rax, rcx and rdx are scratch. */
vmi__native_ap_long:
    VMI__ENDBR64
    mov $DS, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss

    .globl vmi__native_ap_entry
vmi__native_ap_entry:
    /*
     * The local APIC as vmi__native_apic_init leaves it; INIT has masked the rest. rcx: its
     * registers; or ecx: number of an MSR, edx:eax its value.
     */
    cmpb $0, vmi__native_x2apic(%rip)
    jne 2f
    mov vmi__native_ap_apic(%rip), %rcx
    movl $0, VMI_APIC_TPR(%rcx)
    movl $VMI__APIC_SVR_ON, VMI_APIC_SVR(%rcx)
    jmp 3f
2:  enable_x2apic
3:

    /* Model-specific and control registers. edx:eax: value; ecx: number. */
    mov $MSR_EFER, %ecx
    rdmsr
    or STATE(EFER), %eax
    wrmsr
    cmpl $0, vmi__native_pat(%rip)
    je 1f
    mov $MSR_PAT, %ecx
    mov vmi__native_pat(%rip), %eax
    mov vmi__native_pat + 4(%rip), %edx
    wrmsr
1:  mov STATE(CR4), %rax
    mov %rax, %cr4
    mov STATE(CR3), %rax
    mov %rax, %cr3
    mov STATE(CR0), %rax
    mov %rax, %cr0
    mov STATE(CR2), %rax
    mov %rax, %cr2

    /* Descriptor tables and segments, then the bases that a selector's load takes away. */
    lgdt vmi__native_ap_gdtr(%rip)
    lidt vmi__native_ap_idtr(%rip)
    mov STATE(SS), %ss
    mov STATE(DS), %ds
    mov STATE(ES), %es
    mov STATE(FS), %fs
    mov STATE(GS), %gs
    mov $MSR_FS_BASE, %ecx
    mov STATE(FS_BASE), %eax
    mov STATE_PART(FS_BASE, 4), %edx
    wrmsr
    mov $MSR_GS_BASE, %ecx
    mov STATE(GS_BASE), %eax
    mov STATE_PART(GS_BASE, 4), %edx
    wrmsr
    mov $MSR_KERNEL_GS_BASE, %ecx
    mov STATE(USER_GS_BASE), %eax
    mov STATE_PART(USER_GS_BASE, 4), %edx
    wrmsr

    /* What the library keeps for this CPU, whose number is edi. A C function: the stack is aligned. */
    mov STATE(RSP), %rsp
    and $-16, %rsp
    mov %gs:VMI_PERCPU_NUMBER, %edi
    call vmi__native_cpu_identified

    /*
     * The frame of the jump, then the general registers, then word to
     * vmi__native_set_initial_ap_state.
     */
    mov STATE(RSP), %rsp
    movzwl STATE(SS), %eax
    push %rax
    push STATE(RSP)
    push STATE(RFLAGS)
    movzwl STATE(CS), %eax
    push %rax
    push STATE(RIP)
    vmi__load_ap_registers vmi__native_ap_state
    movl $1, vmi__native_ap_up(%rip)
    iretq
    .size vmi__native_ap_long, . - vmi__native_ap_long

    .section .note.GNU-stack, "", @progbits
