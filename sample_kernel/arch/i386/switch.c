/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "switch.h"

#include <vmi/vmi.h>

uintptr_t thread_first_stack(uintptr_t top, void (*begin)(thread_function *, void *),
                             thread_function *function, void *argument)
{
    uint32_t *stack = (uint32_t *)top;

    /* From the top down: arguments (cdecl), a return address, and what switch_context() pops. */
    *--stack = (uintptr_t)argument;
    *--stack = (uintptr_t)function;
    *--stack = 0; /* begin() does not return */
    *--stack = (uintptr_t)begin;
    for (int i = 0; i < 4; i++)
        *--stack = 0; /* ebp, ebx, esi, edi */
    return (uintptr_t)stack;
}

/* The way to ring 3 empties FS and GS; DS and ES are reset on the way in. */
void switch_segments(const struct bases *bases)
{
    (void)bases;
}

void switch_keep_bases(struct bases *bases)
{
    (void)bases;
}

int32_t switch_fs_base(struct bases *bases, uintptr_t base)
{
    (void)bases;
    (void)base;
    return VMI_ENOSYS;
}
