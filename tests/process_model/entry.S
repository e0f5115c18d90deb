/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The kernel's entries. Each leaves a struct frame (kernel.c) on the stack: rsp points to r15, then
 * come r14 … rax, the vector, the error code and the processor's frame.
 */
        .text

        .macro save
        push %rax
        push %rbx
        push %rcx
        push %rdx
        push %rsi
        push %rdi
        push %rbp
        push %r8
        push %r9
        push %r10
        push %r11
        push %r12
        push %r13
        push %r14
        push %r15
        .endm

        .macro restore
        pop %r15
        pop %r14
        pop %r13
        pop %r12
        pop %r11
        pop %r10
        pop %r9
        pop %r8
        pop %rbp
        pop %rdi
        pop %rsi
        pop %rdx
        pop %rcx
        pop %rbx
        pop %rax
        add $16, %rsp
        .endm

        .macro gate vector, error
        .globl entry_\vector
entry_\vector:
        .ifc \error, none
        push $0
        .endif
        push $\vector
        jmp exception
        .endm

        gate 3, none
        gate 13, code
        gate 14, code

/* rsp: vector, error, rip, cs, rflags, rsp, ss. */
exception:
        testb $3, 24(%rsp)
        jz 1f
        call vmi_swap_gs
1:      save
        mov %rsp, %rdi
        cld
        call exception_handler
        .globl return_by_iret
return_by_iret:
        restore
        jmp vmi_iret

/* rsp: rip, cs, rflags, rsp, ss. */
        .globl entry_syscall
entry_syscall:
        push $0
        push $0
        save
        mov %rsp, %rdi
        cld
        call syscall_handler
        restore
        jmp vmi_sysret

/* rdi: where the old stack pointer goes; rsi: the new one. */
        .globl switch_stack
switch_stack:
        push %rbx
        push %rbp
        push %r12
        push %r13
        push %r14
        push %r15
        mov %rsp, (%rdi)
        mov %rsi, %rsp
        pop %r15
        pop %r14
        pop %r13
        pop %r12
        pop %rbp
        pop %rbx
        ret

/* rsp: struct frame. */
        .globl first_return
first_return:
        jmp return_by_iret

/*
 * The process, copied to its page. r12: its number, given at its start. It says who it is (system
 * call 1) with what lies at FS and GS base and in its data page, gives way (2), does so again, takes
 * a breakpoint, tries to read the kernel (14 must come), and ends (3).
 */
        .globl program, program_end
program:
        mov $3, %ebx
1:      mov %fs:0, %rdi
        mov %gs:0, %rsi
        mov 0x402000, %rdx
        mov %r12, %r10
        mov $1, %eax
        syscall
        mov $2, %eax
        syscall
        int3
        dec %ebx
        jnz 1b
        movabs $program, %rax
        mov (%rax), %rax
        mov $3, %eax
        syscall
        ud2
program_end:

        .section .note.GNU-stack, "", @progbits
