/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Floating-point state per thread. A thread starts its turn with CR0.TS set; its first
 * floating-point instruction traps (#NM), which gives it its registers. Only who used them in its
 * turn has them saved at the end of it. What is kept is x87's and SSE's registers, on x86-64 AVX's
 * as well where the processor has XSAVE and AVX.
 */
#ifndef FPU_H
#define FPU_H

#include <stdbool.h>
#include <stdint.h>

#include "fpu_registers.h"
#include "frame.h"

struct fpu_state {
    bool used; /* registers hold something */
    bool live; /* they are in the processor: this thread runs and has TS clear */
    struct fpu_registers registers;
};

/* Once, after supervisor_init(): which registers threads have. */
void fpu_init(void);

/* On each CPU, before its first thread: floating-point instructions trap from here on. */
void fpu_init_cpu(void);

/*
 * The running thread's first floating-point instruction in its turn: gives it its registers. With
 * interrupts masked, so the turn cannot end between CLTS and `live`.
 */
void fpu_take(struct fpu_state *state);
/* The running thread's turn ends, with interrupts masked. */
void fpu_leave(struct fpu_state *state);

/*
 * Bits of XCR0 whose registers threads have, by XSAVE and XRSTOR; 0 if FXSAVE's are all. On i386 it
 * stays 0, and FNSAVE's are.
 */
extern uint32_t fpu_components;

/* arch/ARCH/fpu.S: plain floating-point instructions, which trap while TS is set. */
void fpu_reset(void) FROM_ASSEMBLY;
void fpu_save(struct fpu_registers *to) FROM_ASSEMBLY;
void fpu_restore(const struct fpu_registers *from) FROM_ASSEMBLY;
/* Pushes an integer onto the register stack; reads it without popping it; pops it. */
void fpu_push(int32_t value) FROM_ASSEMBLY;
int32_t fpu_top(void) FROM_ASSEMBLY;
void fpu_pop(void) FROM_ASSEMBLY;

#endif
