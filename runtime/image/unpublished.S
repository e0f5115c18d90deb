/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * In place of published.S where an image serves only kernels that bind it themselves: without a PCI
 * data structure clients of the published API pass it over, and whoever calls it all the same is
 * told that it does not start.
 */
    .section .rom.entry, "ax", @progbits

    .globl vmi__rom_pci, vmi__rom_pnp
    .set vmi__rom_pci, 0
    .set vmi__rom_pnp, 0

    .code16
    .globl vmi__rom_entry16
vmi__rom_entry16:
    xor %ax, %ax
    lret

    .code32
    .globl vmi__rom_init, vmi__rom_get_reloc
vmi__rom_init:
    mov $1, %eax
    ret

vmi__rom_get_reloc:
    xor %eax, %eax
    xor %edx, %edx
    ret

    .section .note.GNU-stack, "", @progbits
