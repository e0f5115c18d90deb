/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Reading the descriptor tables that are in force.
 */
#ifndef VMI_RUNTIME_CHECKED_DESCRIPTORS_H
#define VMI_RUNTIME_CHECKED_DESCRIPTORS_H

#include "runtime.h"

/* Of a descriptor (Intel SDM vol. 3A, 3.4.5). */
#define VMI__DESCRIPTOR_ACCESSED (1ull << 40)
#define VMI__DESCRIPTOR_MEMORY   (1ull << 44) /* code or data */
#define VMI__DESCRIPTOR_PRESENT  (1ull << 47)

static inline struct vmi_dtr vmi__checked_gdt(void)
{
    struct {
        uint16_t limit;
        uintptr_t base;
    } __attribute__((packed)) dtr;

    __asm__ volatile("sgdt %0" : "=m"(dtr));
    return (struct vmi_dtr){.limit = dtr.limit, .base = dtr.base};
}

static inline uint64_t vmi__descriptor(const struct vmi_dtr *gdt, uint32_t selector)
{
    if ((selector | 7u) > gdt->limit || !(selector & ~7u))
        return 0;
    return ((const volatile uint64_t *)gdt->base)[selector >> 3];
}

/* The LDT of a selector; base 0: none. */
static inline struct vmi_dtr vmi__checked_ldt(uint32_t selector)
{
    struct vmi_dtr gdt = vmi__checked_gdt(), none = {.base = 0};
    uint64_t value = vmi__descriptor(&gdt, selector);

    if (!(value & VMI__DESCRIPTOR_PRESENT))
        return none;
    return (struct vmi_dtr){
        .limit = (uint16_t)value,
        .base = (uintptr_t)((value >> 16 & 0xffffff) | (value >> 32 & 0xff000000)),
    };
}

#endif
