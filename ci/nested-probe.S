/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Whether this machine's KVM works: one hypercall, then exit status 0x10 through isa-debug-exit.
 * /dev/kvm can be there and of no use (a software KVM on which a hypercall never returns), so nested.py
 * gives this guest a few seconds.
 */
        .section .multiboot, "a"
        .balign 4
        .long   0x1badb002, 0, -0x1badb002

        .text
        .globl  _start
_start:
        /* CPUID 0: ecx holds the last four letters of the vendor, "cAMD" for AMD. KVM_HC_VAPIC_POLL_IRQ
         * (1, linux/kvm_para.h) does nothing and returns 0 in eax. */
        xorl    %eax, %eax
        cpuid
        movl    $1, %eax
        cmpl    $0x444d4163, %ecx
        je      1f
        vmcall
        jmp     2f
1:      vmmcall
        /* eax: the hypercall's result */
2:      testl   %eax, %eax
        movb    $0x10, %al
        jz      3f
        movb    $0x11, %al
        /* al: the status */
3:      outb    %al, $0xf4
4:      hlt
        jmp     4b
