/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Entry by multiboot, the first page tables, trap entries, and the ways to and from ring 3.
 *
 * Sources: Multiboot Specification 0.6.96, 3.1 and 3.2; Intel SDM vol. 3A, 4.3, 4.4, 6.12, and vol.
 * 2B, SYSENTER and SYSEXIT.
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

/* ---- calling a site with all registers given ------------------------------------------------- */

/*
 * void client_invoke(struct registers *, void (*site)(void)), cdecl. The registers go to the site
 * and come back from it: eax, ebx, ecx, edx, esi, edi, ebp, and the flags it leaves.
 */
    .globl client_invoke
client_invoke:
    push %ebp
    push %ebx
    push %esi
    push %edi
    mov 20(%esp), %eax
    mov 24(%esp), %edx
    push %eax
    push %edx
    mov 4(%eax), %ebx
    mov 8(%eax), %ecx
    mov 12(%eax), %edx
    mov 16(%eax), %esi
    mov 20(%eax), %edi
    mov 24(%eax), %ebp
    mov (%eax), %eax
    call *(%esp)
    /* The slot of the site's address takes eax; eax points to the registers. */
    mov %eax, (%esp)
    mov 4(%esp), %eax
    mov %ebx, 4(%eax)
    mov %ecx, 8(%eax)
    mov %edx, 12(%eax)
    mov %esi, 16(%eax)
    mov %edi, 20(%eax)
    mov %ebp, 24(%eax)
    pushf
    pop 28(%eax)
    pop (%eax)
    add $4, %esp
    pop %edi
    pop %esi
    pop %ebx
    pop %ebp
    ret

/* ---- traps ----------------------------------------------------------------------------------- */

/* Entries of 16 bytes; those without an error code of the processor's push a zero. */
    .balign 16
    .globl client_traps
client_traps:
    vector = 0
    .rept 256
    .balign 16
    .if (vector != 8) && (vector != 17) && ((vector < 10) || (vector > 14))
    push $0
    .endif
    push $vector
    jmp trapped
    vector = vector + 1
    .endr

/* On the stack: vector, error code, then what the processor has pushed. */
trapped:
    pusha
    push %ds
    push %es
    mov $KERNEL_DS, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %esp, %eax
    push %eax
    call client_trap
    add $4, %esp
    /* The answer, in al, outlives these as a flag. */
    test %al, %al
    pop %es
    pop %ds
    popa
    lea 8(%esp), %esp
    jz 1f
    jmp site_iret
1:  iret

/* ---- ring 3 ---------------------------------------------------------------------------------- */

/*
 * uint32_t client_to_user(uint32_t entry, uint32_t stack, uint32_t by_sysexit), cdecl: enters ring 3
 * and comes back when that calls client_user_done, whose argument is the result.
 */
    .globl client_to_user
client_to_user:
    push %ebp
    push %ebx
    push %esi
    push %edi
    mov 20(%esp), %edx
    mov 24(%esp), %ecx
    mov 28(%esp), %eax
    mov %esp, user_return
    test %eax, %eax
    jnz 1f
    push $(USER_DS | 3)
    push %ecx
    push $0x202 /* EFLAGS with IF */
    push $(USER_CS | 3)
    push %edx
    jmp site_iret
    /* SYSEXIT takes eip from edx, esp from ecx. */
1:  jmp site_sysexit

    .globl client_user_done
client_user_done:
    mov 4(%esp), %eax
    mov user_return, %esp
    pop %edi
    pop %esi
    pop %ebx
    pop %ebp
    ret

/* Where SYSENTER arrives, on the stack that its MSR names; eax: what ring 3 says. */
    .globl client_sysenter
client_sysenter:
    mov $KERNEL_DS, %ecx
    mov %ecx, %ds
    mov %ecx, %es
    push %eax
    call client_user_done

/*
 * Code for ring 3, copied to USER_BASE: says what it finds (eax: cs, and the interrupt flag in bit
 * 31) by a system call of either kind. Position-independent; there is a stack.
 */
    .globl client_user_code, client_user_code_sysenter, client_user_code_end
client_user_code:
    pushf
    pop %eax
    and $0x200, %eax
    shl $22, %eax
    mov %cs, %ax
    int $VECTOR_SYSCALL
client_user_code_sysenter:
    pushf
    pop %eax
    and $0x200, %eax
    shl $22, %eax
    mov %cs, %ax
    sysenter
client_user_code_end:

/* ---- a further CPU --------------------------------------------------------------------------- */

/*
 * Begins here in the state that SetInitialAPState was given, its stack included. All registers are
 * written down before anything else is done; CPUs come one at a time.
 */
    .globl client_ap_entry
client_ap_entry:
    mov %eax, client_ap_seen
    mov %ebx, client_ap_seen + 4
    mov %ecx, client_ap_seen + 8
    mov %edx, client_ap_seen + 12
    mov %esi, client_ap_seen + 16
    mov %edi, client_ap_seen + 20
    mov %ebp, client_ap_seen + 24
    pushf
    pop client_ap_seen + 28
    push $0
    popf
    call client_ap_main

    .bss
    .balign 4096
    .globl client_root, client_directory, client_apic_table
client_root:
    .skip 4096
client_directory: /* with PAE */
    .skip 4096
client_apic_table:
    .skip 4096
    .globl client_stack_top
    .skip 16384
client_stack_top:
user_return:
    .skip 4

    .section .note.GNU-stack, "", @progbits
