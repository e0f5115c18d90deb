/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The first layer: hypercalls, CPUs, memory and what Xen shares. README.md draws the layers; each
 * uses its own header and those below.
 *
 * Terms: a frame number is guest-physical (pfn) or machine (mfn); p2m and m2p translate. Everything
 * that belongs to one virtual CPU is in struct vmi__xen_cpu and touched with events masked, because
 * a kernel may move a thread to another CPU at any interrupt.
 */
#ifndef VMI_XEN_DOMAIN_H
#define VMI_XEN_DOMAIN_H

#include "layout.h"

/* CPUs that a kernel can be told of: at most 255, for an event's CPU is one byte, and ICR's last
 * number means all. */
#define VMI__XEN_CPUS_MAX 128

/* The GDT that Xen holds is one page per CPU. */
#define VMI__XEN_GDT_ENTRIES 512

/* Offsets in struct vcpu_info (xen/xen.h); start.c asserts them. */
#define VMI__XEN_VCPU_PENDING 0
#define VMI__XEN_VCPU_MASK    1

#define VMI__EFLAGS_IF 0x200

#ifndef __ASSEMBLER__

#include <stdint.h>

#include <xen/xen.h>

#include <xen/event_channel.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#include "hypercalls.h"
#include "routines.h"
#include "runtime.h"

#define VMI__XEN_NO_FRAME UINTPTR_MAX

#define VMI__PAGE_SIZE  4096u
#define VMI__PAGE_SHIFT 12

/* Bits of an entry of 64 bits (Intel SDM vol. 3A, 4.4 and 4.5). */
#define VMI__PTE_PRESENT    0x001u
#define VMI__PTE_WRITE      0x002u
#define VMI__PTE_USER       0x004u
#define VMI__PTE_ACCESSED   0x020u
#define VMI__PTE_DIRTY      0x040u
#define VMI__PTE_GLOBAL     0x100u
#define VMI__PTE_FRAME      0x000ffffffffff000ull
#define VMI__PTE_NO_EXECUTE 0x8000000000000000ull

/* Entries of a page table or page directory, and bits of an address that choose one. */
#define VMI__XEN_TABLE_ENTRIES 512u
#define VMI__XEN_TABLE_BITS    9

static inline void vmi__barrier(void)
{
    __asm__ volatile("" : : : "memory");
}

/* ---- locks (mask.S, base.c) ---- */

/* Masks events on this CPU; returns what the mask was. */
VMI__ROUTINE uint32_t vmi__xen_mask(void);

/* Puts back what vmi__xen_mask returned; what is pending is taken. */
static inline void vmi__xen_unmask(uint32_t mask)
{
    if (!mask)
        vmi__xen_enable_interrupts();
}

/* Sequences that begin again if an event comes within them: addresses of the first instruction, and
 * of what is behind the last. */
struct vmi__xen_sequence {
    uintptr_t start, end;
};
extern const struct vmi__xen_sequence vmi__xen_mask_restart[], vmi__xen_mask_restart_end[];

/* How to return by a frame; set before events are let in. */
extern const char *vmi__xen_return;

struct vmi__xen_lock {
    uint32_t held;
};

/* Takes a lock with events masked. */
uint32_t vmi__xen_take(struct vmi__xen_lock *lock);
void vmi__xen_give(struct vmi__xen_lock *lock, uint32_t mask);

/* For the inside of a loop that waits for another CPU, which may be a VCPU that waits for this
 * one's processor. *turns begins with 0. */
static inline void vmi__xen_relax(uint32_t *turns)
{
    if (++*turns % 1024)
        __asm__ volatile("pause");
    else
        vmi__xen_hypercall_sched_op(SCHEDOP_yield, 0);
}

/* ---- CPUs (base.c) ---- */

#define VMI__XEN_BATCH 512 /* page-table updates that are kept back at most */
#define VMI__XEN_OPS   16  /* hypercalls that are; updates next to each other are one */

struct vmi__xen_alarm {
    uint32_t active;
    uint32_t flags; /* VMI_ALARM_…, counter included */
    uint64_t expiry, period;
};

#endif

#ifdef __x86_64__
#include "arch/x86_64/cpu.h"
#else
#include "arch/i386/cpu.h"
#endif

#ifndef __ASSEMBLER__

struct vmi__xen_cpu {
    /* What assembly reads comes first (arch/ARCH/cpu.h). */
    struct vmi__xen_cpu_arch arch;

    struct vmi_dtr gdt, idt;
    uint64_t *gdt_page; /* what Xen holds; read-only */
    uint32_t tr;        /* selector */
    uintptr_t cr3;
    uintptr_t cr3_user;     /* x86-64: the root of the process, or 0 */
    uint32_t gates_changed; /* set by another CPU that changed a table which this one uses too */

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
    /* Of the FIFO ABI, shared with Xen, which takes none that lies in two pages. */
    struct evtchn_fifo_control_block control __attribute__((aligned(128)));
    uint32_t controlled; /* Xen has it */

    struct vmi__xen_lock alarm_lock;
    struct vmi__xen_alarm alarm[2]; /* by wiring: IRQ0, LVTT */
    uint32_t alarm_changed;         /* set by another CPU */
    uint64_t timer;                 /* when Xen's timer goes off, 0 if it does not */
    struct vcpu_runstate_info runstate;
    uint64_t available; /* last value given out */
    /* Stolen before the domain was saved, whose runstates begin anew; and what is told until then.
     */
    uint64_t stolen_before, stolen_told;
    uint32_t started;
    uint32_t registered; /* Xen has its vcpu_info where vmi__xen_vcpu() says */
};

extern struct vmi__xen_cpu *vmi__xen_cpus[VMI__XEN_CPUS_MAX];
extern uint32_t vmi__xen_cpu_count;

/* The page that is shared with Xen. */
extern struct shared_info vmi__xen_shared;

/* What Xen tells a CPU, and is told by it. */
static inline struct vcpu_info *vmi__xen_vcpu(uint32_t number)
{
    return VMI__XEN_VCPU(number);
}

/* Notes how many operations this CPU keeps back. */
static inline void vmi__xen_note_kept(uint32_t count)
{
    VMI__XEN_KEPT(vmi__xen_this()) = count;
}

static inline struct vmi__xen_cpu *vmi__xen_self(void)
{
    return vmi__xen_cpus[vmi__xen_this()];
}

/* Xen's system time in nanoseconds, by what it tells this CPU (xen/xen.h, struct vcpu_time_info).
 */
uint64_t vmi__xen_system_time(void);

/* ---- reports (base.c) ---- */

/* Says that Xen refused something, with the call that it was done for; the first reports only. */
void vmi__xen_report(uint32_t call, uintptr_t entry, uint64_t value, intptr_t error);

/* Says so and ends the domain as crashed. */
void vmi__xen_crash(uint32_t call, uintptr_t entry, uint64_t value, intptr_t error)
    __attribute__((noreturn));

/* ---- memory (mmu.c) ---- */

/* State of a frame of the linear region: kind of table (VMI_PAGE_PT, PD, PDP, PML4) and */
#define VMI__XEN_SHARED      0x10u  /* a table that more than one entry may name */
#define VMI__XEN_UNPINNED    0x20u  /* a table that Xen does not have: filled by stores */
#define VMI__XEN_DESCRIPTORS 0x40u  /* holds descriptors that Xen uses */
#define VMI__XEN_PINNED      0x80u  /* a root that is pinned */
#define VMI__XEN_TWICE       0x100u /* a table that two roots name, those of one process */
#define VMI__XEN_TABLE       (VMI_PAGE_PT | VMI_PAGE_PD | VMI_PAGE_PDP | VMI_PAGE_PML4)
#define VMI__XEN_READ_ONLY   (VMI__XEN_TABLE | VMI__XEN_DESCRIPTORS)

struct vmi__xen_memory {
    xen_pfn_t *p2m; /* the domain builder's list, in place */
    uintptr_t pages;
    const xen_pfn_t *m2p; /* Xen's list, a word per machine frame */
    uintptr_t m2p_last;   /* highest mfn that may be looked up */
    uint16_t *state;      /* of each frame of the linear region */
    uintptr_t linear_pages;
    uintptr_t boot_cr3;
    uint64_t no_execute; /* of entries: VMI__PTE_NO_EXECUTE where the processor has it, else 0 */
};
extern struct vmi__xen_memory vmi__xen_memory;

/* Machine frame of a guest-physical one, or VMI__XEN_NO_FRAME. */
uintptr_t vmi__xen_mfn(uintptr_t pfn);

/* pfn of a machine frame of this domain, or VMI__XEN_NO_FRAME. */
uintptr_t vmi__xen_pfn(uintptr_t mfn);

/*
 * Reads an entry of Xen's list, if there is one: it has holes where the machine has (arch/ARCH).
 * False if there is none.
 */
bool vmi__xen_m2p_read(const xen_pfn_t *at, uintptr_t *pfn);

/* pfn behind a linear address by the linear mappings, or VMI__XEN_NO_FRAME. */
uintptr_t vmi__xen_linear_pfn(uintptr_t address);

/* Machine address behind a linear address that lies in a linear mapping. */
uint64_t vmi__xen_machine(const void *linear);

/* Tells of the image, where it is mapped apart from the linear region. */
void vmi__xen_image_mapping(uintptr_t address, uintptr_t pages, uintptr_t pfn);

/*
 * Has a machine frame that Xen shares with this domain appear at a page of the image, from now on
 * and in every table that maps that page of linear memory. Returns 0, or the reason why not.
 */
const char *vmi__xen_adopt(void *page, uintptr_t mfn);

/* Makes a frame of the linear region read-only wherever the library knows of a mapping, or writable
 * again. */
int32_t vmi__xen_protect(uintptr_t pfn, uint32_t read_only, uint32_t call);

/*
 * Gives frames to Xen, or has Xen give them machine frames again: linear mappings of them go and
 * come with them. `list` has room for as many. Returns how many, from the first on; or why not the
 * first: VMI_EINVAL (it is none of the domain's; it is not away), VMI_EBUSY (a table), VMI_EIO,
 * VMI_ENOMEM.
 */
int32_t vmi__xen_give_frames(const uint32_t *frames, xen_pfn_t *list, uint32_t count);
int32_t vmi__xen_take_frames(const uint32_t *frames, xen_pfn_t *list, uint32_t count);

/*
 * Around a suspend, on the one CPU that runs. Before it: what there is of page tables names the
 * domain's own frames alone, by their pfn where Xen does not know it for a table (the others are
 * the toolstack's to rewrite). vmi__xen_adopt's pages are out of reach then.
 */
void vmi__xen_tables_leave(void);
/* After it, once these pages are adopted again: the reverse. */
void vmi__xen_tables_return(void);
/* In between, in a domain that was restored: no page is adopted any more. */
void vmi__xen_adopt_nothing(void);

/* Pins a root, for a CPU that is to start with it, if it is not pinned; 0 or Xen's error. */
intptr_t vmi__xen_pin(uintptr_t pfn);

/*
 * Hypercalls that may be kept back in a lazy mode. They are queued with events masked, then carried
 * out in order: one as itself, several as a multicall. Each is reported with its call if Xen
 * refuses it.
 */
void vmi__xen_queue(struct vmi__xen_cpu *cpu, uint32_t call, uint32_t number, uintptr_t a,
                    uintptr_t b, uintptr_t c, uintptr_t d);
void vmi__xen_queue_ext(struct vmi__xen_cpu *cpu, uint32_t call, uint32_t command, uintptr_t first,
                        uint32_t second);
/* Returns Xen's answer to the last operation. */
intptr_t vmi__xen_carry_out(struct vmi__xen_cpu *cpu);
/* The same for this CPU; for IRET. */
VMI__ROUTINE void vmi__xen_carry_out_here(void);
/* The same, unless this CPU is in lazy mode CPU. */
void vmi__xen_carry_out_unless_lazy(struct vmi__xen_cpu *cpu);

/* The call SetPxELong, behind its arguments on each architecture. */
void vmi__xen_write_entry(uint64_t value, uint64_t *entry);

/* The calls SetCR3, behind theirs: roots that are tables; `user` 0 for none. */
void vmi__xen_load_roots(uintptr_t root, uintptr_t user);

/* ---- devices (device.c) ---- */

/* The window for what devices have, and the boot tables' table by which all roots reach it. */
struct vmi__xen_devices {
    uintptr_t base, size;
    uint64_t *top; /* of the kind VMI__XEN_DEVICES_KIND (entries.h) */
};
extern struct vmi__xen_devices vmi__xen_devices;

/* Gives VMI__XEN_DEVICE_TABLES (entries.h) free frames for page tables of the window. */
void vmi__xen_devices_start(void *pages);

#endif
#endif
