/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The fifth layer, start and end: between start.c and what an architecture's start is.
 */
#ifndef VMI_XEN_BUILDER_H
#define VMI_XEN_BUILDER_H

#include "traps.h"

/* Bits of entries that map memory or name tables of the library's. */
#define VMI__XEN_ENTRY (VMI__PTE_PRESENT | VMI__PTE_WRITE | VMI__PTE_ACCESSED | VMI__PTE_DIRTY)

/*
 * Free frames that can be reached: below the image, behind the builder's own pages, and what is
 * behind the list of frames where the builder has put that elsewhere. Those below `next` are in
 * use.
 */
struct vmi__xen_pool {
    uintptr_t start, next, end;
};
enum { VMI__XEN_POOL_LOW, VMI__XEN_POOL_BUILDER, VMI__XEN_POOL_REST, VMI__XEN_POOLS };
extern struct vmi__xen_pool vmi__xen_pools[VMI__XEN_POOLS];

/* Frames [start, end) behind the image, in which the builder has put its own pages. */
struct vmi__xen_builder {
    uintptr_t start, end;
};
extern struct vmi__xen_builder vmi__xen_builder;

/* Are there so many next to each other? */
bool vmi__xen_pages_left(uintptr_t count);

/* Frames next to each other, zeroed. */
void *vmi__xen_take_pages(uintptr_t count);

/* pfn of one of the builder's own pages by its machine frame, or VMI__XEN_NO_FRAME. */
uintptr_t vmi__xen_builder_pfn(uintptr_t mfn);

/* Frame behind an address where the builder has put something. */
static inline uintptr_t vmi__xen_builders(uintptr_t address)
{
    return (address - VMI__IMAGE_BASE) >> VMI__PAGE_SHIFT;
}

static inline uintptr_t vmi__xen_pages_of(uintptr_t size)
{
    return (size + VMI__PAGE_SIZE - 1) >> VMI__PAGE_SHIFT;
}

/* Is [address, address + size) where the builder puts things, behind the image? */
bool vmi__xen_behind_image(uintptr_t address, uintptr_t size);

static inline void vmi__xen_mark(const void *table, uint32_t kind)
{
    vmi__xen_memory.state[vmi__physical(table) >> VMI__PAGE_SHIFT] = (uint16_t)kind;
}

/* ---- start.c ---- */

/* The builder's words, once all memory is mapped; the toolstack writes new ones when it restores
 * the domain. */
extern struct start_info *vmi__xen_info;

/* The console by them; the page that Xen shares, and in it where the list of frames is, for who
 * saves the domain; xenstore and grants. At the start, and in a domain that was restored. */
void vmi__xen_start_console(const struct start_info *info);
void vmi__xen_start_shared(const struct start_info *info);
void vmi__xen_start_services(const struct start_info *info);

/* Modes of the domain's. None is missed if Xen refuses it. */
void vmi__xen_assists_enable(void);

/* ---- arch/ARCH/tables.c ---- */

/* Checks where the list of frames is, and takes it. Returns 0 or what is wrong. */
const char *vmi__xen_take_list(const struct start_info *info);

/* Finds Xen's list, m2p. */
void vmi__xen_start_translation(void);

/*
 * Takes the builder's tables over and maps all of the linear region. From then on vmi__boot says
 * where it is, and the builder's structures are there.
 */
void vmi__xen_start_tables(const struct start_info *info);

/* ---- arch/ARCH/context.c ---- */

/* What the CPU that starts needs beside its ports. Ends the domain if Xen refuses it. */
void vmi__xen_start_cpu(struct vmi__xen_cpu *cpu);

/* Whether a CPU can be started so. */
bool vmi__xen_state_acceptable(const struct vmi_ap_state *state);

/*
 * Registers of a CPU that is to be started, and what the library needs there before it runs. The
 * context is zeroed. Returns 0 or a VMI error.
 */
int32_t vmi__xen_context_of(struct vmi__xen_cpu *cpu, uint32_t number,
                            const struct vmi_ap_state *state, struct vcpu_guest_context *context);

/* Of a CPU that stops: what of its context would keep memory from being used otherwise. */
void vmi__xen_context_leave(void);

/*
 * Of one that begins again: what is in the context of a CPU that Xen starts, but for registers that
 * stop.S loads, gates, and debug registers.
 */
void vmi__xen_context_again(struct vmi__xen_cpu *cpu, const struct vmi_ap_state *state);

/* ---- machine.c ---- */

/*
 * Has Xen keep a CPU's vcpu_info where vmi__xen_vcpu() says, if it does not yet; of the first CPU,
 * or of one that does not run. What Xen has told and been told so far goes along: events stay
 * masked. Returns 0 or Xen's error.
 */
intptr_t vmi__xen_vcpu_register(uint32_t number);

/* Xen does not know any more: the domain was saved. */
void vmi__xen_vcpu_forget(uint32_t number);

/* Has Xen keep a CPU's runstate and no periodic timer. Neither is missed if Xen refuses it: steal
 * time stays 0, and a tick of Xen's own is looked at in vain. */
void vmi__xen_areas_register(struct vmi__xen_cpu *cpu, uint32_t number);

#endif
