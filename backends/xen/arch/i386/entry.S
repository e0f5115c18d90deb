/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Where Xen's domain builder enters the kernel, and the notes by which it finds that place
 * (xen/elfnote.h).
 */
#define __ASSEMBLY__
#include <xen/elfnote.h>
#include <xen/xen.h>

#include "../../domain.h"
#include "endbr.h"

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
    .long 4, 4, \type
    .asciz "Xen"
    .long \word
    .endm

    .section .note.Xen, "a", @note
    note_text XEN_ELFNOTE_GUEST_OS, "VMI"
    note_text XEN_ELFNOTE_XEN_VERSION, "xen-3.0"
    note_text XEN_ELFNOTE_LOADER, "generic"
    note_text XEN_ELFNOTE_PAE_MODE, "yes"
    note_text XEN_ELFNOTE_FEATURES, "!writable_page_tables|pae_pgdir_above_4gb"
    note_word XEN_ELFNOTE_VIRT_BASE, VMI__LINEAR_BASE
    /* The program headers' physical addresses are guest-physical already. */
    note_word XEN_ELFNOTE_PADDR_OFFSET, 0
    note_word XEN_ELFNOTE_ENTRY, vmi__xen_entry

/*
 * Ring 1, PAE paging on, flat segments, events masked. In: esi start_info; esp the builder's stack.
 * Out: the same start_info as the C function's argument, on the runtime's stack.
 */
    .section .text.entry, "ax", @progbits
    .weak vmi_entry /* of a kernel that other loaders start as well, the entry point is theirs */
    .globl vmi__xen_entry
    .type vmi__xen_entry, @function
vmi_entry:
vmi__xen_entry:
    VMI__ENDBR32
    cld
    mov $vmi_stack_top, %esp
    xor %ebp, %ebp
    mov %esi, %eax
    call vmi__xen_start
    ud2
    .size vmi__xen_entry, . - vmi__xen_entry

/* A kernel with this entry has it, or does not link: other linker scripts may have another base. */
    .section .rodata.entry, "a"
    .long vmi_linear_base_is_0xC0000000

    .section .note.GNU-stack, "", @progbits
