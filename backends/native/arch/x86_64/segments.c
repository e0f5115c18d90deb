/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The kernel's per-CPU area and the entry of system calls. Source: Intel SDM vol. 3A, 3.4.4 and
 * 5.8.8.
 */
#include "../../native.h"
#include <native/routines.h>

#include "arch/x86_64/selectors.h"

#define MSR_EFER    0xc0000080u
#define MSR_STAR    0xc0000081u
#define MSR_LSTAR   0xc0000082u
#define MSR_CSTAR   0xc0000083u
#define MSR_FMASK   0xc0000084u
#define MSR_GS_BASE 0xc0000101u

#define EFER_SCE 1u
#define FMASK    0x47700u /* AC, NT, IOPL, DF, IF, TF: none of the process's reaches the kernel */

/* syscall.S; where it goes on. One entry serves all CPUs. */
extern const char vmi__native_syscall[], vmi__native_syscall32[];
extern uintptr_t vmi__native_syscall_entry;

/* The area that the first CPU has until the kernel gives it one. */
static uint8_t boot_area[VMI_PERCPU_SIZE] __attribute__((aligned(16)));

void vmi__native_segments_init(void)
{
    *(uint64_t *)(void *)(boot_area + VMI_PERCPU_SELF) = (uintptr_t)boot_area;
    vmi__wrmsr(MSR_GS_BASE, (uintptr_t)boot_area);
}

VMI__ROUTINE void vmi__native_set_gs_base(uintptr_t base)
{
    const void *area;

    __asm__ volatile("mov %%gs:%c1, %0" : "=r"(area) : "i"(VMI_PERCPU_SELF));
    if ((uintptr_t)area != base)
        memcpy((void *)base, area, VMI_PERCPU_SIZE);
    *(uint64_t *)(base + VMI_PERCPU_SELF) = base;
    vmi__wrmsr(MSR_GS_BASE, base);
}

VMI__ROUTINE void vmi__native_set_syscall_entry(uintptr_t entry)
{
    uint64_t efer = vmi__rdmsr(MSR_EFER);

    if (!entry) {
        vmi__wrmsr(MSR_EFER, efer & ~(uint64_t)EFER_SCE);
        return;
    }
    vmi__native_syscall_entry = entry;
    vmi__wrmsr(MSR_STAR, (uint64_t)VMI__USER_BASE << 48 | (uint64_t)VMI__KERNEL_CS << 32);
    vmi__wrmsr(MSR_LSTAR, (uintptr_t)vmi__native_syscall);
    vmi__wrmsr(MSR_CSTAR, (uintptr_t)vmi__native_syscall32);
    vmi__wrmsr(MSR_FMASK, FMASK);
    vmi__wrmsr(MSR_EFER, efer | EFER_SCE);
}
