/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef FPU_REGISTERS_H
#define FPU_REGISTERS_H

#include <stdint.h>

/* What fnsave stores: Intel SDM vol. 1, 8.1.10. */
struct fpu_registers {
    uint8_t bytes[108];
};

#endif
