/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The parts of a kernel, brought up one after the other. */
#include "start.h"

#include "descriptors.h"
#include "dispatch.h"
#include "entry.h"
#include "fpu.h"
#include "frames.h"
#include "paging.h"
#include "smp.h"
#include "supervisor.h"
#include "syscall.h"
#include "threads.h"
#include "timer.h"

void start(const struct vmi_boot_info *boot)
{
    frames_init(boot);
    paging_init(boot);
    descriptors_init(boot, trap_entries);
    dispatch_init();
    threads_init();
    supervisor_init(boot);
    fpu_init();
    fpu_init_cpu();
    syscall_init();
    syscall_init_cpu();
    smp_init(boot);
    timer_init();

    thread_create_idle(0);
    vmi_enable_interrupts();
    timer_init_cpu();
}
