/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Calling a site with all registers given.
 */
    .text

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

    .section .note.GNU-stack, "", @progbits
