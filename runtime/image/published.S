/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What firmware and clients of the published API call in an image that serves them (published.h).
 *
 * The image is not position-independent, and the ROM is read-only when a client calls. So the whole
 * of it, with room for what is zero, goes to memory taken from the top of base memory, as option ROMs
 * do: the word at 0x413 says how many KiB are left, and nobody touches what lies above. Firmware
 * calls the ROM while that can be written, and the ROM notes where the copy will be. The copying
 * waits for the bootstrap (interrupt 0x19), for firmware clears memory before that (SeaBIOS does, up
 * to 0x90000). vmi_init relocates the copy to where the client has low memory mapped, and from then
 * on all happens there. The code for clients in the ROM itself runs at any address and has no memory
 * of its own.
 *
 * Sources: PCI Firmware Specification 3.0, 5.2; Plug and Play BIOS Specification 1.0A, 3; Intel
 * 8086 real mode.
 */
#include "image/rom.h"

#define BASE_MEMORY     0x413   /* word: KiB */
#define BASE_MEMORY_MIN 0x40000 /* what is left to others, at least */
#define CHUNK           4096
#define BOOTSTRAP       (4 * 0x19) /* vector: offset, segment */

    .section .rom.entry, "ax", @progbits

    .code16
    .globl vmi__rom_entry16
/*
 * A far call, cs:0 is the start of the ROM. Keeps all registers but ax, which tells Plug and Play
 * firmware that there is no device.
 */
vmi__rom_entry16:
    pushal
    push %ds
    push %es
    cld
    mov %cs, %ax
    mov %ax, %es
    cmpl $0, %es:VMI__ROM_COPY /* called again */
    jne 2f

    /*
     * ebx: end of base memory, then where the copy begins, on a page; ebp: its size, whole pages;
     * edx: its beginning in KiB.
     */
    xor %ax, %ax
    mov %ax, %ds
    movzwl BASE_MEMORY, %ebx
    shl $10, %ebx
    mov $vmi__rom_copy_end, %ebp
    add $(CHUNK - 1), %ebp
    and $~(CHUNK - 1), %ebp
    sub %ebp, %ebx
    jb 2f
    and $~(CHUNK - 1), %ebx
    cmp $BASE_MEMORY_MIN, %ebx
    jb 2f
    mov %ebx, %edx
    shr $10, %edx

    /* The ROM notes where both are and who boots, if it can be written. eax: any of these. */
    mov %ebx, %es:VMI__ROM_COPY
    cmp %ebx, %es:VMI__ROM_COPY
    jne 2f
    xor %eax, %eax
    mov %cs, %ax
    shl $4, %eax
    mov %eax, %es:VMI__ROM_SELF
    mov BOOTSTRAP, %eax
    mov %eax, %es:VMI__ROM_BOOTSTRAP
    mov %dx, BASE_MEMORY
    movw $bootstrap, BOOTSTRAP
    mov %cs, BOOTSTRAP + 2

    /* The bytes just written are taken off the checksum; si: which; al: their sum; cx: how many. */
    mov $VMI__ROM_COPY, %si
    mov $(VMI__ROM_BOOTSTRAP + 4 - VMI__ROM_COPY), %cx
    xor %al, %al
1:  add %es:(%si), %al
    inc %si
    loop 1b
    sub %al, %es:VMI__ROM_CHECKSUM

2:  pop %es
    pop %ds
    popal
    xor %ax, %ax
    lret

/* Interrupt 0x19: copies, and goes on with who booted before. */
bootstrap:
    pushal
    push %ds
    push %es
    cld
    mov %cs, %ax
    mov %ax, %ds

    /* Zeroes first. es: segment of a chunk; ebp: bytes to go. */
    mov VMI__ROM_COPY, %ebx
    shr $4, %ebx
    mov %bx, %es
    mov $vmi__rom_copy_end, %ebp
3:  xor %di, %di
    mov $(CHUNK / 4), %cx
    xor %eax, %eax
    rep stosl
    mov %es, %ax
    add $(CHUNK >> 4), %ax
    mov %ax, %es
    sub $CHUNK, %ebp
    ja 3b

    /* Then what the ROM has up to its relocations; whole words. ds, es: segments of a chunk. */
    mov VMI__ROM_X_RELOC_OFFSET, %ebp
    mov %bx, %es
4:  mov $CHUNK, %ecx
    cmp %ecx, %ebp
    jae 5f
    mov %ebp, %ecx
5:  sub %ecx, %ebp
    shr $2, %cx
    xor %si, %si
    xor %di, %di
    rep movsl
    mov %ds, %ax
    add $(CHUNK >> 4), %ax
    mov %ax, %ds
    mov %es, %ax
    add $(CHUNK >> 4), %ax
    mov %ax, %es
    test %ebp, %ebp
    jnz 4b

    pop %es
    pop %ds
    popal
    ljmp *%cs:VMI__ROM_BOOTSTRAP

    .code32
    .globl vmi__rom_init
/*
 * vmi_init: no arguments, 0 in eax for success. ebx: linear address of the ROM; esi: linear base;
 * edi: linear address of the copy; ebp: how far it has to be moved yet.
 */
vmi__rom_init:
    push %ebx
    push %esi
    push %edi
    push %ebp
    mov $1, %eax
    call 1f
1:  pop %ebx
    sub $1b, %ebx
    mov VMI__ROM_COPY(%ebx), %edi
    test %edi, %edi
    jz 4f
    mov %ebx, %esi
    sub VMI__ROM_SELF(%ebx), %esi
    add %esi, %edi
    mov %edi, %ebp
    sub VMI__ROM_HOME(%edi), %ebp
    jz 3f

    /* edx: next relocation; ecx: relocations left; eax: place of one in the copy. */
    mov VMI__ROM_X_RELOC_OFFSET(%ebx), %edx
    add %ebx, %edx
    mov VMI__ROM_X_RELOC_COUNT(%ebx), %ecx
2:  mov (%edx), %eax
    shr $VMI__ROM_RELOC_SHIFT, %eax
    add %ebp, (%edi, %eax)
    add $VMI__ROM_RELOC_SIZE, %edx
    dec %ecx
    jnz 2b
    mov %edi, VMI__ROM_HOME(%edi)

3:  lea vmi__published_init(%edi), %ecx
    mov %esi, %eax
    call *%ecx
4:  pop %ebp
    pop %edi
    pop %esi
    pop %ebx
    ret

    .globl vmi__rom_get_reloc
/*
 * get_reloc: ordinal in eax; target in eax, kind in edx. ebx: linear address of the ROM; ecx: of the
 * copy, which must have been relocated to there.
 */
vmi__rom_get_reloc:
    push %ebx
    call 1f
1:  pop %ebx
    sub $1b, %ebx
    mov VMI__ROM_COPY(%ebx), %ecx
    test %ecx, %ecx
    jz 2f
    mov %ebx, %edx
    sub VMI__ROM_SELF(%ebx), %edx
    add %edx, %ecx
    cmp %ecx, VMI__ROM_HOME(%ecx)
    jne 2f
    add $vmi__published_relocation, %ecx
    pop %ebx
    jmp *%ecx
2:  xor %eax, %eax
    xor %edx, %edx
    pop %ebx
    ret

/* ---- who made it ---- */

    .section .rom.entry
    .balign 4
    .globl vmi__rom_pci
/* PCI data structure; the device is the one that clients expect. */
vmi__rom_pci:
    .ascii "PCIR"
    .short VMI__ROM_PCI_VENDOR, VMI__ROM_PCI_DEVICE
    .short 0 /* vital product data */
    .short VMI__ROM_PCI_SIZE
    .byte 0          /* revision of the structure */
    .byte 0, 0, 0xff /* class: none of those that are defined */
    .short 0         /* length of the image, filled in by codegen/vmirom */
    .short 1         /* revision of the ROM */
    .byte 0          /* for x86 */
    .byte 0x80       /* the last image of the ROM */
    .short 0

    .balign 16
    .globl vmi__rom_pnp
/* Expansion header; nothing in it is to be started from. */
vmi__rom_pnp:
    .ascii "$PnP"
    .byte 1, VMI__ROM_PNP_SIZE / 16
    .short 0    /* no further one */
    .byte 0, 0  /* checksum, filled in by codegen/vmirom */
    .long 0     /* device */
    .short manufacturer
    .short vmi__rom_product
    .byte 0, 0, 0xff /* class */
    .byte 0          /* device indicators */
    .short 0, 0, 0   /* no vectors */
    .short 0, 0

manufacturer:
    .asciz "VMI SDK"

    .section .note.GNU-stack, "", @progbits
