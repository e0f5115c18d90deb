/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Sets of CPUs. This kernel runs on CPUS_MAX of them at most, so that a word is a set. */
#ifndef CPUS_H
#define CPUS_H

#include <stdint.h>
#include <vmi/vmi.h>

#define CPUS_MAX 32

/* The CPUs that this kernel knows of: 1 to CPUS_MAX. */
static inline uint32_t cpus_known(const struct vmi_boot_info *boot)
{
    return boot->cpu_count < CPUS_MAX ? boot->cpu_count : CPUS_MAX;
}

/* 0 or a VMI error. */
static inline int32_t cpus_interrupt(uint32_t cpus, uint32_t vector)
{
    return vmi_send_ipi(&cpus, CPUS_MAX, vector);
}

static inline int32_t cpus_flush_tlb(uint32_t cpus, uintptr_t address, uint32_t pages)
{
    return vmi_flush_remote_tlb(&cpus, CPUS_MAX, address, pages);
}

#endif
