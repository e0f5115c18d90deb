/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <vmi/vmi.h>

#include "attempt.h"
#include "threads.h"
#include "traps.h"

struct attempt {
    uint32_t esp; /* where attempt_enter() left the registers */
    struct attempt *outer;
    struct fault *fault;
};

/* switch.S: calls function(argument), returns 0; or returns 1 by way of attempt_leave(). */
uint32_t attempt_enter(uint32_t *esp, attempt_function *function, void *argument)
    __attribute__((regparm(3), returns_twice));
void attempt_leave(uint32_t esp) __attribute__((regparm(3), noreturn));

bool attempt(attempt_function *function, void *argument, struct fault *fault)
{
    struct thread *thread = thread_current();
    struct attempt attempt = {.outer = thread->attempt, .fault = fault};

    thread->attempt = &attempt;
    uint32_t failed = attempt_enter(&attempt.esp, function, argument);
    thread->attempt = attempt.outer;
    return !failed;
}

void attempt_end(const struct trap_frame *frame, uint32_t address)
{
    struct attempt *attempt = thread_current()->attempt;
    if (attempt == 0)
        return;
    if (attempt->fault != 0)
        *attempt->fault = (struct fault){.vector = frame->vector,
                                         .error = frame->error,
                                         .address = address,
                                         .eip = frame->eip,
                                         .cs = frame->cs & 0xffff};
    /* No IRET undoes the masking by the gate. */
    vmi_set_interrupt_mask(frame->eflags);
    attempt_leave(attempt->esp);
}

struct word {
    uint32_t address, value;
};

static void __attribute__((regparm(3))) read_word(void *argument)
{
    struct word *word = argument;
    word->value = *(volatile uint32_t *)(uintptr_t)word->address;
}

static void __attribute__((regparm(3))) write_word(void *argument)
{
    struct word *word = argument;
    *(volatile uint32_t *)(uintptr_t)word->address = word->value;
}

bool attempt_read(uint32_t address, uint32_t *value, struct fault *fault)
{
    struct word word = {.address = address};
    bool done = attempt(read_word, &word, fault);
    *value = word.value;
    return done;
}

bool attempt_write(uint32_t address, uint32_t value, struct fault *fault)
{
    struct word word = {.address = address, .value = value};
    return attempt(write_word, &word, fault);
}
