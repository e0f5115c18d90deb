/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What a CPU of the domain is on i386: for C and assembly.
 */
#ifndef VMI_XEN_ARCH_I386_CPU_H
#define VMI_XEN_ARCH_I386_CPU_H

/*
 * The kernel's descriptors, then, last in the page of each CPU, one of the library's own whose
 * limit is the number of the CPU. `lsl` reads it back with no memory access and no privilege.
 */
#define VMI__XEN_GDT_KERNEL (VMI__XEN_GDT_ENTRIES - 1)
#ifndef VMI__XEN_CPU_SELECTOR /* a process that plays Xen has another (tests/xen_steps.h) */
#define VMI__XEN_CPU_SELECTOR (VMI__XEN_GDT_KERNEL * 8 + 3)
#endif

/* In vmi__xen_kept: this CPU handles an NMI, whose end Xen must hear of. */
#define VMI__XEN_KEPT_NMI 0x80000000

/* Size of struct vcpu_info, as a shift; start.c asserts it. */
#define VMI__XEN_VCPU_SHIFT 6

#ifndef __ASSEMBLER__

/* The builder's words: its magic, how far behind the image it puts things, how much memory there
 * may be: each frame has an entry of 4 bytes in its list, which lies in the linear region. */
#define VMI__XEN_MAGIC       "-x86_32p"
#define VMI__XEN_OTHER_MAGIC "Xen's start_info has another magic than that of an i386 PAE guest"
#define VMI__XEN_BUILDER_MAX VMI__LINEAR_MAX
#define VMI__XEN_PAGES_MAX   (VMI__LINEAR_MAX / 4)
#define VMI__XEN_OTHER_SIZE  "Xen's start_info names less than 1 MiB of memory or more than 256 GiB"

/* The kind of table that a root is, and the address bit from which its entries are chosen. */
#define VMI__XEN_ROOT         VMI_PAGE_PDP
#define VMI__XEN_ROOT_SHIFT   30
#define VMI__XEN_ROOT_ENTRIES 4
#define VMI__XEN_PIN_ROOT     MMUEXT_PIN_L3_TABLE

struct vmi__xen_cpu_arch {
    /* Trap gates as the kernel set them; where `address` is 0 there is none. */
    struct trap_info gate[256];
    uint32_t ldt; /* selector */
    uint32_t ldt_base, ldt_pages;
};

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

/*
 * Where Xen has the words of each CPU, next to each other, so that a CPU's number leads there. The
 * shared page has room for XEN_LEGACY_MAX_VCPUS only (xen/arch-x86/xen.h).
 */
extern struct vcpu_info vmi__xen_infos[VMI__XEN_CPUS_MAX];

static inline uint32_t vmi__xen_this(void)
{
    uint32_t cpu;

    __asm__ volatile("lsl %1, %0" : "=r"(cpu) : "r"(VMI__XEN_CPU_SELECTOR) : "cc");
    return cpu;
}

/* For domain.h: where Xen has the words of a CPU, and how many operations it keeps back. */
#define VMI__XEN_VCPU(number) (&vmi__xen_infos[number])
#define VMI__XEN_KEPT(number) (vmi__xen_kept[number].count)

#endif
#endif
