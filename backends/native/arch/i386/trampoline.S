/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Where a further CPU begins: in real mode, at the start of the page that the STARTUP interrupt
 * named. Goes straight to paged protected mode (Intel SDM vol. 3A, 9.9.1) and takes on
 * vmi__native_ap_state.
 */
#include <vmi/constants.h>

#include "../../apic_registers.h"
#include "../../x2apic.inc"
#include "arch/i386/ap_state.inc"
#include "layout.h"

#define CR0     0x80010033 /* PG, WP, NE, ET, MP, PE */

#define MSR_EFER 0xc0000080
#define MSR_PAT  0x277

#define CS 0x08
#define DS 0x10

#define STATE(field) vmi__native_ap_state + VMI_OFFSETOF_AP_STATE_##field

    .section .rodata.trampoline, "a"
    .code16
    .balign 16
    .globl vmi__native_trampoline, vmi__native_trampoline_end
    .globl vmi__native_trampoline_cr3, vmi__native_trampoline_cr4, vmi__native_trampoline_efer
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
    /* What the way-up tables need of EFER; not touched where that is nothing. */
    mov vmi__native_trampoline_efer - vmi__native_trampoline, %ecx
    jcxz 1f
    mov $MSR_EFER, %ecx
    rdmsr
    or vmi__native_trampoline_efer - vmi__native_trampoline, %eax
    wrmsr
1:  mov $CR0, %eax
    mov %eax, %cr0
    ljmpl $CS, $ap_entry

    .balign 4
vmi__native_trampoline_cr3:
    .long 0
vmi__native_trampoline_cr4:
    .long 0
vmi__native_trampoline_efer:
    .long 0
gdtr:
    .word gdt_end - gdt - 1
    .long gdt
vmi__native_trampoline_end:

/* Not copied: read by its linear address once paging is on. */
    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
gdt_end:

    .text
    .code32
/* On the way-up tables, without a stack. eax is scratch. */
ap_entry:
    mov $DS, %eax
    mov %eax, %ds
    mov %eax, %ss

    /*
     * The local APIC as vmi__native_apic_init leaves it; INIT has masked the rest. ecx: its
     * registers, 0 if they are the kernel's own to set; or number of an MSR, edx:eax its value.
     */
    mov vmi__native_ap_apic, %ecx
    jecxz 2f
    cmpb $0, vmi__native_x2apic
    jne 4f
    movl $0, VMI_APIC_TPR(%ecx)
    movl $VMI__APIC_SVR_ON, VMI_APIC_SVR(%ecx)
    jmp 2f
4:  enable_x2apic
2:

    /* Model-specific and control registers. edx:eax: value; ecx: number. */
    cmpl $0, vmi__native_ap_sets_efer
    je 1f
    mov $MSR_EFER, %ecx
    rdmsr
    or STATE(EFER), %eax
    wrmsr
1:  cmpl $0, vmi__native_pat
    je 3f
    mov $MSR_PAT, %ecx
    mov vmi__native_pat, %eax
    mov vmi__native_pat + 4, %edx
    wrmsr
3:  mov STATE(CR4), %eax
    mov %eax, %cr4
    mov STATE(CR3), %eax
    mov %eax, %cr3
    mov STATE(CR0), %eax
    mov %eax, %cr0
    mov STATE(CR2), %eax
    mov %eax, %cr2

    /*
     * Descriptor tables, then the stack; from there on ss, which is not null, is what memory is
     * reached by. A limit and a base lie side by side for the GDT only.
     */
    lgdt STATE(GDTR_LIMIT)
    lidt vmi__native_ap_idtr
    lldt STATE(LDTR)
    mov STATE(ESP), %esp
    mov STATE(SS), %ss
    mov %ss:STATE(DS), %ds
    mov %ss:STATE(ES), %es
    mov %ss:STATE(FS), %fs
    mov %ss:STATE(GS), %gs

    /*
     * The frame of the jump, then the general registers, then word to
     * vmi__native_set_initial_ap_state.
     */
    pushl %ss:STATE(EFLAGS)
    movzwl %ss:STATE(CS), %eax
    push %eax
    pushl %ss:STATE(EIP)
    vmi__load_ap_registers vmi__native_ap_state
    movl $1, %ss:vmi__native_ap_up
    iret

    .section .note.GNU-stack, "", @progbits
