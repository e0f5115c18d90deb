/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* From the library to a kernel's first thread. */
#include "start.h"

#include "checks.h"
#include "descriptors.h"
#include "fpu.h"
#include "frames.h"
#include "paging.h"
#include "smp.h"
#include "supervisor.h"
#include "syscall.h"
#include "threads.h"
#include "timer.h"
#include "traps.h"

/* Has a thread's stack, so that traps find a thread from here on. */
static void bring_up(void)
{
    frames_init(checks_boot_info);
    paging_init(checks_boot_info);
    descriptors_init(checks_boot_info);
    traps_init();
    fpu_init();
    fpu_init_cpu();
    supervisor_init_cpu();
    syscall_init();
    smp_init(checks_boot_info);
    timer_init();

    thread_create_idle(0);
    vmi_enable_interrupts();
    timer_init_cpu();
    kernel_start();
}

void kernel_main(const struct vmi_boot_info *boot)
{
    checks_boot_info = boot;
    threads_start(bring_up);
}
