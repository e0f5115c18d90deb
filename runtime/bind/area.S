/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Memory of the kernel for the provider that it is bound to, and for the provider's tables. The
 * text part lies in the kernel's own text, so that a kernel that maps that read-only has the
 * provider's code read-only as well.
 */
#include <vmi/constants.h>

#include "layout.h"

/* Where every slot leads until it is filled: nothing may be called so early. */
    .text
    .globl vmi__unbound
    .type vmi__unbound, @function
vmi__unbound:
    ud2
    .size vmi__unbound, . - vmi__unbound

    .section .text.provider, "ax", @progbits
    .balign 4096
    .globl vmi__provider_text
vmi__provider_text:
    .fill VMI__PROVIDER_TEXT_SIZE, 1, 0xcc

    .section .bss.tables, "aw", @nobits
    .balign 4096
    .globl vmi__provider_data
vmi__provider_data:
    .skip VMI__PROVIDER_DATA_SIZE

/* Tables that split the boot tables' large pages where text lies. */
    .globl vmi__text_tables
vmi__text_tables:
    .skip 4096 * VMI__TEXT_TABLES

/* vmi_calls, vmi_hypercalls and their sizes (vmi/vmi.h), as the provider has them. */
    .bss
    .balign 8
    .globl vmi_calls, vmi_calls_count, vmi_hypercalls, vmi_hypercalls_count
vmi_calls:
    .skip VMI__CALL_INFO_SIZE * VMI_ORDINALS
vmi_hypercalls:
    .skip VMI__HYPERCALL_INFO_SIZE * VMI__HYPERCALLS_MAX
vmi_calls_count:
    .long 0
vmi_hypercalls_count:
    .long 0

    .section .note.GNU-stack, "", @progbits
