/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "switch.h"

#include <vmi/vmi.h>

#include "layout.h"
#include "supervisor.h"
#include "x86.h"

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

/* With CR4.FSGSBASE on processes set bases without the kernel: it looks what they are. */
void switch_keep_bases(struct bases *bases)
{
    if (!(supervisor_used & CR4_FSGSBASE))
        return;
    bases->fs = vmi_get_fs_base();
    bases->gs = vmi_get_user_gs_base();
}

/* A selector that the process before has loaded goes, as does the base that came with it. */
void switch_segments(const struct bases *bases)
{
    uint32_t selector;

    __asm__ volatile("mov %%fs, %0" : "=r"(selector));
    if (selector != 0)
        __asm__ volatile("mov %0, %%fs" : : "r"(0));
    vmi_set_fs_base(bases->fs);
    vmi_set_user_gs_base(bases->gs);
}

/* Only what a process can reach: an address that is not canonical would fault in the kernel. */
int32_t switch_fs_base(struct bases *bases, uintptr_t base)
{
    if (base >= USER_END)
        return VMI_EINVAL;
    bases->fs = base;
    vmi_set_fs_base(base);
    return VMI_OK;
}
