/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Layout of a provider image: an option ROM as VMI 3.0 has it, and behind the published header an
 * extension for binders that put the image where they want it (docs/binding.md). For C and
 * assembly, on the build machine too.
 *
 * An image is linked at address 0, so that offsets in the file and addresses are the same. It has a
 * text part (this header first, then code and constants) from 0, and a data part; whoever loads it
 * copies each to a place of its own, zeroes what the data part has beyond the file, and adds to
 * every relocated word the distance that the part went to which the word refers. Then follow the
 * relocations, in the file only.
 */
#ifndef VMI_RUNTIME_ROM_H
#define VMI_RUNTIME_ROM_H

/* ---- where firmware puts option ROMs (PCI Firmware Specification 3.0, 5.2) ---- */

#define VMI__ROM_AREA_START 0xc0000
#define VMI__ROM_AREA_END   0xe0000
#define VMI__ROM_STEP       2048
#define VMI__ROM_UNIT       512 /* of the length in the header */

/* ---- the published header: offsets, and what stands there ---- */

#define VMI__ROM_SIGNATURE     0   /* 2: 0xaa55 */
#define VMI__ROM_LENGTH        2   /* 1: in units of 512 bytes */
#define VMI__ROM_ENTRY16       3   /* 4: code that firmware calls in real mode */
#define VMI__ROM_VMI_SIGNATURE 8   /* 4: "cVmi" */
#define VMI__ROM_API_MINOR     12  /* 1 */
#define VMI__ROM_API_MAJOR     13  /* 1 */
#define VMI__ROM_SLOTS         14  /* 1: jump slots */
#define VMI__ROM_VIRTUAL_TOP   16  /* 4: size of the top of the address space that is kept */
#define VMI__ROM_CHECKSUM      15  /* 1: reserved; makes all bytes add up to 0 */
#define VMI__ROM_LICENSE       22  /* 2: offset of a string */
#define VMI__ROM_PCI           24  /* 2: offset of the PCI data structure */
#define VMI__ROM_PNP           26  /* 2: offset of the PnP expansion header, or 0 */
#define VMI__ROM_COPY          32  /* 4: reserved; physical address of the copy, or 0 */
#define VMI__ROM_SELF          36  /* 4: reserved; physical address of the ROM */
#define VMI__ROM_BOOTSTRAP     40  /* 4: reserved; vector of interrupt 0x19 before */
#define VMI__ROM_HOME          44  /* 4: reserved; in the copy: linear address it is relocated to */
#define VMI__ROM_INIT          128 /* 8: code, vmi_init */
#define VMI__ROM_GET_RELOC     136 /* 8: code, get_reloc */
#define VMI__ROM_HEADER_SIZE   144

#define VMI__ROM_SIGNATURE_VALUE     0xaa55
#define VMI__ROM_VMI_SIGNATURE_VALUE 0x696d5663

/* What clients of the published API expect the PCI data structure to name. */
#define VMI__ROM_PCI_VENDOR 0x15ad
#define VMI__ROM_PCI_DEVICE 0x0801

#define VMI__ROM_PCI_SIZE     24
#define VMI__ROM_PCI_LENGTH   16 /* 2: of the image, in units of 512 bytes */
#define VMI__ROM_PNP_SIZE     32
#define VMI__ROM_PNP_CHECKSUM 9 /* 1: makes the header's bytes add up to 0 */

/* Kinds that get_reloc answers, and those of an entry of the table of calls. */
#define VMI__ROM_NONE 0 /* the bare instruction */
#define VMI__ROM_CALL 1
#define VMI__ROM_JUMP 2
#define VMI__ROM_NOP  3

/* ---- the extension, behind the published header; all words are 32 bits if not said ---- */

#define VMI__ROM_EXTENSION 144

#define VMI__ROM_X_MAGIC        144 /* "VMIX" */
#define VMI__ROM_X_VERSION      148 /* 16 bits */
#define VMI__ROM_X_SIZE         150 /* 16 bits: bytes from VMI__ROM_EXTENSION on */
#define VMI__ROM_X_TEXT_SIZE    152 /* bytes of the text part */
#define VMI__ROM_X_DATA_OFFSET  156 /* the data part, on a page */
#define VMI__ROM_X_DATA_SIZE    160 /* bytes of it in the file */
#define VMI__ROM_X_MEMORY_SIZE  164 /* bytes of it in memory */
#define VMI__ROM_X_RELOC_OFFSET 168 /* relocations: VMI__ROM_RELOC_…, by rising place */
#define VMI__ROM_X_RELOC_COUNT  172
#define VMI__ROM_X_CALLS_OFFSET 176 /* table of calls in the text part, by rising ordinal */
#define VMI__ROM_X_CALLS_COUNT  180
#define VMI__ROM_X_NAME_OFFSET  184 /* name of the backend, terminated, in the text part */
#define VMI__ROM_X_PRIORITY     188 /* the highest of several that could run is bound */
#define VMI__ROM_X_PROBE        192 /* offset of vmi__image_probe */
#define VMI__ROM_X_START        196 /* offset of vmi__image_start */
#define VMI__ROM_X_FORMS_OFFSET 200 /* table of forms in the text part, by rising ordinal */
#define VMI__ROM_X_FORMS_COUNT  204
#define VMI__ROM_X_MACHINE      208 /* 16 bits: whose code it is; 16 bits of 0 */
#define VMI__ROM_X_SIGN         212 /* what is looked for before the image is asked: VMI__ROM_SIGN_… */
#define VMI__ROM_X_SUM          236 /* makes the words from VMI__ROM_EXTENSION on add up to 0 */
#define VMI__ROM_X_END          240

#define VMI__ROM_X_MAGIC_VALUE   0x58494d56
#define VMI__ROM_X_VERSION_VALUE 5

/* Machines, by their numbers in ELF headers (System V ABI, e_machine). */
#define VMI__ROM_MACHINE_I386   3
#define VMI__ROM_MACHINE_X86_64 62

/*
 * The sign of what the image is for, in leaves of CPUID: word leaf, 16 bits how many leaves from
 * there on may have it, each VMI__ROM_SIGN_STEP behind the one before, 16 bits of registers (bit 0
 * to 3: eax, ebx, ecx, edx), words eax, ebx, ecx, edx. It is there if one of the leaves has all of
 * those registers so; without registers always, without leaves never. An image whose sign is not
 * there is not put into place to be asked, unless it is wanted by its name.
 */
#define VMI__ROM_SIGN_LEAF      0
#define VMI__ROM_SIGN_LEAVES    4
#define VMI__ROM_SIGN_REGISTERS 6
#define VMI__ROM_SIGN_VALUES    8
#define VMI__ROM_SIGN_STEP      0x100
#define VMI__ROM_SIGN_MOST      256 /* leaves */

/*
 * A relocation is a word: 8 times the offset of the place, plus twice the form of what the place
 * holds, plus 1 if it refers to the data part. Only code for x86-64 has other forms than the first.
 */
#define VMI__ROM_RELOC_SIZE  4
#define VMI__ROM_RELOC_SHIFT 3

#define VMI__ROM_RELOC_WORD     0 /* 32 bits of an address, whatever they are extended by */
#define VMI__ROM_RELOC_LONG     1 /* 64 bits of an address */
#define VMI__ROM_RELOC_DISTANCE 2 /* 32 bits: from the place's part to the other one */

/*
 * An entry of the table of calls: word target (offset of the entry point), 16 bits ordinal, 8 bits
 * kind, 8 bits length of the inline form, word its offset. Kind VMI__ROM_NONE has an inline form,
 * VMI__ROM_NOP one of length 0; the target serves every kind.
 */
#define VMI__ROM_CALL_TARGET        0
#define VMI__ROM_CALL_ORDINAL       4
#define VMI__ROM_CALL_KIND          6
#define VMI__ROM_CALL_INLINE_LENGTH 7
#define VMI__ROM_CALL_INLINE        8
#define VMI__ROM_CALL_SIZE          12

/*
 * An entry of the table of forms, for a call that is done otherwise on processors with a feature:
 * 16 bits ordinal, 8 bits kind, 8 bits length of the inline form, word its offset, then the
 * feature: words leaf and subleaf of CPUID, 8 bits register (0 to 3: eax, ebx, ecx, edx), 8 bits
 * bit of it, 8 bits its number (bit of VMI_FEATURE_…), 8 bits 0. Kind and inline form of the first
 * entry whose feature is there, and is not to be left out, take the place of those in the table of
 * calls. The target there serves every form once the library has
 * started.
 */
#define VMI__ROM_FORM_ORDINAL       0
#define VMI__ROM_FORM_KIND          2
#define VMI__ROM_FORM_INLINE_LENGTH 3
#define VMI__ROM_FORM_INLINE        4
#define VMI__ROM_FORM_LEAF          8
#define VMI__ROM_FORM_SUBLEAF       12
#define VMI__ROM_FORM_REGISTER      16
#define VMI__ROM_FORM_BIT           17
#define VMI__ROM_FORM_FEATURE       18
#define VMI__ROM_FORM_SIZE          20

#endif
