/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef VMI_RUNTIME_ARCH_X86_64_H
#define VMI_RUNTIME_ARCH_X86_64_H

#include <stdbool.h>
#include <stdint.h>

#include <vmi/vmi.h>

#include "layout.h"
#include "selectors.h"

/* Convention of routines that stubs jump to, and of functions that assembly calls: the compiler's.
 */
#define VMI__ROUTINE
#define VMI__FROM_ENTRY

/*
 * The boot tables: root, the pointers below it for the image, and side by side the directories that
 * map the first VMI__LINEAR_BOOT bytes of memory.
 */
struct vmi__pc_tables {
    uint64_t *root, *image, *directories;
};

/*
 * Where the image is: a stretch of linear addresses and what it begins at in memory. As the SDK's
 * entry has it until a kernel with an entry of its own says otherwise.
 */
struct vmi__image_place {
    uintptr_t linear, size, physical;
};
extern struct vmi__image_place vmi__image_place; /* image_place.c */

/* Guest-physical address of something in the image or the linear region, of that linear address. */
static inline uintptr_t vmi__physical_of(uintptr_t linear, uintptr_t linear_base)
{
    uintptr_t offset = linear - vmi__image_place.linear;

    return offset < vmi__image_place.size ? vmi__image_place.physical + offset
                                          : linear - linear_base;
}

/* What the kernel is told that only this architecture has. */
static inline void vmi__arch_boot(struct vmi_boot_info *boot)
{
    boot->kernel_ss = VMI__KERNEL_SS;
    boot->user_cs = VMI__USER_CS;
    boot->user_ss = VMI__USER_SS;
}

/*
 * Stores a value if what is there is *seen, in one step between CPUs; else *seen becomes what is
 * there.
 */
static inline bool vmi__exchange_if(volatile uint64_t *at, uint64_t *seen, uint64_t value)
{
    return __atomic_compare_exchange_n(at, seen, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* Quotient of 64 bits by 32; divisor is not 0. */
static inline uint64_t vmi__div64(uint64_t dividend, uint32_t divisor)
{
    return dividend / divisor;
}

#endif
