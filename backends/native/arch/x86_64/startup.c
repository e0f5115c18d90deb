/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The way up by STARTUP on x86-64: tables that have the bottom of memory at its own address, and
 * the variables in the trampoline's page.
 */
#include "../../startup.h"

#define CR4_PAE  0x20u
#define EFER_LME 0x100u
#define EFER_NXE 0x800u
#define MSR_EFER 0xc0000080u

#define ENTRIES 512u
#define TABLE   3u    /* present, writable */
#define LARGE   0x83u /* 2 MiB from 0 */

/* In the trampoline's page, filled below. */
extern const char vmi__native_trampoline_efer[], vmi__native_trampoline_far[],
    vmi__native_trampoline_long[], vmi__native_trampoline_gdt[], vmi__native_trampoline_gdtr[];

/* A second root: what the boot tables have above, and the bottom 2 MiB. */
static uint64_t root[ENTRIES] __attribute__((aligned(4096)));
static uint64_t pointers[ENTRIES] __attribute__((aligned(4096)));
static uint64_t directory[ENTRIES] __attribute__((aligned(4096)));

static void put(char *page, const char *variable, uint32_t value)
{
    *(uint32_t *)(void *)(page + (variable - vmi__native_trampoline)) = value;
}

void vmi__native_startup_place(uint32_t at)
{
    char *page = vmi__linear(at);

    memcpy(page, vmi__native_trampoline,
           (size_t)(vmi__native_trampoline_end - vmi__native_trampoline));
    put(page, vmi__native_trampoline_cr3, (uint32_t)vmi__physical(root));
    put(page, vmi__native_trampoline_cr4, CR4_PAE);
    put(page, vmi__native_trampoline_efer, EFER_LME | ((uint32_t)vmi__rdmsr(MSR_EFER) & EFER_NXE));
    put(page, vmi__native_trampoline_far,
        at + (uint32_t)(vmi__native_trampoline_long - vmi__native_trampoline));
    put(page, vmi__native_trampoline_gdtr,
        at + (uint32_t)(vmi__native_trampoline_gdt - vmi__native_trampoline));
}

void vmi__native_startup_tables(void)
{
    memcpy(root, vmi__pc_tables.root, sizeof(root));
    root[0] = vmi__physical(pointers) | TABLE;
    pointers[0] = vmi__physical(directory) | TABLE;
    directory[0] = LARGE;
}
