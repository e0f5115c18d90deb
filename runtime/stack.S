/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The stack that every entry path starts on and that the kernel begins with. The page below it
 * holds nothing: a kernel that leaves vmi_stack_guard unmapped in its own tables turns an overflow
 * into a page fault.
 */
#include "layout.h"

    .section .bss.stack, "aw", @nobits
    .balign 4096
    .globl vmi_stack_guard, vmi_stack_bottom, vmi_stack_top
vmi_stack_guard:
    .skip 4096
vmi_stack_bottom:
    .skip VMI__STACK_SIZE
vmi_stack_top:

    .section .note.GNU-stack, "", @progbits
