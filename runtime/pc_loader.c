/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the loader of a PC left, by whichever protocol it speaks.
 */
#include "loader.h"
#include "pc.h"

#define CR0_PG 0x80000000u

const char *vmi__pc_read_loader(uint32_t protocol, uint32_t magic, uint32_t info)
{
    struct vmi__loader_view view = {
        .base = vmi__linear(0),
        .size = VMI__LINEAR_BOOT,
        .image_start = vmi__physical(vmi__kernel.image_start),
        .image_end = vmi__physical(vmi__kernel.image_end),
        .bits = vmi__physical_bits() & 63,
        .borrow = vmi__window_borrow,
    };
    uintptr_t cr0;

    __asm__("mov %%cr0, %0" : "=r"(cr0));
    if (!(cr0 & CR0_PG)) {
        /* The segments reach all memory (entry.S), and there is no window. */
        view.size = UINT32_MAX;
        view.borrow = 0;
    }
    return vmi__loader_read(&view, protocol, magic, info);
}
