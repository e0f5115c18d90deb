/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What a CPU of the domain is on x86-64: for C and assembly. The kernel's GS base names an area
 * whose first words are the library's; one of them is the address of the CPU's record.
 */
#ifndef VMI_XEN_ARCH_X86_64_CPU_H
#define VMI_XEN_ARCH_X86_64_CPU_H

#include <vmi/constants.h>

/* The kernel may have all descriptors of the page. */
#define VMI__XEN_GDT_KERNEL VMI__XEN_GDT_ENTRIES

/*
 * Offsets in a CPU's record (struct vmi__xen_cpu_arch), for assembly: records.c asserts them. A
 * gate is 16 bytes, with the handler's address in the upper half.
 */
#define VMI__XEN_CPU_GATE_ADDRESS 8
#define VMI__XEN_CPU_INFO         4096
#define VMI__XEN_CPU_KEPT         4160 /* as 64 bits with the next: is there anything to look at? */
#define VMI__XEN_CPU_NMI          4164
#define VMI__XEN_CPU_SYSCALL      4168
#define VMI__XEN_CPU_STACK        4176

/* Where the builder maps the list of frames, by a note in entry.S: root slot 511, below the image.
 */
#define VMI__XEN_P2M_BASE 0xffffff8000000000

/* Slots of each root that are Xen's (xen/arch-x86/xen-x86_64.h, __HYPERVISOR_VIRT_START). */
#define VMI__XEN_SLOTS_START 256
#define VMI__XEN_SLOTS_END   272

#ifndef __ASSEMBLER__

/* The builder's words: its magic, how far behind the image's base it puts things, how much memory
 * there may be. */
#define VMI__XEN_MAGIC       "-x86_64"
#define VMI__XEN_OTHER_MAGIC "Xen's start_info has another magic than that of an x86-64 guest"
#define VMI__XEN_BUILDER_MAX 0x7fc00000ul
#define VMI__XEN_PAGES_MAX   (VMI__LINEAR_MAX >> VMI__PAGE_SHIFT)
#define VMI__XEN_OTHER_SIZE  "Xen's start_info names less than 1 MiB of memory or more than 119 TiB"

/* The kind of table that a root is, and the address bit from which its entries are chosen. */
#define VMI__XEN_ROOT         VMI_PAGE_PML4
#define VMI__XEN_ROOT_SHIFT   39
#define VMI__XEN_ROOT_ENTRIES VMI__XEN_TABLE_ENTRIES
#define VMI__XEN_PIN_ROOT     MMUEXT_PIN_L4_TABLE

struct vmi__xen_cpu_arch {
    /* Trap gates as the kernel set them; where `address` is 0 there is none. */
    struct trap_info gate[256];
    struct vcpu_info info; /* where Xen has this CPU's */
    uint32_t kept;         /* operations that are kept back; IRET looks before each return */
    uint32_t nmi;          /* an NMI is being handled: Xen lets none in until it makes a return */
    uintptr_t syscall;     /* SetSyscallEntry's, or 0 */
    uintptr_t stack;       /* UpdateKernelStack's */
};

static inline uint32_t vmi__xen_this(void)
{
    uint32_t number;

    __asm__ volatile("movl %%gs:%c1, %0" : "=r"(number) : "i"(VMI_PERCPU_NUMBER));
    return number;
}

/* For domain.h: where Xen has the words of a CPU, and how many operations it keeps back. */
#define VMI__XEN_VCPU(number) (&vmi__xen_cpus[number]->arch.info)
#define VMI__XEN_KEPT(number) (vmi__xen_cpus[number]->arch.kept)

#endif
#endif
