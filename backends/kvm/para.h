/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * KVM's side of the interface: CPUID leaves, feature bits, model-specific registers and the
 * structures that KVM writes into the guest's memory. Facts: Linux
 * Documentation/virt/kvm/x86/cpuid.rst, msr.rst and hypercalls.rst, and the public headers
 * linux/kvm_para.h and asm/kvm_para.h, with which tests/test_kvm_abi.py compares this
 * file.
 */
#ifndef VMI_KVM_PARA_H
#define VMI_KVM_PARA_H

#include <stdint.h>

/* ---- CPUID ----------------------------------------------------------------------------------- */

/* ebx, ecx, edx of the first leaf; the string's end is the twelfth byte. */
#define KVM__SIGNATURE "KVMKVMKVM\0\0"

/* Bits of eax of the second leaf. */
#define KVM__FEATURE_CLOCKSOURCE        0
#define KVM__FEATURE_NOP_IO_DELAY       1
#define KVM__FEATURE_MMU_OP             2
#define KVM__FEATURE_CLOCKSOURCE2       3
#define KVM__FEATURE_ASYNC_PF           4
#define KVM__FEATURE_STEAL_TIME         5
#define KVM__FEATURE_PV_EOI             6
#define KVM__FEATURE_PV_UNHALT          7
#define KVM__FEATURE_PV_TLB_FLUSH       9
#define KVM__FEATURE_ASYNC_PF_VMEXIT    10
#define KVM__FEATURE_PV_SEND_IPI        11
#define KVM__FEATURE_POLL_CONTROL       12
#define KVM__FEATURE_PV_SCHED_YIELD     13
#define KVM__FEATURE_ASYNC_PF_INT       14
#define KVM__FEATURE_MSI_EXT_DEST_ID    15
#define KVM__FEATURE_HC_MAP_GPA_RANGE   16
#define KVM__FEATURE_MIGRATION_CONTROL  17
#define KVM__FEATURE_CLOCKSOURCE_STABLE 24

/* Bit of edx of the second leaf: virtual CPUs are never preempted for long. */
#define KVM__HINT_REALTIME 0

/* ---- model-specific registers ---------------------------------------------------------------- */

#define KVM__MSR_WALL_CLOCK_OLD  0x11
#define KVM__MSR_SYSTEM_TIME_OLD 0x12
#define KVM__MSR_WALL_CLOCK      0x4b564d00
#define KVM__MSR_SYSTEM_TIME     0x4b564d01
#define KVM__MSR_STEAL_TIME      0x4b564d03
#define KVM__MSR_PV_EOI          0x4b564d04
#define KVM__MSR_POLL_CONTROL    0x4b564d05

/* Or'ed with the guest-physical address that is written to SYSTEM_TIME, STEAL_TIME or PV_EOI. */
#define KVM__MSR_ENABLED 1

/* ---- structures that KVM writes -------------------------------------------------------------- */

/* Time of one virtual CPU, 4-byte aligned. `version` is odd while KVM writes. */
struct kvm__time {
    uint32_t version;
    uint32_t padding;
    uint64_t tsc_timestamp; /* the TSC at `system_time` */
    uint64_t system_time;   /* nanoseconds */
    uint32_t multiplier;    /* nanoseconds per (shifted) cycle, times 2^32 */
    int8_t shift;           /* cycles are shifted left by this, or right if it is negative */
    uint8_t flags;
    uint8_t padding2[2];
};

#define KVM__TIME_STABLE 0x01 /* time goes on alike on all virtual CPUs */
#define KVM__TIME_GUEST_STOPPED                                                                    \
    0x02 /* the host has stopped and resumed the guest; the guest clears it */

/* The host's wall clock at the guest's system time 0, 4-byte aligned; written when its MSR is. */
struct kvm__wall_clock {
    uint32_t version;
    uint32_t seconds;
    uint32_t nanoseconds;
};

/* What the scheduler of the host has done to one virtual CPU, 64-byte aligned. */
struct kvm__steal_time {
    uint64_t steal; /* nanoseconds */
    uint32_t version;
    uint32_t flags;
    uint8_t preempted;
    uint8_t padding[47];
};

#define KVM__PREEMPTED 0x01 /* it could run, but the host runs something else */
#define KVM__FLUSH_TLB 0x02 /* by another virtual CPU: it is to flush before it runs again */

/* In the word of PV_EOI: no write to the EOI register is needed if the guest clears this. */
#define KVM__EOI_BIT 0

/* ---- hypercalls ------------------------------------------------------------------------------ */

#define KVM__ENOSYS                                                                                \
    1000 /* the hypervisor does not have the hypercall, or does not let this guest use it */

/* Attributes of map_gpa_range: pages of 4 KiB, and whose they are. */
#define KVM__MAP_PRIVATE (1u << 4)
#define KVM__MAP_SHARED  0u

#endif
