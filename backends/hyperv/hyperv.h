/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Between the parts of the Hyper-V library.
 */
#ifndef VMI_HYPERV_H
#define VMI_HYPERV_H

#include "native/native.h"

#include "tlfs.h"

/* ---- features.c ------------------------------------------------------------------------------ */

/* What the library can use, each by itself: otherwise its calls are done by the native library. */
enum vmi__hyperv_feature {
    HYPERV__HYPERCALL,
    HYPERV__VP_INDEX,
    HYPERV__REFERENCE_COUNTER,
    HYPERV__REFERENCE_TSC,
    HYPERV__FREQUENCIES,
    HYPERV__DIRECT_TIMER,
    HYPERV__VP_ASSIST,
    HYPERV__APIC_MSRS,
    HYPERV__CLUSTER_IPI,
    HYPERV__REMOTE_FLUSH,
    HYPERV__SPARSE_SETS,
    HYPERV__SPIN_WAIT,
    HYPERV__CRASH,
    HYPERV__FEATURES
};

/* A bit for each feature in use. Constant after vmi__hyperv_detect. */
extern uint32_t vmi__hyperv_used;

/* Tries before a long wait is told, if HYPERV__SPIN_WAIT is used. */
extern uint32_t vmi__hyperv_spins;

static inline bool vmi__hyperv_uses(enum vmi__hyperv_feature feature)
{
    return vmi__hyperv_used & 1u << feature;
}

/* Looks for the interface by CPUID alone; without it, or without a feature, nothing is used. */
void vmi__hyperv_detect(void);

/* Is there a Hyper-V interface with the leaves that are needed? Changes nothing. */
bool vmi__hyperv_here(void);

/* Writes the line `# hyperv …` to the console. */
void vmi__hyperv_describe(void);

/* ---- partition.c ----------------------------------------------------------------------------- */

/* What is kept per CPU. The input of hypercalls must not cross a page. */
struct vmi__hyperv_cpu {
    union { /* one hypercall's at a time */
        struct hyperv__flush flush;
        struct hyperv__flush_set flush_set;
        struct hyperv__ipi_set ipi_set;
    } input;
    struct vmi__hyperv_assist *assist;
    uint64_t alarm_expiry, alarm_period; /* of the alarm wired to LVTT */
    uint64_t alarm_due;                  /* when its timer goes off */
    uint32_t timer_config;               /* as it was last written to the timer */
    volatile uint32_t lvtt;              /* as the kernel has last written it; at first 0 */
    uint32_t spins;                      /* waits since the hypervisor was last told of one */
    volatile uint32_t index;             /* number as the hypervisor has it, once it is ready */
    bool alarm_set, alarm_unheard;       /* the latter: its vector was masked when it was set */
    volatile bool ready;
} __attribute__((aligned(256)));

_Static_assert(sizeof(struct vmi__hyperv_cpu) == 256, "no input may cross a page");

extern struct vmi__hyperv_cpu vmi__hyperv_cpus[VMI__CPUS_FEW], *vmi__hyperv_cpus_more;

/* A CPU's VP assist page; those of all but the first CPU are claimed. */
struct vmi__hyperv_assist {
    volatile uint32_t eoi;
} __attribute__((aligned(4096)));

extern struct vmi__hyperv_assist vmi__hyperv_first_assist; /* assists.S */

static inline struct vmi__hyperv_cpu *vmi__hyperv_cpu(uint32_t number)
{
    return VMI__CPU_ROW(vmi__hyperv_cpus, vmi__hyperv_cpus_more, number);
}

/* This CPU's. Stays true only while the caller cannot move to another CPU. */
static inline struct vmi__hyperv_cpu *vmi__hyperv_this_cpu(void)
{
    return vmi__hyperv_cpu(vmi__native_cpu());
}

/* Gives the hypervisor the partition's pages and the first CPU's. */
void vmi__hyperv_partition_init(void);

/*
 * Which virtual processors the CPUs of a set are that run, in banks of 64; the set exists, and
 * `self` is the calling CPU. Returns how many have no place there. The banks behind the first are
 * used only where the hypervisor takes sparse sets.
 */
uint32_t vmi__hyperv_processors(const uint32_t *set, uint32_t bits, uint32_t self,
                                uint64_t banks[HYPERV__BANKS]);

/* Has a CPU a place there? */
bool vmi__hyperv_has_place(uint32_t cpu);

/* Fills a sparse set. */
void vmi__hyperv_fill_set(struct hyperv__set *set, const uint64_t banks[HYPERV__BANKS]);

/* Are there virtual processors in the banks behind the first? */
static inline bool vmi__hyperv_needs_set(const uint64_t banks[HYPERV__BANKS])
{
    return banks[1] | banks[2] | banks[3];
}

/* ---- clock.c --------------------------------------------------------------------------------- */

#define HYPERV__UNITS_PER_SECOND 10000000u

extern struct hyperv__reference_tsc vmi__hyperv_reference_tsc;

/* Units of 100 ns since the partition was made. Only if the reference counter is used. */
uint64_t vmi__hyperv_reference_time(void);

/*
 * Tells the native library the frequencies of the TSC and of the local APIC's timer, if the
 * hypervisor tells them.
 */
void vmi__hyperv_frequencies(void);

/* Prepares the way from reference time to cycles of the TSC, whose frequency is known. */
void vmi__hyperv_clock_init(void);

/*
 * Cycles of the TSC in so many units, or a few more, and the other way; UINT64_MAX for what has no
 * room.
 */
uint64_t vmi__hyperv_tsc_cycles(uint64_t units);
uint64_t vmi__hyperv_units(uint64_t tsc_cycles);

/* ---- alarm.c --------------------------------------------------------------------------------- */

/* The kernel has written LVTT, or ended the interrupt with that vector, on this CPU. */
void vmi__hyperv_alarm_lvtt(uint32_t lvtt);
void vmi__hyperv_alarm_ended(uint32_t vector);

/* It has ended an interrupt whose vector is not known. */
void vmi__hyperv_alarm_after_eoi(void);

#endif
