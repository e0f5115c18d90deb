/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The calls that a process model needs on x86-64, tried before they enter the specification: one
 * kernel (kernel.c, entry.S), the same objects, over native.c on hardware and over xen.c in ring 3.
 *
 * What differs below is hidden by four rules:
 * - A process has two roots: `root` maps kernel and process, `user` the process alone. Whoever
 *   writes a root entry of the process's half writes it into both. Hardware loads the first only.
 * - The first words of the area that the kernel's GS base names belong to the library (struct
 *   percpu).
 * - An exception's frame is the processor's, without rcx and r11. The kernel exchanges GS bases by
 *   vmi_swap_gs where it came from a process; vmi_iret and vmi_sysret exchange them back.
 * - The system-call entry begins on the kernel's stack, above a frame as of an exception without an
 *   error code; rcx and r11 are lost, all other registers are the process's.
 */
#ifndef CALLS_H
#define CALLS_H

#define LINEAR_BASE                                                                                \
    0xffff880000000000 /* direct map of all memory: root slot 272, the first that                  \
                          Xen leaves */
#define IMAGE_BASE 0xffffffff80000000

#define PERCPU_KERNEL_STACK 0 /* offsets in struct percpu */
#define PERCPU_SCRATCH      8

#ifndef __ASSEMBLER__

#include <stdbool.h>
#include <stdint.h>

/* Begins the area that the kernel's GS base names; for the library. */
struct percpu {
    uint64_t kernel_stack; /* where the system-call entry begins */
    uint64_t scratch;
};

struct boot {
    uint64_t root;                   /* guest-physical address of the boot tables' root */
    uint64_t first_frame, end_frame; /* unused memory, in the direct map */
    uint64_t user_cs, user_ss;       /* selectors of a process */
    uint64_t kernel_cs, kernel_ss;
    bool user_root; /* SetCR3 needs a root for the process */
};

enum table { TABLE_PT = 1, TABLE_PD = 2, TABLE_PDP = 4, TABLE_PML4 = 8 };

void vmi_console_write(const char *text, uint64_t length);
void vmi_shutdown(bool passed) __attribute__((noreturn));

/* A zeroed frame becomes a page table of the kind, and is plain memory again. */
void vmi_allocate_page(uint64_t frame, enum table kind);
void vmi_release_page(uint64_t frame, enum table kind);
/* Writes an entry, whose frame is guest-physical, at its address in the direct map. */
void vmi_set_pxe(uint64_t value, uint64_t *entry);

/* Guest-physical addresses of the roots; `user` may be 0 where boot.user_root is false. */
void vmi_set_cr3(uint64_t root, uint64_t user);

void vmi_set_gate(uint32_t vector, void (*entry)(void), uint32_t dpl);
void vmi_set_syscall_entry(void (*entry)(void));
void vmi_update_kernel_stack(uint64_t rsp);

/* The kernel's GS base; the library's words are copied to the new area. */
void vmi_set_gs_base(struct percpu *area);
/* That of the process, while the kernel runs. */
void vmi_set_user_gs_base(uint64_t base);
void vmi_set_fs_base(uint64_t base);

/* For assembly: by call, keeps all registers; by jump, with a frame at rsp. */
void vmi_swap_gs(void);
void vmi_iret(void);
void vmi_sysret(void);

/* The kernel's. */
void kernel_main(const struct boot *boot) __attribute__((noreturn));

#endif
#endif
