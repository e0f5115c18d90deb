/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Whether this machine's QEMU gives the right error code when a program makes a software interrupt that it may not
 * make, in long mode: vector * 8 + 2 (AMD64 Architecture Programmer's Manual volume 2, 8.4.1, "Selector-Error Code").
 * QEMU before 8.0 gives vector * 16 + 2, and Xen, which looks at the code to know what its guest's program wanted,
 * takes it for another vector. Ends with status 0x10 if it is right, else 0x11, through isa-debug-exit.
 */
        VECTOR = 0x21
        CODE64 = 0x08
        DATA   = 0x10
        CODE3  = 0x18 | 3
        DATA3  = 0x20 | 3
        TSS    = 0x28

        .section .multiboot, "a"
        .balign 4
        .long   0x1badb002, 0, -0x1badb002

        .text
        .globl  _start
_start:
        /* One page of 2 MiB at 0: everything here is in it. */
        movl    $stack0, %esp
        movl    $pdpt + 7, pml4
        movl    $pd + 7, pdpt
        movl    $0x87, pd
        movl    $pml4, %eax
        movl    %eax, %cr3
        movl    $0x20, %eax                     /* CR4.PAE */
        movl    %eax, %cr4
        movl    $0xc0000080, %ecx               /* EFER.LME */
        rdmsr
        orl     $0x100, %eax
        wrmsr
        movl    $0x80000001, %eax               /* CR0.PG, PE */
        movl    %eax, %cr0
        movl    $tss, %eax
        movw    %ax, gdt + TSS + 2
        shrl    $16, %eax
        movb    %al, gdt + TSS + 4
        /* The gates of the interrupt, for ring 0 alone, and of #GP. */
        movl    $bad, %eax
        movl    $idt + VECTOR * 16, %edi
        call    set_gate
        movl    $protection, %eax
        movl    $idt + 13 * 16, %edi
        call    set_gate
        lgdt    gdt_pointer
        lidt    idt_pointer
        ljmp    $CODE64, $long_mode

/* eax: handler; edi: gate. An interrupt gate of 64 bits and ring 0; its upper half is 0. */
set_gate:
        movw    %ax, (%edi)
        movw    $CODE64, 2(%edi)
        movw    $0x8e00, 4(%edi)
        shrl    $16, %eax
        movw    %ax, 6(%edi)
        ret

        .code64
long_mode:
        movl    $DATA, %eax
        movw    %ax, %ss
        movl    $stack0, %esp
        movl    $TSS, %eax
        ltr     %ax
        movl    $stack3, %ecx
        movl    $program, %edx
        /* To ring 3: ss, rsp, flags, cs, rip. */
        pushq   $DATA3
        pushq   %rcx
        pushq   $2
        pushq   $CODE3
        pushq   %rdx
        iretq

program:
        int     $VECTOR

protection:
        /* On the stack: error code, rip, … */
        popq    %rax
        cmpl    $VECTOR * 8 + 2, %eax
        jne     bad
        movb    $0x10, %al
        jmp     end
bad:
        movb    $0x11, %al
end:
        /* al: the status */
        outb    %al, $0xf4
1:      hlt
        jmp     1b

        .data
        .balign 8
gdt:
        .quad   0
        .quad   0x00af9b000000ffff
        .quad   0x00cf93000000ffff
        .quad   0x00affb000000ffff
        .quad   0x00cff3000000ffff
        .quad   0x0000890000000067, 0           /* TSS; its base is filled in */
gdt_end:
gdt_pointer:
        .word   gdt_end - gdt - 1
        .long   gdt, 0
idt_pointer:
        .word   64 * 16 - 1
        .long   idt, 0
        .balign 8
tss:
        .long   0
        .long   stack0, 0                       /* rsp0 */
        .fill   92, 1, 0

        .bss
        .balign 4096
pml4:   .skip   4096
pdpt:   .skip   4096
pd:     .skip   4096
idt:    .skip   64 * 16
        .skip   1024
stack0:
        .skip   1024
stack3:
