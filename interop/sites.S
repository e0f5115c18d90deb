/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The call sites: one for each call, with the bare instructions that do it where there is no
 * hypervisor, and a record. A site is a function; client_invoke gives it registers. patch.c turns
 * it into what the ROM answers. What calls take on the stack stands there at the site, below no
 * return address.
 */
#include "layout.h"
#include "published.h"

#define NATIVE 1 /* the bare instructions do the whole call */

    .text

/* The site begins; `words` words of client_words are its arguments on the stack. */
.macro BEGIN name, ordinal, words=0
    .globl site_\name
    .type site_\name, @function
site_\name:
    .ifgt \words - 1
    push client_words + 4
    .endif
    .ifgt \words
    push client_words
    .endif
    .set site_ordinal, \ordinal
    .set site_words, \words
    .pushsection .rodata.names, "a"
770: .asciz "\name"
    .popsection
771:
.endm

/*
 * The site ends: at least as long as a near jump or call, then its record. `long`: it is long enough,
 * but has jumps, so that the assembler cannot tell yet.
 */
.macro END native=NATIVE, long=0
    .if !\long
    .fill (5 - (. - 771b)) * ((. - 771b) < 5) * -1, 1, 0x90
    .endif
772:
    .ifgt site_words
    lea 4 * site_words(%esp), %esp
    .endif
    ret
    .pushsection .client.sites, "a"
    .long 771b, 770b
    .byte 772b - 771b, site_ordinal, \native, site_words
    .popsection
.endm

    BEGIN cpuid, CALL_CPUID
    cpuid
    END
    BEGIN wrmsr, CALL_WRMSR
    wrmsr
    END
    BEGIN rdmsr, CALL_RDMSR
    rdmsr
    END
    BEGIN set_gdt, CALL_SET_GDT
    lgdt (%eax)
    END
    BEGIN set_ldt, CALL_SET_LDT
    lldt %ax
    END
    BEGIN set_idt, CALL_SET_IDT
    lidt (%eax)
    END
    BEGIN set_tr, CALL_SET_TR
    ltr %ax
    END
    BEGIN get_gdt, CALL_GET_GDT
    sgdt (%eax)
    END
    BEGIN get_ldt, CALL_GET_LDT
    sldt %eax
    END
    BEGIN get_idt, CALL_GET_IDT
    sidt (%eax)
    END
    BEGIN get_tr, CALL_GET_TR
    str %eax
    END
    /* eax: table; edx: index; ecx and the word on the stack: halves of the descriptor. */
.macro WRITE_ENTRY name, ordinal
    BEGIN \name, \ordinal, 1
    mov %ecx, (%eax, %edx, 8)
    mov (%esp), %ecx
    mov %ecx, 4(%eax, %edx, 8)
    END
.endm
    WRITE_ENTRY write_gdt_entry, CALL_WRITE_GDT_ENTRY
    WRITE_ENTRY write_ldt_entry, CALL_WRITE_LDT_ENTRY
    WRITE_ENTRY write_idt_entry, CALL_WRITE_IDT_ENTRY
    /* The kernel writes its TSS itself. */
    BEGIN update_kernel_stack, CALL_UPDATE_KERNEL_STACK
    END
    BEGIN set_cr0, CALL_SET_CR0
    mov %eax, %cr0
    END
    BEGIN set_cr2, CALL_SET_CR2
    mov %eax, %cr2
    END
    BEGIN set_cr3, CALL_SET_CR3
    mov %eax, %cr3
    END
    BEGIN set_cr4, CALL_SET_CR4
    mov %eax, %cr4
    END
    BEGIN get_cr0, CALL_GET_CR0
    mov %cr0, %eax
    END
    BEGIN get_cr2, CALL_GET_CR2
    mov %cr2, %eax
    END
    BEGIN get_cr3, CALL_GET_CR3
    mov %cr3, %eax
    END
    BEGIN get_cr4, CALL_GET_CR4
    mov %cr4, %eax
    END
    BEGIN wbinvd, CALL_WBINVD
    wbinvd
    END
    /* eax: number, of which this kernel uses 0 and 7; edx: value. */
    BEGIN set_dr, CALL_SET_DR
    test %eax, %eax
    jnz 1f
    mov %edx, %dr0
    jmp 2f
1:  mov %edx, %dr7
2:
    END long=1
    BEGIN get_dr, CALL_GET_DR
    test %eax, %eax
    mov %dr0, %eax
    jz 1f
    mov %dr7, %eax
1:
    END long=1
    BEGIN rdpmc, CALL_RDPMC
    rdpmc
    END
    BEGIN rdtsc, CALL_RDTSC
    rdtsc
    END
    BEGIN clts, CALL_CLTS
    clts
    END
    BEGIN enable_interrupts, CALL_ENABLE_INTERRUPTS
    sti
    END
    BEGIN disable_interrupts, CALL_DISABLE_INTERRUPTS
    cli
    END
    BEGIN get_interrupt_mask, CALL_GET_INTERRUPT_MASK
    pushf
    pop %eax
    END
    BEGIN set_interrupt_mask, CALL_SET_INTERRUPT_MASK
    push %eax
    popf
    END
    BEGIN iret, CALL_IRET
    iret
    END
    BEGIN sysexit, CALL_SYSEXIT
    sti
    sysexit
    END
    BEGIN halt, CALL_HALT
    sti
    hlt
    END
    BEGIN reboot, CALL_REBOOT
    END native=0
    BEGIN shutdown, CALL_SHUTDOWN
    END native=0
    BEGIN set_pxe, CALL_SET_PXE
    mov %eax, (%edx)
    END
    /* eax, edx: halves of the entry; ecx: where. The word on the stack is of no use here. */
    BEGIN set_pxe_long, CALL_SET_PXE_LONG, 1
    movl $0, (%ecx)
    mov %edx, 4(%ecx)
    mov %eax, (%ecx)
    END
    BEGIN update_pxe, CALL_UPDATE_PXE
    END
    BEGIN update_pxe_long, CALL_UPDATE_PXE_LONG
    END
    BEGIN machine_to_physical, CALL_MACHINE_TO_PHYSICAL
    END
    BEGIN physical_to_machine, CALL_PHYSICAL_TO_MACHINE
    END
    BEGIN allocate_page, CALL_ALLOCATE_PAGE, 2
    END
    BEGIN release_page, CALL_RELEASE_PAGE
    END
    BEGIN inval_page, CALL_INVAL_PAGE
    invlpg (%eax)
    END
    /* Whatever is asked for, by a change of PGE: edx and ecx hold CR4 as it is and without. */
    BEGIN flush_tlb, CALL_FLUSH_TLB
    mov %cr4, %edx
    mov %edx, %ecx
    xor $0x80, %ecx
    mov %ecx, %cr4
    mov %edx, %cr4
    END
    BEGIN set_linear_mapping, CALL_SET_LINEAR_MAPPING, 1
    END
    BEGIN set_iopl_mask, CALL_SET_IOPL_MASK
    pushf
    andl $~0x3000, (%esp)
    or %eax, (%esp)
    popf
    END
    BEGIN set_initial_ap_state, CALL_SET_INITIAL_AP_STATE
    END native=0
    BEGIN apic_write, CALL_APIC_WRITE
    and $0xfff, %eax
    mov %edx, APIC_LINEAR(%eax)
    END
    BEGIN apic_read, CALL_APIC_READ
    and $0xfff, %eax
    mov APIC_LINEAR(%eax), %eax
    END
    BEGIN io_delay, CALL_IO_DELAY
    out %al, $0x80
    END
    BEGIN get_cycle_frequency, CALL_GET_CYCLE_FREQUENCY
    END native=0
    BEGIN get_cycle_counter, CALL_GET_CYCLE_COUNTER
    END native=0
    BEGIN set_alarm, CALL_SET_ALARM, 2
    END native=0
    BEGIN cancel_alarm, CALL_CANCEL_ALARM
    END native=0
    BEGIN get_wallclock_time, CALL_GET_WALLCLOCK_TIME
    END native=0
    BEGIN wallclock_updated, CALL_WALLCLOCK_UPDATED
    END native=0
    BEGIN set_lazy_mode, CALL_SET_LAZY_MODE
    END

    .bss
    .balign 4
    .globl client_words
client_words:
    .skip 8

    .section .note.GNU-stack, "", @progbits
