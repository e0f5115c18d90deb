/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Commands that answer in more than one register, which the generated hypercalls, with their one
 * result, leave behind.
 */
#include <vmware/hypercalls.h>

        .bss
        .globl  vmi__vmware_form
        .type   vmi__vmware_form, @object
        .size   vmi__vmware_form, 1
/* How the backdoor is entered (vmware.h). */
vmi__vmware_form:
        .skip   1

        .text

/* In: eax address of a struct vmi__vmware_answer, kept in ebp. The command's number is in ecx, its
 * arguments are 0; magic number and port are the transfer's. Out: eax, ebx, ecx, edx, esi go to the
 * structure in this order; ebx, esi, edi and ebp are kept for the caller. */
        .macro command name, number, count
        .globl  vmi__vmware_\name
        .type   vmi__vmware_\name, @function
        .balign 16
vmi__vmware_\name:
        push    %ebx
        push    %esi
        push    %edi
        push    %ebp
        mov     %eax, %ebp
        xor     %ebx, %ebx
        xor     %esi, %esi
        xor     %edi, %edi
        mov     $\number, %ecx
        lock incl \count
        vmi__vmware_transfer
        mov     %eax, (%ebp)
        mov     %ebx, 4(%ebp)
        mov     %ecx, 8(%ebp)
        mov     %edx, 12(%ebp)
        mov     %esi, 16(%ebp)
        pop     %ebp
        pop     %edi
        pop     %esi
        pop     %ebx
        ret
        .size   vmi__vmware_\name, . - vmi__vmware_\name
        .endm

        command get_version, vmi__vmware_hypercall_get_version_number, vmi__vmware_hypercall_get_version_count
        command get_hz, vmi__vmware_hypercall_get_hz_number, vmi__vmware_hypercall_get_hz_count
        command get_time_full, vmi__vmware_hypercall_get_time_full_number, vmi__vmware_hypercall_get_time_full_count

    .section .note.GNU-stack, "", @progbits
