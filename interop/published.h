/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * VMI API 3.0 as it was published, as far as a client needs it: ordinals, constants, structures and
 * the layout of the ROM. Written down a second time on purpose. Nothing of this kernel comes from
 * spec/ or runtime/, so that it can bear witness to what they make.
 *
 * Facts: the headers and code of Linux 2.6.21 to 2.6.36 built with CONFIG_VMI.
 */
#ifndef INTEROP_PUBLISHED_H
#define INTEROP_PUBLISHED_H

/* ---- ordinals ---- */

#define CALL_CPUID                0
#define CALL_WRMSR                1
#define CALL_RDMSR                2
#define CALL_SET_GDT              3
#define CALL_SET_LDT              4
#define CALL_SET_IDT              5
#define CALL_SET_TR               6
#define CALL_GET_GDT              7
#define CALL_GET_LDT              8
#define CALL_GET_IDT              9
#define CALL_GET_TR               10
#define CALL_WRITE_GDT_ENTRY      11
#define CALL_WRITE_LDT_ENTRY      12
#define CALL_WRITE_IDT_ENTRY      13
#define CALL_UPDATE_KERNEL_STACK  14
#define CALL_SET_CR0              15
#define CALL_SET_CR2              16
#define CALL_SET_CR3              17
#define CALL_SET_CR4              18
#define CALL_GET_CR0              19
#define CALL_GET_CR2              20
#define CALL_GET_CR3              21
#define CALL_GET_CR4              22
#define CALL_WBINVD               23
#define CALL_SET_DR               24
#define CALL_GET_DR               25
#define CALL_RDPMC                26
#define CALL_RDTSC                27
#define CALL_CLTS                 28
#define CALL_ENABLE_INTERRUPTS    29
#define CALL_DISABLE_INTERRUPTS   30
#define CALL_GET_INTERRUPT_MASK   31
#define CALL_SET_INTERRUPT_MASK   32
#define CALL_IRET                 33
#define CALL_SYSEXIT              34
#define CALL_HALT                 35
#define CALL_REBOOT               36
#define CALL_SHUTDOWN             37
#define CALL_SET_PXE              38
#define CALL_SET_PXE_LONG         39
#define CALL_UPDATE_PXE           40
#define CALL_UPDATE_PXE_LONG      41
#define CALL_MACHINE_TO_PHYSICAL  42
#define CALL_PHYSICAL_TO_MACHINE  43
#define CALL_ALLOCATE_PAGE        44
#define CALL_RELEASE_PAGE         45
#define CALL_INVAL_PAGE           46
#define CALL_FLUSH_TLB            47
#define CALL_SET_LINEAR_MAPPING   48
#define CALL_SET_IOPL_MASK        61
#define CALL_SET_INITIAL_AP_STATE 62
#define CALL_APIC_WRITE           63
#define CALL_APIC_READ            64
#define CALL_IO_DELAY             65
#define CALL_GET_CYCLE_FREQUENCY  66
#define CALL_GET_CYCLE_COUNTER    67
#define CALL_SET_ALARM            68
#define CALL_CANCEL_ALARM         69
#define CALL_GET_WALLCLOCK_TIME   70
#define CALL_WALLCLOCK_UPDATED    71
#define CALL_SET_LAZY_MODE        73

#define CALL_GAP       72  /* the published headers have no name for it */
#define CALL_UNDEFINED 255 /* nor for anything up there */

/* ---- constants ---- */

#define PAGE_KIND_PT   0x01
#define PAGE_KIND_PD   0x02
#define PAGE_KIND_PDP  0x04
#define PAGE_KIND_PAE  0x10
#define PAGE_CLONE     0x20
#define PAGE_ZEROED    0x40
#define PXE_CURRENT_AS 0x10
#define PXE_DEFER      0x20
#define FLUSH_TLB      0x01
#define FLUSH_GLOBAL   0x02
#define CYCLES_REAL    0
#define CYCLES_AVAIL   1
#define CYCLES_STOLEN  2
#define ALARM_IRQ0     0
#define ALARM_LVTT     0x10000
#define ALARM_ONE_SHOT 0
#define ALARM_PERIODIC 0x100
#define LAZY_NONE      0
#define LAZY_MMU       1
#define LAZY_CPU       2

/* ---- kinds of relocation ---- */

#define RELOCATION_NONE 0 /* the native code stays */
#define RELOCATION_CALL 1
#define RELOCATION_JUMP 2
#define RELOCATION_NOP  3

/* ---- the ROM ---- */

#define ROM_AREA_START 0xc0000
#define ROM_AREA_END   0xe0000
#define ROM_STEP       2048
#define ROM_UNIT       512

#define ROM_SIGNATURE     0xaa55
#define ROM_VMI_SIGNATURE 0x696d5663 /* "cVmi" */
#define ROM_API_MAJOR     3
#define ROM_PCI_VENDOR    0x15ad
#define ROM_PCI_DEVICE    0x0801

#ifndef __ASSEMBLER__
#include <stdint.h>

struct rom_header {
    uint16_t signature;
    uint8_t units; /* length */
    uint8_t entry16[4];
    uint8_t pad;
    uint32_t vmi_signature;
    uint8_t api_minor, api_major;
    uint8_t jump_slots;
    uint8_t reserved1;
    uint32_t virtual_top;
    uint16_t reserved2;
    uint16_t license, pci, pnp; /* offsets */
    uint32_t reserved3;
    uint8_t reserved4[96];
    uint8_t vmi_init[8];
    uint8_t get_reloc[8];
} __attribute__((packed));

_Static_assert(sizeof(struct rom_header) == 144, "published layout");

struct rom_pci_header {
    char signature[4]; /* "PCIR" */
    uint16_t vendor, device;
} __attribute__((packed));

struct rom_pnp_header {
    char signature[4]; /* "$PnP" */
    uint8_t revision, length;
    uint16_t next, reserved;
    uint32_t device;
    uint16_t manufacturer, product; /* offsets of strings */
} __attribute__((packed));

struct ap_state {
    uint32_t cr0, cr2, cr3, cr4;
    uint64_t efer;
    uint32_t eip, eflags, eax, ebx, ecx, edx, esp, ebp, esi, edi;
    uint16_t cs, ss, ds, es, fs, gs, ldtr;
    uint16_t gdtr_limit;
    uint32_t gdtr_base, idtr_base;
    uint16_t idtr_limit;
};
#endif

#endif
