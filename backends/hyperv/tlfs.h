/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Hyper-V's side of the interface. Facts: Microsoft, Hypervisor Top Level Functional Specification
 * (TLFS), 6.0b; the numbers and layouts are compared with Linux's asm/hyperv-tlfs.h by
 * tests/test_abi.py.
 */
#ifndef VMI_HYPERV_TLFS_H
#define VMI_HYPERV_TLFS_H

#include <stdint.h>

/* ---- CPUID (TLFS, Feature Discovery) --------------------------------------------------------- */

/*
 * Hyper-V's leaves are always the first; another interface that the hypervisor has as well, such as
 * its own, is behind them, 0x100 further.
 */
#define HYPERV__CPUID_MAX          0x40000000
#define HYPERV__CPUID_INTERFACE    0x40000001
#define HYPERV__CPUID_FEATURES     0x40000003
#define HYPERV__CPUID_ENLIGHTMENTS 0x40000004
#define HYPERV__CPUID_LEAST        0x40000005 /* that there is when there is the interface */

/* eax of CPUID_INTERFACE: "Hv#1". The name in CPUID_MAX is the vendor's, and for showing only. */
#define HYPERV__INTERFACE 0x31237648

/* Bits of eax of CPUID_FEATURES: registers that the partition may use. */
#define HYPERV__ACCESS_REFERENCE_COUNTER (1u << 1)
#define HYPERV__ACCESS_SYNTHETIC_TIMERS  (1u << 3)
#define HYPERV__ACCESS_APIC              (1u << 4) /* the VP assist page too */
#define HYPERV__ACCESS_HYPERCALL         (1u << 5)
#define HYPERV__ACCESS_VP_INDEX          (1u << 6)
#define HYPERV__ACCESS_REFERENCE_TSC     (1u << 9)
#define HYPERV__ACCESS_FREQUENCIES       (1u << 11)

/* Bits of edx of CPUID_FEATURES. */
#define HYPERV__HAS_FREQUENCIES  (1u << 8)
#define HYPERV__HAS_CRASH        (1u << 10)
#define HYPERV__HAS_DIRECT_TIMER (1u << 19)

/* Bits of eax of CPUID_ENLIGHTMENTS: what is better than the processor's own way. */
#define HYPERV__RECOMMENDS_REMOTE_FLUSH (1u << 2)
#define HYPERV__RECOMMENDS_APIC         (1u << 3)
#define HYPERV__RECOMMENDS_CLUSTER_IPI  (1u << 10)
#define HYPERV__RECOMMENDS_SETS         (1u << 11) /* hypercalls that take sparse sets */

/* ebx of CPUID_ENLIGHTMENTS: tries before a long wait is told; or never to tell it. */
#define HYPERV__SPINS_NEVER 0xffffffffu

/* ---- model-specific registers ---------------------------------------------------------------- */

#define HYPERV__MSR_GUEST_OS_ID       0x40000000 /* TLFS, Hypercall Interface */
#define HYPERV__MSR_HYPERCALL         0x40000001 /* TLFS, Hypercall Interface */
#define HYPERV__MSR_VP_INDEX          0x40000002 /* TLFS, Virtual Processors */
#define HYPERV__MSR_REFERENCE_COUNTER 0x40000020 /* TLFS, Timers */
#define HYPERV__MSR_REFERENCE_TSC     0x40000021 /* TLFS, Timers */
#define HYPERV__MSR_TSC_FREQUENCY     0x40000022 /* TLFS, Partition Properties */
#define HYPERV__MSR_APIC_FREQUENCY    0x40000023
#define HYPERV__MSR_EOI               0x40000070 /* TLFS, Virtual Interrupts */
#define HYPERV__MSR_VP_ASSIST_PAGE    0x40000073 /* TLFS, Virtual Processors */
#define HYPERV__MSR_TIMER0_CONFIG     0x400000b0 /* TLFS, Timers */
#define HYPERV__MSR_TIMER0_COUNT      0x400000b1
#define HYPERV__MSR_CRASH_P0          0x40000100 /* TLFS, Partition Crash Enlightenment; P1 to P4 follow */
#define HYPERV__MSR_CRASH_CONTROL     0x40000105

/*
 * Guest OS identity of an open-source system (bit 63) whose kind has no number of its own, with its
 * version in bits 16 to 47. It must not be 0 while there is a hypercall page.
 */
#define HYPERV__OS_OPEN_SOURCE   (1ull << 63)
#define HYPERV__OS_VERSION_SHIFT 16

/* Or'ed with a page's address in HYPERCALL, REFERENCE_TSC and VP_ASSIST_PAGE. */
#define HYPERV__ENABLED 1

/* Bits of TIMER0_CONFIG; in direct mode the timer raises a vector of the local APIC. */
#define HYPERV__TIMER_AUTO_ENABLE  (1u << 3) /* a count other than 0 starts the timer */
#define HYPERV__TIMER_VECTOR_SHIFT 4
#define HYPERV__TIMER_DIRECT       (1u << 12)

#define HYPERV__CRASH_NOTIFY (1ull << 63)

/* ---- memory ---------------------------------------------------------------------------------- */

/* Reference time is (TSC * scale >> 64) + offset, in units of 100 ns, unless `sequence` is 0. */
struct hyperv__reference_tsc {
    volatile uint32_t sequence; /* another one after each change of the rest */
    uint32_t reserved;
    volatile uint64_t scale;
    volatile int64_t offset;
};

/* Bit of the first word of the VP assist page: no write to EOI is needed if the guest clears it. */
#define HYPERV__NO_EOI_BIT 0

/* Input of the hypercalls that flush. It is aligned to 8 bytes and lies in one page. */
struct hyperv__flush {
    uint64_t address_space; /* CR3, where one space only is meant */
    uint64_t flags;
    uint64_t processors; /* bit n stands for the virtual processor with index n */
    uint64_t range;      /* page's address; in bits 0-11 how many more pages */
};

/*
 * A sparse set of virtual processors (TLFS, HV_VP_SET): of banks of 64 those that `banks_valid` has
 * bits for follow. The library's has these always; input values say how many (the variable header).
 */
#define HYPERV__BANKS 4
struct hyperv__set {
    uint64_t format; /* 0: sparse */
    uint64_t banks_valid;
    uint64_t banks[HYPERV__BANKS];
};

#define HYPERV__BANKS_VALID ((1u << HYPERV__BANKS) - 1)

/* The same with a sparse set. */
struct hyperv__flush_set {
    uint64_t address_space;
    uint64_t flags;
    struct hyperv__set processors;
    uint64_t range;
};

/* Input of the hypercall that interrupts a sparse set. */
struct hyperv__ipi_set {
    uint32_t vector, reserved;
    struct hyperv__set processors;
};

#define HYPERV__FLUSH_ALL_SPACES  (1u << 1)
#define HYPERV__FLUSH_NON_GLOBAL  (1u << 2)
#define HYPERV__FLUSH_RANGE_PAGES 4096 /* in one range at most */

/* ---- hypercalls (TLFS, Hypercall Interface) -------------------------------------------------- */

#define HYPERV__STATUS_MASK    0xffffu /* of a result value */
#define HYPERV__STATUS_SUCCESS 0

/* Virtual processors that a mask of 64 bits has room for, as each bank of a set. */
#define HYPERV__MASK_PROCESSORS 64

#endif
