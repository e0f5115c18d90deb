/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The first bytes of a provider image (image/rom.h). What depends on the whole file (length, checksum,
 * relocations) is filled in by codegen/vmirom.
 */
#include <vmi/constants.h>

#include "image/rom.h"

    .section .rom.header, "ax", @progbits
    .globl vmi__rom_header
vmi__rom_header:
    .short VMI__ROM_SIGNATURE_VALUE
    .byte 0 /* length */
    .code16
    jmp vmi__rom_entry16
    .code32
    .org VMI__ROM_VMI_SIGNATURE
    .long VMI__ROM_VMI_SIGNATURE_VALUE
    .byte VMI_API_MINOR, VMI_API_MAJOR
    .byte 0
    .org VMI__ROM_LICENSE
    .short license, vmi__rom_pci, vmi__rom_pnp
    .org VMI__ROM_INIT
    jmp vmi__rom_init
    .org VMI__ROM_GET_RELOC
    jmp vmi__rom_get_reloc
    .org VMI__ROM_EXTENSION
    .long VMI__ROM_X_MAGIC_VALUE
    .short VMI__ROM_X_VERSION_VALUE
    .short VMI__ROM_X_END - VMI__ROM_EXTENSION
    .long vmi__rom_text_end
    .long vmi__rom_data
    .long vmi__rom_data_bytes
    .long vmi__rom_memory_bytes
    .long 0, 0 /* relocations */
    .long vmi__rom_calls
    .long vmi__rom_calls_count
    .long vmi__rom_name
    .long vmi__rom_priority
    .long vmi__image_probe
    .long vmi__image_start
    .long vmi__rom_forms
    .long vmi__rom_forms_count
#ifdef __x86_64__
    .short VMI__ROM_MACHINE_X86_64, 0
#else
    .short VMI__ROM_MACHINE_I386, 0
#endif
    .long vmi__rom_sign_leaf
    .short vmi__rom_sign_leaves
    .short vmi__rom_sign_registers
    .long vmi__rom_sign_eax, vmi__rom_sign_ebx, vmi__rom_sign_ecx, vmi__rom_sign_edx
    .long 0 /* sum */
    .org VMI__ROM_X_END

license:
    .asciz "GPL v2"

    .section .note.GNU-stack, "", @progbits
