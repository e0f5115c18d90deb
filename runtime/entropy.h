/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Sources of entropy: the processor's instructions, and devices where there are any.
 */
#ifndef VMI_RUNTIME_ENTROPY_H
#define VMI_RUNTIME_ENTROPY_H

#include <stdbool.h>
#include <stdint.h>

#include "endbr.h"

/*
 * Fills memory from a device, by its number or VMI_ENTROPY_ANY: what FillEntropy says of devices.
 * 0 until a kernel has looked for devices, so that one that does not has no drivers.
 */
extern int32_t (*vmi__entropy_of_devices)(uint32_t source, uint8_t *to, uint32_t size);

/*
 * A word of the processor's generator; false if it has none at this time (CF clear, and the word is
 * 0). Source: Intel SDM vol. 2B, RDRAND and RDSEED.
 */
static inline VMI__ADDRESS_TAKEN bool vmi__rdseed(uintptr_t *word)
{
    bool valid;

    __asm__ volatile("rdseed %0; setc %1" : "=r"(*word), "=qm"(valid) : : "cc");
    return valid;
}

static inline VMI__ADDRESS_TAKEN bool vmi__rdrand(uintptr_t *word)
{
    bool valid;

    __asm__ volatile("rdrand %0; setc %1" : "=r"(*word), "=qm"(valid) : : "cc");
    return valid;
}

/* Between two tries: the generator is shared with the other thread of the core. */
static inline void vmi__entropy_pause(void)
{
    __asm__ volatile("pause");
}

#endif
