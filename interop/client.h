/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Between the parts of the client.
 */
#ifndef INTEROP_CLIENT_H
#define INTEROP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"
#include "published.h"

/* ---- console.c ---- */

/* The first serial port. Formats %s, %u and %x (eight digits) are understood. */
void client_console_init(void);
void client_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* QEMU's isa-debug-exit, then a halt. */
void client_end(uint32_t status) __attribute__((noreturn));

#define STATUS_PASS  0x10
#define STATUS_FAIL  0x11
#define STATUS_PANIC 0x12

/* Says what cannot be and ends. */
void client_panic(const char *reason) __attribute__((noreturn));

/* ---- invoke.S ---- */

struct registers {
    uint32_t eax, ebx, ecx, edx, esi, edi, ebp, flags;
};

void client_invoke(struct registers *registers, void (*site)(void));

/* ---- user.S ---- */

uint32_t client_to_user(uint32_t entry, uint32_t stack, uint32_t by_sysexit);
void client_user_done(uint32_t result) __attribute__((noreturn));

extern const char client_sysenter[];
extern const char client_user_code[], client_user_code_sysenter[], client_user_code_end[];

/* ---- tables.S ---- */

extern const char client_stack_top[];

#if CLIENT_PAE
typedef uint64_t pxe;
#define PAGE_KIND_WIDTH PAGE_KIND_PAE
#define TABLE_SHIFT     9
#else
typedef uint32_t pxe;
#define PAGE_KIND_WIDTH 0
#define TABLE_SHIFT     10
#endif

#define PXE_ACCESSED 0x20u

/* Root, with PAE the directory of the top GiB, the APIC's table. */
extern pxe client_root[], client_directory[], client_apic_table[];

/* ---- rom.c ---- */

/* Looks at a ROM as a kernel of the time would; 0 or why it is refused. `room`: bytes behind it. */
const char *client_rom_refused(const struct rom_header *rom, uint32_t room);

/* The first ROM that is fit for use, or 0; says what it finds. */
const struct rom_header *client_rom_find(void);

/* ---- patch.c ---- */

struct site {
    uint8_t *address;
    const char *name;
    uint8_t length, ordinal, native, words;
};

extern const struct site client_sites[], client_sites_end[];

struct relocation {
    uint32_t target;
    uint8_t kind;
    bool kept; /* get_reloc has kept the registers that a C function keeps */
};

/* Asks the ROM. */
struct relocation client_relocation(const struct rom_header *rom, uint32_t ordinal);

/* vmi_init, then every site becomes what the ROM answers. False if the ROM does not start. */
bool client_activate(const struct rom_header *rom);

/* What the site of a call has become: RELOCATION_…. */
uint32_t client_kind(uint32_t ordinal);

/* The ROM in use, or 0. */
extern const struct rom_header *client_rom;

/* ---- sites.S ---- */

extern uint32_t client_words[2];

/* ---- calls.c ---- */

/* Makes calls; any register that must live on and does not is a panic. */
uint64_t client_call(uint32_t ordinal, uint32_t eax, uint32_t edx, uint32_t ecx);
uint64_t client_call_stack(uint32_t ordinal, uint32_t eax, uint32_t edx, uint32_t ecx,
                           uint32_t word0, uint32_t word1);

/* Does the call do anything here: by the ROM, or by the bare instructions? */
bool client_has(uint32_t ordinal);

/* ---- traps.S, traps.c ---- */

#define CLIENT_CPUS_MAX 8

extern const char client_traps[];

struct trap_frame {
    uint32_t es, ds;
    uint32_t edi, esi, ebp, esp, ebx, edx, ecx, eax;
    uint32_t vector, error;
    uint32_t eip, cs, eflags, user_esp, user_ss;
};

/* Interrupts by vector, those of each CPU's alarm, and the last one's frame. */
extern volatile uint32_t client_interrupts[256], client_alarms[CLIENT_CPUS_MAX];
extern volatile uint32_t client_last_cs, client_last_eflags;

/* Where to go on after the next exception of this vector, and whether it came. */
extern volatile uint32_t client_expected_vector, client_expected_resume, client_page_faults;

/* Handles page faults, if there is one; they are then no exceptions that somebody expects. */
extern void (*volatile client_fault)(void);

/* False if the way back is to be the bare instruction, whatever the site has become. */
bool client_trap(struct trap_frame *frame);

/* Registers of the local APIC: its identifier, in the top byte, and what ends an interrupt. */
#define APIC_ID  0x020
#define APIC_EOI 0x0b0

/* Number of this CPU, by its APIC: on the machines of the tests they are the same. */
uint32_t client_this_cpu(void);

/* ---- machine.c ---- */

struct descriptor {
    uint32_t low, high;
};

struct table_register {
    uint16_t limit;
    uint32_t base;
} __attribute__((packed));

extern struct descriptor client_gdt[], client_ldt[], client_idt[];
extern struct table_register client_gdtr, client_idtr;
extern uint32_t client_tss[];

/* A segment descriptor. `access`: bits 40 to 47 and 52 to 55, as they lie in the upper half. */
struct descriptor client_segment(uint32_t base, uint32_t limit, uint32_t access);

#define TSS_SIZE   104u
#define ACCESS_TSS 0x8900u

/* GDT, TSS, IDT by bare instructions, 8259s masked, local APIC mapped. */
void client_machine_init(void);

/* A free page of memory, zeroed; its frame is its address less LINEAR_BASE >> 12. */
void *client_page(void);

static inline uint32_t client_physical(const void *linear)
{
    return (uint32_t)(uintptr_t)linear - LINEAR_BASE;
}

static inline void *client_linear(uint32_t physical)
{
    return (void *)(uintptr_t)(physical + LINEAR_BASE);
}

static inline void client_outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t client_inb(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

/* ---- checks ---- */

#define SKIP "SKIP "

/* Each returns 0, or why it fails, or SKIP and why it does not apply. */
typedef const char *check(void);

struct named_check {
    const char *name;
    check *run;
};

#define REQUIRE(condition, reason)                                                                 \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return reason;                                                                         \
    } while (0)

#endif
