/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Between the parts of the KVM library. Each feature of KVM is used if vmi__kvm_uses() says so;
 * otherwise its call is done by the native library.
 */
#ifndef VMI_KVM_H
#define VMI_KVM_H

#include "native/native.h"

#include "para.h"

/* ---- features.c ------------------------------------------------------------------------------ */

/* Is there a KVM? */
extern bool vmi__kvm_present;

/*
 * Features in use, by their bits in CPUID. After vmi__kvm_detect only vmi__kvm_detect_again changes
 * them.
 */
extern uint32_t vmi__kvm_used;

/*
 * The hypercall instruction is VMCALL, not VMMCALL. The generated hypercalls test it
 * (backend.yaml).
 */
extern uint8_t vmi__kvm_vmcall;

static inline bool vmi__kvm_uses(uint32_t feature)
{
    return vmi__kvm_used & 1u << feature;
}

/* Are KVM's leaves of CPUID there? Changes nothing. */
bool vmi__kvm_here(void);

/*
 * Looks for KVM and chooses features. CPUID only, so nothing else need be ready. Returns 0 or the
 * reason to refuse.
 */
const char *vmi__kvm_detect(void);

/*
 * Looks for KVM again, on another host perhaps: chooses the hypercall instruction, and drops or
 * takes up features that are asked for at each call. Those that KVM keeps structures for go on:
 * where these are is part of the state that was carried over. False if there is no KVM any more.
 */
bool vmi__kvm_detect_again(void);

/* Writes lines `# kvm …` to the console: what was offered and what is used. */
void vmi__kvm_describe(void);

/* ---- cpu.c ----------------------------------------------------------------------------------- */

/*
 * What KVM and this library keep per CPU. KVM writes into it by guest-physical addresses, each part
 * within one page; the size is a power of two so that none crosses one.
 */
struct vmi__kvm_cpu {
    struct kvm__steal_time steal;
    struct kvm__time time;
    struct kvm__wall_clock wall_clock;
    volatile uint32_t eoi;
    volatile uint32_t yielded;   /* version of `steal` when time was last given to this CPU */
    volatile uint64_t available; /* highest value that was returned for VMI_CYCLES_AVAILABLE */
    bool ready;                  /* KVM has been given the addresses */
} __attribute__((aligned(256)));

_Static_assert(sizeof(struct vmi__kvm_cpu) == 256, "no part may cross a page");

extern struct vmi__kvm_cpu vmi__kvm_cpus[VMI__CPUS_FEW], *vmi__kvm_cpus_more;

static inline struct vmi__kvm_cpu *vmi__kvm_cpu(uint32_t number)
{
    return VMI__CPU_ROW(vmi__kvm_cpus, vmi__kvm_cpus_more, number);
}

/*
 * This CPU's, without leaving the guest as a rule. Stays true only while the caller cannot move to
 * another CPU.
 */
struct vmi__kvm_cpu *vmi__kvm_this_cpu(void);

/* Gives KVM the addresses of the first CPU's structures. */
void vmi__kvm_cpu_init(void);

/* Makes room for those of all CPUs that are listed. */
void vmi__kvm_cpus_init(void);

/* ---- interrupts.c ---------------------------------------------------------------------------- */

/*
 * KVM sets a bit when it injects an interrupt whose end it need not hear of; clearing it is the end
 * then. True if that was so: the EOI register need not be written.
 */
bool vmi__kvm_ended_in_memory(void);

/* ---- clock.c --------------------------------------------------------------------------------- */

/*
 * With the first CPU's structures in place: takes the frequency of the TSC from kvmclock, which
 * spares the native library measuring it, and prepares the way back from nanoseconds to cycles.
 */
void vmi__kvm_clock_init(void);

/* Is kvmclock the source of cycle counters, which are nanoseconds then? */
bool vmi__kvm_clock_used(void);

/* Cycles of the TSC in that many nanoseconds of kvmclock. */
uint64_t vmi__kvm_tsc_cycles(uint64_t nanoseconds);

/* ---- arithmetic ------------------------------------------------------------------------------ */

/* Raises *highest to value; returns whichever was greater. */
static inline uint64_t vmi__kvm_highest(volatile uint64_t *highest, uint64_t value)
{
    uint64_t seen = 0;

    /* Reads it whole: a 0 that is there stays. */
    vmi__exchange_if(highest, &seen, 0);
    while (seen < value) {
        if (vmi__exchange_if(highest, &seen, value))
            return value;
    }
    return seen;
}

#endif
