/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "switch.h"

/* switch.S: moves r12 to r14 to where a function has its arguments and its address. */
void thread_first(void);

uintptr_t thread_first_stack(uintptr_t top, void (*begin)(thread_function *, void *),
                             thread_function *function, void *argument)
{
    uint64_t *stack = (uint64_t *)top;

    *--stack = 0; /* begin() does not return; it is entered as by a call */
    *--stack = (uintptr_t)thread_first;
    *--stack = 0;                   /* rbp */
    *--stack = 0;                   /* rbx */
    *--stack = (uintptr_t)function; /* r12 */
    *--stack = (uintptr_t)argument; /* r13 */
    *--stack = (uintptr_t)begin;    /* r14 */
    *--stack = 0;                   /* r15 */
    return (uintptr_t)stack;
}
