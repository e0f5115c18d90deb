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

#define ENTRIES    512u
#define UPPER_HALF (ENTRIES / 2) /* of a root: the kernel's and the library's, from here on */
#define TABLE      3u            /* present, writable */
#define LARGE      0x83u         /* 2 MiB from 0 */

#define CR3_FRAME 0x000ffffffffff000ull

/* In the trampoline's page, filled below. */
extern const char vmi__native_trampoline_efer[], vmi__native_trampoline_far[],
    vmi__native_trampoline_long[], vmi__native_trampoline_gdt[], vmi__native_trampoline_gdtr[],
    vmi__native_trampoline_entry[];

/* trampoline.S */
extern const char vmi__native_ap_long[];

/*
 * A root with what the tables in use have above, and the bottom 2 MiB. Below 4 GiB, for the
 * trampoline loads 32 bits of CR3; an image may lie higher.
 */
struct way_up {
    uint64_t root[ENTRIES], pointers[ENTRIES], directory[ENTRIES];
};
static struct way_up *way_up;

static void put(char *page, const char *variable, uint32_t value)
{
    *(uint32_t *)(void *)(page + (variable - vmi__native_trampoline)) = value;
}

bool vmi__native_startup_place(uint32_t at)
{
    uint32_t tables = vmi__memory_claim(sizeof(*way_up), UINT32_MAX);
    char *page = vmi__linear(at);

    if (!tables)
        return false;
    way_up = vmi__linear(tables);
    memset(way_up, 0, sizeof(*way_up));
    way_up->pointers[0] = vmi__physical(way_up->directory) | TABLE;
    way_up->directory[0] = LARGE;
    memcpy(page, vmi__native_trampoline,
           (size_t)(vmi__native_trampoline_end - vmi__native_trampoline));
    put(page, vmi__native_trampoline_cr3, tables);
    put(page, vmi__native_trampoline_cr4, CR4_PAE);
    put(page, vmi__native_trampoline_efer, EFER_LME | ((uint32_t)vmi__rdmsr(MSR_EFER) & EFER_NXE));
    put(page, vmi__native_trampoline_far,
        at + (uint32_t)(vmi__native_trampoline_long - vmi__native_trampoline));
    put(page, vmi__native_trampoline_gdtr,
        at + (uint32_t)(vmi__native_trampoline_gdt - vmi__native_trampoline));
    *(uint64_t *)(void *)(page + (vmi__native_trampoline_entry - vmi__native_trampoline)) =
        (uintptr_t)vmi__native_ap_long;
    return true;
}

void vmi__native_startup_tables(void)
{
    uintptr_t cr3;

    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    memcpy(&way_up->root[UPPER_HALF], (const uint64_t *)vmi__linear(cr3 & CR3_FRAME) + UPPER_HALF,
           sizeof(way_up->root) - UPPER_HALF * sizeof(way_up->root[0]));
    way_up->root[0] = vmi__physical(way_up->pointers) | TABLE;
}

uintptr_t vmi__native_startup_root(void)
{
    return vmi__physical(way_up->root);
}
