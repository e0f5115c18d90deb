/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef FPU_REGISTERS_H
#define FPU_REGISTERS_H

#include <stdint.h>

/* What fxsave64 stores, x87 and SSE: Intel SDM vol. 1, 10.5.1. */
struct fpu_registers {
    uint8_t bytes[512];
} __attribute__((aligned(16)));

#endif
