/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef VMI_RUNTIME_ARCH_I386_H
#define VMI_RUNTIME_ARCH_I386_H

#include <stdbool.h>
#include <stdint.h>

/* Convention of routines that stubs jump to, and of functions that assembly calls. */
#define VMI__ROUTINE    __attribute__((regparm(3)))
#define VMI__FROM_ENTRY __attribute__((regparm(0)))

/*
 * The boot tables: root (PAE, 4 entries), its top directory (512), which maps the linear region and
 * what the library has above it; the page tables of that: of the device window, side by side, and
 * of the library's registers (VMI__WINDOW_SLOTS); and VMI__IMAGE_TABLES for parts of the image.
 */
struct vmi__pc_tables {
    uint64_t *root, *pd, *window, *devices, *image;
};

/* Guest-physical address of something in the image or the linear region, of that linear address. */
static inline uintptr_t vmi__physical_of(uintptr_t linear, uintptr_t linear_base)
{
    return linear - linear_base;
}

struct vmi_boot_info;

/* What the kernel is told that only this architecture has. */
static inline void vmi__arch_boot(struct vmi_boot_info *boot)
{
    (void)boot;
}

/*
 * Stores a value if what is there is *seen, in one step between CPUs; else *seen becomes what is
 * there. CMPXCHG8B, since compilers call libgcc for 64 bits.
 */
static inline bool vmi__exchange_if(volatile uint64_t *at, uint64_t *seen, uint64_t value)
{
    bool done;

    __asm__ volatile("lock cmpxchg8b %1; sete %2"
                     : "+A"(*seen), "+m"(*at), "=qm"(done)
                     : "b"((uint32_t)value), "c"((uint32_t)(value >> 32))
                     : "cc", "memory");
    return done;
}

/*
 * Quotient of 64 bits by 32, by two divisions of the processor's own (Intel SDM vol. 2A, DIV);
 * divisor is not 0.
 */
static inline uint64_t vmi__div64(uint64_t dividend, uint32_t divisor)
{
    uint32_t high = (uint32_t)(dividend >> 32), low = (uint32_t)dividend;
    uint32_t quotient_high = high / divisor, remainder = high % divisor, quotient_low;

    __asm__("divl %4"
            : "=a"(quotient_low), "=d"(remainder)
            : "0"(low), "1"(remainder), "r"(divisor)
            : "cc");
    return (uint64_t)quotient_high << 32 | quotient_low;
}

#endif
