/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the parts of the library for Xen share.
 *
 * Terms: a frame number is guest-physical (pfn) or machine (mfn); p2m and m2p translate. Everything
 * that belongs to one virtual CPU is in struct vmi__xen_cpu and touched with events masked, because
 * a kernel may move a thread to another CPU at any interrupt.
 */
#ifndef VMI_XEN_INTERNAL_H
#define VMI_XEN_INTERNAL_H

#include "layout.h"

/* VCPUs whose vcpu_info lies in the shared page (xen/arch-x86/xen.h, XEN_LEGACY_MAX_VCPUS). */
#define VMI__XEN_CPUS_MAX 32

/*
 * The GDT that Xen holds is one page per CPU: the kernel's descriptors, then, last, one of the
 * library's own whose limit is the number of the CPU. `lsl` reads it back with no memory access and
 * no privilege.
 */
#define VMI__XEN_GDT_ENTRIES 512
#define VMI__XEN_GDT_KERNEL  (VMI__XEN_GDT_ENTRIES - 1)
#ifndef VMI__XEN_CPU_SELECTOR /* a process that plays Xen has another (tests/xen_steps.h) */
#define VMI__XEN_CPU_SELECTOR (VMI__XEN_GDT_KERNEL * 8 + 3)
#endif

/* Offsets in struct vcpu_info and its size (xen/xen.h); start.c asserts them. */
#define VMI__XEN_VCPU_PENDING 0
#define VMI__XEN_VCPU_MASK    1
#define VMI__XEN_VCPU_SHIFT   6

#define VMI__EFLAGS_IF 0x200

/* In vmi__xen_kept: this CPU handles an NMI, whose end Xen must hear of. */
#define VMI__XEN_KEPT_NMI 0x80000000

#ifndef __ASSEMBLER__

#include <stdint.h>

#include <xen/xen.h>

#include <xen/event_channel.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#include "hypercalls.h"
#include "routines.h"
#include "runtime.h"

#define VMI__XEN_NO_FRAME 0xffffffffu

#define VMI__PAGE_SIZE  4096u
#define VMI__PAGE_SHIFT 12

/* Bits of a PAE entry (Intel SDM vol. 3A, 4.4). */
#define VMI__PTE_PRESENT  0x001u
#define VMI__PTE_WRITE    0x002u
#define VMI__PTE_ACCESSED 0x020u
#define VMI__PTE_DIRTY    0x040u
#define VMI__PTE_FRAME    0x000ffffffffff000ull

/* Entries of a page table or page directory. */
#define VMI__XEN_TABLE_ENTRIES 512u

static inline void vmi__barrier(void)
{
    __asm__ volatile("" : : : "memory");
}

/* ---- locks (events.S, events.c)
 * --------------------------------------------------------------------------------- */

/* Masks events on this CPU; returns what the mask was. */
VMI__ROUTINE uint32_t vmi__xen_mask(void);

/* Puts back what vmi__xen_mask returned; what is pending is taken. */
static inline void vmi__xen_unmask(uint32_t mask)
{
    if (!mask)
        vmi__xen_enable_interrupts();
}

struct vmi__xen_lock {
    uint32_t held;
};

/* Takes a lock with events masked. */
uint32_t vmi__xen_take(struct vmi__xen_lock *lock);
void vmi__xen_give(struct vmi__xen_lock *lock, uint32_t mask);

/* ---- CPUs
 * -------------------------------------------------------------------------------------------------
 * ------
 */

#define VMI__XEN_BATCH 256 /* page-table updates that are kept back at most */
#define VMI__XEN_OPS   16  /* hypercalls that are; updates next to each other are one */

struct vmi__xen_alarm {
    uint32_t active;
    uint32_t flags; /* VMI_ALARM_…, counter included */
    uint64_t expiry, period;
};

struct vmi__xen_cpu {
    /* Trap gates as the kernel set them; where `address` is 0 there is none. */
    struct trap_info gate[256];
    struct vmi_dtr gdt, idt;
    uint64_t *gdt_page; /* what Xen holds; read-only */
    uint32_t ldt, tr;   /* selectors */
    uint32_t ldt_base, ldt_pages;
    uint32_t cr3;
    uint32_t
        gates_changed; /* set by another CPU that changed a table which this one uses as well */

    uint32_t lazy;
    uint32_t ops; /* kept back, in order, and by what calls they were made */
    /* Two lists by turns: who sees the same one from outside twice has seen Xen go on with it. */
    struct multicall_entry lists[2][VMI__XEN_OPS];
    uint32_t list;
    uint8_t op_call[VMI__XEN_OPS];
    /* What mmu_update among them points at, */
    uint32_t updates;
    struct mmu_update update[VMI__XEN_BATCH];
    uint8_t update_call[VMI__XEN_BATCH];
    uint32_t op_done[VMI__XEN_OPS];
    /* and mmuext_op. */
    uint32_t exts;
    struct mmuext_op ext[VMI__XEN_OPS];

    /* Local interrupt controller: requested, in service, and requests from other CPUs. */
    uint32_t irr[8], isr[8], ipi[8];
    uint32_t tpr, svr, lvtt, icr_high;
    evtchn_port_t ipi_port, timer_port;

    struct vmi__xen_lock alarm_lock;
    struct vmi__xen_alarm alarm[2]; /* by wiring: IRQ0, LVTT */
    uint32_t alarm_changed;         /* set by another CPU */
    uint64_t timer;                 /* when Xen's timer goes off, 0 if it does not */
    struct vcpu_runstate_info runstate;
    uint64_t available; /* last value given out */
    uint32_t started;
};

extern struct vmi__xen_cpu *vmi__xen_cpus[VMI__XEN_CPUS_MAX];
extern uint32_t vmi__xen_cpu_count;

/*
 * Operations that each CPU keeps back. By itself for IRET, which looks before each return, and as
 * far apart as the CPUs' vcpu_info, so that one offset serves for both.
 */
struct vmi__xen_kept {
    uint32_t count; /* or'ed with VMI__XEN_KEPT_NMI */
} __attribute__((aligned(1 << VMI__XEN_VCPU_SHIFT)));
extern struct vmi__xen_kept vmi__xen_kept[VMI__XEN_CPUS_MAX];
/* MSR IA32_SYSENTER_CS of each CPU, for SYSEXIT. */
extern uint32_t vmi__xen_sysenter_cs[VMI__XEN_CPUS_MAX];

/* The page that is shared with Xen. */
extern struct shared_info vmi__xen_shared;

static inline uint32_t vmi__xen_this(void)
{
    uint32_t cpu;

    __asm__ volatile("lsl %1, %0" : "=r"(cpu) : "r"(VMI__XEN_CPU_SELECTOR) : "cc");
    return cpu;
}

static inline struct vmi__xen_cpu *vmi__xen_self(void)
{
    return vmi__xen_cpus[vmi__xen_this()];
}

/* ---- memory (mmu.c)
 * --------------------------------------------------------------------------------------------- */

/* State of a frame of the linear region: kind of table (VMI_PAGE_PT, PD, PDP) and */
#define VMI__XEN_SHARED      0x10u /* a table that more than one entry may name */
#define VMI__XEN_UNPINNED    0x20u /* a table that Xen does not have: filled by stores */
#define VMI__XEN_DESCRIPTORS 0x40u /* holds descriptors that Xen uses */
#define VMI__XEN_PINNED      0x80u /* a root that is pinned */
#define VMI__XEN_TABLE       (VMI_PAGE_PT | VMI_PAGE_PD | VMI_PAGE_PDP)
#define VMI__XEN_READ_ONLY   (VMI__XEN_TABLE | VMI__XEN_DESCRIPTORS)

struct vmi__xen_memory {
    uint32_t *p2m; /* the domain builder's list, in place */
    uint32_t pages;
    const uint32_t *m2p; /* Xen's list, somewhere in the top GiB; 4 bytes per machine frame */
    uint32_t m2p_last;   /* highest mfn that may be looked up */
    /* Bit n: the n-th 2 MiB of the top GiB are mapped; m2p has holes where the machine has. */
    uint32_t top_present[VMI__XEN_TABLE_ENTRIES / 32];
    uint8_t *state; /* of each frame of the linear region */
    uint32_t linear_pages;
    uint32_t boot_cr3;
};
extern struct vmi__xen_memory vmi__xen_memory;

static inline uint32_t vmi__xen_mfn(uint32_t pfn)
{
    return pfn < vmi__xen_memory.pages ? vmi__xen_memory.p2m[pfn] : VMI__XEN_NO_FRAME;
}

/* pfn of a machine frame of this domain, or VMI__XEN_NO_FRAME. */
uint32_t vmi__xen_pfn(uint32_t mfn);

/* pfn behind a linear address by the linear mappings, or VMI__XEN_NO_FRAME. */
uint32_t vmi__xen_linear_pfn(uint32_t address);

/* Machine address behind a linear address that lies in a linear mapping. */
uint64_t vmi__xen_machine(const void *linear);

/*
 * Has a machine frame that Xen shares with this domain appear at a page of the image, from now on
 * and in every table that maps that page of linear memory. Returns 0, or the reason why not.
 */
const char *vmi__xen_adopt(void *page, uint32_t mfn);

/* Makes a frame of the linear region read-only wherever the library knows of a mapping, or writable
 * again. */
int32_t vmi__xen_protect(uint32_t pfn, uint32_t read_only, uint32_t call);

/* Pins a root, for a CPU that is to start with it, if it is not pinned; 0 or Xen's error. */
int32_t vmi__xen_pin(uint32_t pfn);

/*
 * Hypercalls that may be kept back in a lazy mode. They are queued with events masked, then carried
 * out in order: one as itself, several as a multicall. Each is reported with its call if Xen
 * refuses it.
 */
void vmi__xen_queue(struct vmi__xen_cpu *cpu, uint32_t call, uint32_t number, uint32_t a,
                    uint32_t b, uint32_t c, uint32_t d);
void vmi__xen_queue_ext(struct vmi__xen_cpu *cpu, uint32_t call, uint32_t command, uint32_t first,
                        uint32_t second);
/* Returns Xen's answer to the last operation. */
int32_t vmi__xen_carry_out(struct vmi__xen_cpu *cpu);
/* The same for this CPU; for IRET. */
VMI__ROUTINE void vmi__xen_carry_out_here(void);

/* ---- descriptors (descriptors.c)
 * -------------------------------------------------------------------------------- */

/* The part of a started CPU's context that comes from descriptor tables. Returns 0 or a VMI error.
 */
int32_t vmi__xen_descriptors_of(struct vmi__xen_cpu *cpu, const struct vmi_ap_state *state,
                                struct vcpu_guest_context *context);

/* Fills a CPU's own GDT page and returns its machine frame. */
uint32_t vmi__xen_gdt_prepare(struct vmi__xen_cpu *cpu, uint32_t number);

/* Reads this CPU's trap table again. */
void vmi__xen_gates_again(struct vmi__xen_cpu *cpu);

/* ---- events (events.c, events.S)
 * -------------------------------------------------------------------------------- */

extern const char vmi__xen_event_callback[], vmi__xen_failsafe_callback[];
/* What Xen enters for an NMI, #NP and #GP. */
extern const char vmi__xen_nmi[], vmi__xen_segment_not_present[], vmi__xen_protection_fault[];

/* Makes the timer and IPI ports of a CPU, and lets them in. Returns 0 or Xen's error. */
int32_t vmi__xen_events_prepare(struct vmi__xen_cpu *cpu, uint32_t number);

/* Requests a vector on this CPU; events are masked. */
void vmi__xen_raise(struct vmi__xen_cpu *cpu, uint32_t vector);

/* Requests the vector of interrupt line 0, on CPU 0, with events masked. */
void vmi__xen_raise_irq0(struct vmi__xen_cpu *cpu);

/* Has another CPU look at what it is asked for. */
int32_t vmi__xen_prod(uint32_t number);

/*
 * Waits until `port`, which is no event of the kernel's, may have been signalled, for 10 ms at
 * most. The caller has called vmi__xen_port_clear and looked again before.
 */
void vmi__xen_port_wait(evtchn_port_t port);
void vmi__xen_port_clear(evtchn_port_t port);
void vmi__xen_port_notify(evtchn_port_t port);
/* Has a port that is only waited for make no upcalls. */
void vmi__xen_port_mask(evtchn_port_t port);

/* ---- time (time.c)
 * ---------------------------------------------------------------------------------------------- */

/* Raises what is due on this CPU and sets its timer; events are masked. */
void vmi__xen_alarms(struct vmi__xen_cpu *cpu);

/* ---- console, store, grants
 * ------------------------------------------------------------------------------------- */

void vmi__xen_console_start(void *ring, evtchn_port_t port);
evtchn_port_t vmi__xen_console_port(void);
/* Gives the other side of the console a bounded time to take what was written. */
void vmi__xen_console_drain(void);

/* Says that Xen refused something, with the call that it was done for; the first reports only. */
void vmi__xen_report(uint32_t call, uint32_t entry, uint64_t value, int32_t error);

/* Says so and ends the domain as crashed. */
void vmi__xen_crash(uint32_t call, uint32_t entry, uint64_t value, int32_t error)
    __attribute__((noreturn));

void vmi__xen_store_start(void *ring, evtchn_port_t port);
/*
 * Reads a node of xenstore into a buffer, terminated; paths that do not begin with / are relative
 * to the domain's own directory. Returns its length, or a VMI error.
 */
int32_t vmi__xen_store_read(const char *path, char *to, uint32_t size);
/* Names of a node's children, each terminated, one behind the other. Returns the length of all, or
 * a VMI error. */
int32_t vmi__xen_store_list(const char *path, char *to, uint32_t size);
int32_t vmi__xen_store_write(const char *path, const char *value);

void vmi__xen_grants_start(void);

#endif
#endif
