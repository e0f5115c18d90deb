/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Between the parts of the VMware library, and VMware's side of the interface. Facts: VMware KB
 * 1009458 (mechanisms to determine if software is running in a VMware virtual machine);
 * open-vm-tools lib/include/backdoor_def.h; Linux arch/x86/kernel/cpu/vmware.c and asm/vmware.h.
 */
#ifndef VMI_VMWARE_H
#define VMI_VMWARE_H

#include "native/native.h"

/* ---- VMware's side --------------------------------------------------------------------------- */

#define VMWARE__MAGIC 0x564d5868u /* "hXMV", little endian */
#define VMWARE__NONE  0xffffffffu /* what a port reads where there is nothing */

/* ebx, ecx, edx of the first of VMware's CPUID leaves, and its leaf of features. */
#define VMWARE__SIGNATURE      "VMwareVMware"
#define VMWARE__CPUID_FIRST    0x40000000
#define VMWARE__CPUID_FEATURES 0x40000010

/* Bits of ecx there: the backdoor's instruction. */
#define VMWARE__FEATURE_VMMCALL (1u << 0)
#define VMWARE__FEATURE_VMCALL  (1u << 1)

#define VMWARE__STEAL_CLOCK_ENABLED 1

/* What the hypervisor writes for one virtual CPU. */
struct vmware__steal_time {
    volatile uint64_t cycles; /* of the TSC, in which it wanted to run and did not */
    uint64_t reserved[7];
} __attribute__((aligned(64)));

/* ---- arch/ARCH/backdoor.S -------------------------------------------------------------------- */

/* How the backdoor is entered; the generated hypercalls test it (backend.yaml). */
enum { VMWARE__BY_PORT, VMWARE__BY_VMCALL, VMWARE__BY_VMMCALL };
extern uint8_t vmi__vmware_form;

/* Registers as a command has left them. */
struct vmi__vmware_answer {
    uint32_t eax, ebx, ecx, edx, esi;
};

/* The commands that answer in more than one register. */
VMI__ROUTINE void vmi__vmware_get_version(struct vmi__vmware_answer *answer);
VMI__ROUTINE void vmi__vmware_get_hz(struct vmi__vmware_answer *answer);
VMI__ROUTINE void vmi__vmware_get_time_full(struct vmi__vmware_answer *answer);

/* ---- vmware.c -------------------------------------------------------------------------------- */

/* Is there a backdoor? Constant after vmi__vmware_detect. */
extern bool vmi__vmware_present;

/* What of its time it answers; constant after vmi__vmware_time_init. */
extern bool vmi__vmware_tells_time, vmi__vmware_counts_stolen_time;

/*
 * Is this a virtual machine of VMware's? Asks CPUID first, as VMware KB 1009458 has it: a backdoor
 * alone is an emulator's (QEMU's vmport) and tells nothing that plain hardware does not.
 */
bool vmi__vmware_here(void);

/*
 * Looks for the backdoor. Returns the TSC's frequency, or 0 if it is not told; the native library
 * is told that of the APIC's timer with it.
 */
uint64_t vmi__vmware_detect(void);

/* Chooses anew how the backdoor is entered, if there is one: on another host perhaps. */
void vmi__vmware_form_again(void);

/* Writes the line `# vmware …` to the console. */
void vmi__vmware_describe(void);

/* ---- time.c ---------------------------------------------------------------------------------- */

/*
 * Finds out what of the time is answered, and has stolen time counted on the first CPU. The TSC's
 * frequency is known.
 */
void vmi__vmware_time_init(void);

#endif
