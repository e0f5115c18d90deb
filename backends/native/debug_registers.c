/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * SetDR and GetDR: one instruction per register. Source: Intel SDM vol. 3B, 18.2.
 */
#include "native.h"
#include <native/routines.h>

VMI__ROUTINE void vmi__native_set_dr(uint32_t index, uintptr_t value)
{
    switch (index) {
    case 0:
        __asm__ volatile("mov %0, %%dr0" : : "r"(value) : "memory");
        break;
    case 1:
        __asm__ volatile("mov %0, %%dr1" : : "r"(value) : "memory");
        break;
    case 2:
        __asm__ volatile("mov %0, %%dr2" : : "r"(value) : "memory");
        break;
    case 3:
        __asm__ volatile("mov %0, %%dr3" : : "r"(value) : "memory");
        break;
    case 6:
        __asm__ volatile("mov %0, %%dr6" : : "r"(value) : "memory");
        break;
    case 7:
        __asm__ volatile("mov %0, %%dr7" : : "r"(value) : "memory");
        break;
    }
}

VMI__ROUTINE uintptr_t vmi__native_get_dr(uint32_t index)
{
    uintptr_t value = 0;

    switch (index) {
    case 0:
        __asm__ volatile("mov %%dr0, %0" : "=r"(value) : : "memory");
        break;
    case 1:
        __asm__ volatile("mov %%dr1, %0" : "=r"(value) : : "memory");
        break;
    case 2:
        __asm__ volatile("mov %%dr2, %0" : "=r"(value) : : "memory");
        break;
    case 3:
        __asm__ volatile("mov %%dr3, %0" : "=r"(value) : : "memory");
        break;
    case 6:
        __asm__ volatile("mov %%dr6, %0" : "=r"(value) : : "memory");
        break;
    case 7:
        __asm__ volatile("mov %%dr7, %0" : "=r"(value) : : "memory");
        break;
    }
    return value;
}
