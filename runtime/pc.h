/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Between the parts of the PC entry.
 */
#ifndef VMI_RUNTIME_PC_H
#define VMI_RUNTIME_PC_H

#include "runtime.h"

/* Called by entry.S with paging on, on the boot stack. `magic` is eax at the entry, `info` is ebx.
 */
VMI__FROM_ENTRY void vmi__pc_start(uint32_t protocol, uint32_t magic, uint32_t info)
    __attribute__((noreturn));

/* Takes the loader's structures apart into vmi__boot; returns 0 or the reason to refuse. */
const char *vmi__pc_read_loader(uint32_t protocol, uint32_t magic, uint32_t info);

/*
 * Called by entry.S where paging is impossible, with segments that stand in for it: reads the
 * options and refuses.
 */
VMI__FROM_ENTRY void vmi__pc_refuse(uint32_t protocol, uint32_t magic, uint32_t info,
                                    const char *reason) __attribute__((noreturn));

/*
 * Where no library is there to do it: writes a text to the PC's UART, returns 0 if there is none
 * that takes it; and the end after it (entry.S).
 */
VMI__ROUTINE uint32_t vmi__pc_say(const char *text);
VMI__ROUTINE void vmi__pc_halt(uint32_t told) __attribute__((noreturn));

/*
 * Makes of entry.S's tables what the library works with, before anything that a loader left is
 * read: the identity mapping goes, the image gets its protections, the library's own mappings are
 * entered. Then, with the memory map read, the linear region becomes what vmi__boot.linear_pages
 * says, on x86-64 as far as it is memory. Return 0 or the reason to refuse.
 */
const char *vmi__tables_begin(void);
const char *vmi__tables_finish(void);

#ifdef __x86_64__
/* Attach. */
VMI__ROUTINE int32_t vmi__pc_attach(const struct vmi_attach_info *facts,
                                    const struct vmi_boot_info **boot);
#endif

/* Enters the library's own mappings in a root (x86-64). Returns 0 or the reason to refuse. */
const char *vmi__window_install(uint64_t *root);

#endif
