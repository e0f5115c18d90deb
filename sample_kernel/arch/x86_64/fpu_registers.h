/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef FPU_REGISTERS_H
#define FPU_REGISTERS_H

#include <stdint.h>

/*
 * What fxsave64 stores, x87 and SSE (Intel SDM vol. 1, 10.5.1), and behind it what xsave64 stores
 * besides: its header, and the upper halves of AVX's registers (13.4).
 */
struct fpu_registers {
    uint8_t bytes[512];
    uint8_t header[64]; /* bytes that are reserved are 0, from the thread's beginning on */
    uint8_t avx[256];
} __attribute__((aligned(64)));

#endif
