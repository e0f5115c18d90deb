/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <stdint.h>
#include <vmi/vmi.h>

#include "entry.h"
#include "layout.h"
#include "print.h"
#include "process.h"
#include "switch.h"
#include "syscall.h"
#include "threads.h"
#include "traps.h"
#include "usermem.h"

typedef int32_t system_call(const struct trap_frame *frame);

static int32_t call_exit(const struct trap_frame *frame)
{
    process_exit((int32_t)frame_first(frame));
}

static int32_t call_write(const struct trap_frame *frame)
{
    char text[SYSCALL_WRITE_MAX + 1];
    uint32_t length = (uint32_t)frame_second(frame);

    if (length > SYSCALL_WRITE_MAX || !usermem_read(text, frame_first(frame), length))
        return VMI_EINVAL;
    text[length] = '\0';
    print("# process %u: %s\n", thread_current()->process->id, text);
    return (int32_t)length;
}

static int32_t call_getpid(const struct trap_frame *frame)
{
    (void)frame;
    return (int32_t)thread_current()->process->id;
}

static int32_t call_yield(const struct trap_frame *frame)
{
    (void)frame;
    thread_yield();
    return VMI_OK;
}

static int32_t call_wait(const struct trap_frame *frame)
{
    return process_wait((uint32_t)frame_first(frame));
}

static int32_t call_ticks(const struct trap_frame *frame)
{
    (void)frame;
    return (int32_t)(vmi_rdtsc() & SYSCALL_TICKS_MASK);
}

static int32_t call_fs_base(const struct trap_frame *frame)
{
    /* After a switch to another thread in between, the processor would have the old one again. */
    vmi_disable_interrupts();
    int32_t result = switch_fs_base(&thread_current()->bases, frame_first(frame));
    vmi_enable_interrupts();
    return result;
}

static system_call *const calls[SYSCALL_COUNT] = {
    [SYSCALL_EXIT] = call_exit,   [SYSCALL_WRITE] = call_write,     [SYSCALL_GETPID] = call_getpid,
    [SYSCALL_YIELD] = call_yield, [SYSCALL_FORK] = process_fork,    [SYSCALL_WAIT] = call_wait,
    [SYSCALL_TICKS] = call_ticks, [SYSCALL_FS_BASE] = call_fs_base,
};

static void dispatch(struct trap_frame *frame)
{
    uintptr_t number = frame_number(frame);

    vmi_enable_interrupts();
    thread_current()->process->system_calls++;
    frame_return(frame, number < SYSCALL_COUNT ? calls[number](frame) : VMI_ENOSYS);
    vmi_disable_interrupts();
}

void syscall_init(void)
{
    trap_handler_set(VECTOR_SYSCALL, dispatch);
}

void syscall_init_cpu(void)
{
#ifdef __x86_64__
    vmi_set_syscall_entry((uintptr_t)syscall_entry);
#endif
}
