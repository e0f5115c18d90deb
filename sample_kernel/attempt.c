/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <vmi/vmi.h>

#include "attempt.h"
#include "current.h"

struct attempt {
    uintptr_t sp; /* where attempt_enter() left the registers */
    struct attempt *outer;
    struct fault *fault;
};

/* switch.S: calls function(argument), returns 0; or returns 1 by way of attempt_leave(). */
uint32_t attempt_enter(uintptr_t *sp, attempt_function *function, void *argument) FROM_ASSEMBLY
    __attribute__((returns_twice));
void attempt_leave(uintptr_t sp) FROM_ASSEMBLY __attribute__((noreturn));

bool attempt(attempt_function *function, void *argument, struct fault *fault)
{
    struct thread *thread = thread_current();
    struct attempt attempt = {.outer = thread->attempt, .fault = fault};

    thread->attempt = &attempt;
    uint32_t failed = attempt_enter(&attempt.sp, function, argument);
    thread->attempt = attempt.outer;
    return !failed;
}

void attempt_end(const struct trap_frame *frame, uintptr_t address)
{
    struct attempt *attempt = thread_current()->attempt;
    if (attempt == 0)
        return;
    if (attempt->fault != 0)
        *attempt->fault = (struct fault){.vector = (uint32_t)frame->vector,
                                         .error = (uint32_t)frame->error,
                                         .address = address,
                                         .ip = frame->ip,
                                         .cs = (uint32_t)frame->cs & 0xffff};
    /* No IRET undoes the masking by the gate. */
    vmi_set_interrupt_mask(frame->flags);
    attempt_leave(attempt->sp);
}

struct word {
    uintptr_t address, value;
};

static void FROM_ASSEMBLY read_word(void *argument)
{
    struct word *word = argument;
    word->value = *(volatile uint32_t *)(uintptr_t)word->address;
}

static void FROM_ASSEMBLY write_word(void *argument)
{
    struct word *word = argument;
    *(volatile uint32_t *)(uintptr_t)word->address = word->value;
}

bool attempt_read(uintptr_t address, uint32_t *value, struct fault *fault)
{
    struct word word = {.address = address};
    bool done = attempt(read_word, &word, fault);
    *value = word.value;
    return done;
}

bool attempt_write(uintptr_t address, uint32_t value, struct fault *fault)
{
    struct word word = {.address = address, .value = value};
    return attempt(write_word, &word, fault);
}
