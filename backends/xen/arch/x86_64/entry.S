/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Where Xen's domain builder enters the kernel, and the notes by which it finds that place
 * (xen/elfnote.h).
 */
#define __ASSEMBLY__
#include <xen/elfnote.h>
#include <xen/xen.h>

#include "endbr.h"

#include "../../domain.h"

    .macro note_text type, text
    .balign 4
    .long 4, 9f - 8f, \type
    .asciz "Xen"
8:
    .asciz "\text"
9:
    .balign 4
    .endm

    .macro note_word type, word
    .balign 4
    .long 4, 8, \type
    .asciz "Xen"
    .quad \word
    .endm

    .section .note.Xen, "a", @note
    note_text XEN_ELFNOTE_GUEST_OS, "VMI"
    note_text XEN_ELFNOTE_XEN_VERSION, "xen-3.0"
    note_text XEN_ELFNOTE_LOADER, "generic"
    note_text XEN_ELFNOTE_FEATURES, "!writable_page_tables"
    note_word XEN_ELFNOTE_VIRT_BASE, VMI__IMAGE_BASE
    /* The program headers' physical addresses are guest-physical already. */
    note_word XEN_ELFNOTE_PADDR_OFFSET, 0
    /* However long the list of frames is, it does not lie behind the image. */
    note_word XEN_ELFNOTE_INIT_P2M, VMI__XEN_P2M_BASE
    note_word XEN_ELFNOTE_ENTRY, vmi__xen_entry

/*
 * Ring 3, paging on, events masked. In: rsi start_info; rsp the builder's stack. Out: the same
 * start_info as the C function's argument, on the runtime's stack.
 */
    .section .text.entry, "ax", @progbits
    .weak vmi_entry /* of a kernel that other loaders start as well, the entry point is theirs */
    .globl vmi__xen_entry
    .type vmi__xen_entry, @function
vmi_entry:
vmi__xen_entry:
    VMI__ENDBR64
    cld
    mov $vmi_stack_top, %rsp
    xor %ebp, %ebp
    mov %rsi, %rdi
    call vmi__xen_start
    ud2
    .size vmi__xen_entry, . - vmi__xen_entry

    .section .note.GNU-stack, "", @progbits
